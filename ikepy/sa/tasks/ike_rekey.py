"""CREATE_CHILD_SA that replaces the IKE_SA (RFC 7296 1.3.2 and 2.18), when the peer asks for it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import TYPE_CHECKING

from ikepy.crypto import kex
from ikepy.crypto.keymat import rekey_ike_keys
from ikepy.errors import PeerError
from ikepy.sa import pick, proposals
from ikepy.sa.effects import Event, Level, Topic
from ikepy.sa.keyed import keyed, suite_of
from ikepy.wire.constants import NotifyType, ProtocolId
from ikepy.wire.payloads import KePayload, NoncePayload, Payload, SaPayload

from .init import NONCE_SIZE
from .task import Answer

if TYPE_CHECKING:
    from ikepy.sa.ike_sa import IkeSa


def respond(sa: IkeSa, payloads: Sequence[Payload], now: float) -> Answer:
    """Answer with a new IKE_SA that inherits the children; the peer then deletes the old one.

    PeerError NO_PROPOSAL_CHOSEN, INVALID_KE_PAYLOAD or TEMPORARY_FAILURE if it can't be had.
    """
    if sa.busy:
        raise PeerError(NotifyType.TEMPORARY_FAILURE, "a child is being negotiated on this IKE_SA")
    offered = [p for p in pick.must(payloads, SaPayload).proposals if p.protocol == ProtocolId.IKE]
    chosen = proposals.select(sa.connection.proposals, offered)
    if chosen is None:
        raise PeerError(NotifyType.NO_PROPOSAL_CHOSEN, "no IKE proposal of the peer's fits ours")
    if len(chosen.spi) != 8 or chosen.spi == bytes(8):
        raise PeerError(NotifyType.INVALID_SYNTAX, "an IKE SPI has 8 bytes and is not zero")
    group = proposals.ke_group(chosen)
    ke = pick.maybe(payloads, KePayload)
    if ke is None or ke.group != group:
        raise PeerError(
            NotifyType.INVALID_KE_PAYLOAD, f"key exchange {group} is wanted", data=group.to_bytes(2, "big")
        )
    random = sa.shared.entropy.random
    own = kex.generate(group, random)
    shared = own.shared(ke.data)
    nonce_i, nonce_r = pick.must(payloads, NoncePayload).data, random(NONCE_SIZE)
    spi_r = sa.shared.ike_spi()
    old = sa.keyed
    keys = rekey_ike_keys(
        suite_of(chosen), old.suite.prf, old.sk_d, shared, nonce_i, nonce_r, chosen.spi, spi_r
    )
    successor = sa.replace_by(chosen.spi, spi_r, keyed(chosen, keys, initiator=False), now, initiator=False)
    text = f"rekeyed as #{successor.ike_id}, {proposals.describe(chosen)}"
    event = Event(Topic.IKE_REKEYED, sa.connection.name, successor.ike_id, text=text)
    answer = SaPayload((replace(chosen, spi=spi_r),))
    return Answer(
        [answer, NoncePayload(nonce_r), KePayload(group, own.public)],
        before=[event, sa.log(Level.INFO, f"IKE_SA {text}")],
    )
