"""CREATE_CHILD_SA for a further child (RFC 7296 1.3.1), with or without a key exchange of its own."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from ikepy.crypto import kex
from ikepy.crypto.secret import Secret
from ikepy.errors import PeerError
from ikepy.sa import child_negotiation, pick, proposals
from ikepy.sa.child import ChildSa
from ikepy.sa.child_negotiation import ChildChoice, KeyExchangeResult
from ikepy.sa.collision import Nonces
from ikepy.sa.effects import Effect, Level
from ikepy.wire.constants import ExchangeType, NotifyType
from ikepy.wire.payloads import KePayload, NoncePayload, Payload

from .auth import Wanted
from .create_exchange import CreateExchange
from .delete import DeleteChild
from .init import NONCE_SIZE
from .task import Answer, outcomes

if TYPE_CHECKING:
    from ikepy.sa.ike_sa import IkeSa


MAX_POSTPONED = 5  # TEMPORARY_FAILUREs that a request for a child survives


class ChildCreate:
    """Our request for a child. `replaces`: the child_id of one that is deleted when the new one is up."""

    exchange = ExchangeType.CREATE_CHILD_SA

    def __init__(self, wanted: Wanted, *, replaces: int | None = None) -> None:
        self._wanted = wanted
        self._replaces = replaces
        self._create = CreateExchange(wanted.config)
        self._failures = 0

    def request(self, sa: IkeSa, now: float) -> list[Payload] | None:
        return self._create.payloads(sa)

    def response(self, sa: IkeSa, payloads: Sequence[Payload], now: float) -> list[Effect]:
        group = self._create.other_group(payloads)
        if group is not None:
            sa.enqueue(self, first=True)
            return [sa.log(Level.DEBUG, f"the peer asks for key exchange {group}: CREATE_CHILD_SA again")]
        if pick.notify(payloads, NotifyType.TEMPORARY_FAILURE) and self._failures < MAX_POSTPONED:
            self._failures += 1
            wait = sa.postpone(self, self._failures, now)
            return [sa.log(Level.INFO, f"the peer is busy: CREATE_CHILD_SA again in {wait:.0f} s")]
        try:
            child, effects = self._create.conclude(sa, payloads, now)
        except PeerError as error:
            if error.fatal:
                raise
            return self._refuse(sa, payloads, error)
        if self._replaces is not None:
            sa.enqueue(DeleteChild(self._replaces))
        text = f"CHILD_SA {child.config.name} #{child.child_id} is up"
        return effects + outcomes(self._wanted.tickets, True, text)

    def failed(self, sa: IkeSa, reason: str) -> list[Effect]:
        return outcomes(self._wanted.tickets, False, reason)

    def _refuse(self, sa: IkeSa, payloads: Sequence[Payload], error: PeerError) -> list[Effect]:
        """The peer refused, or installed what we don't want: that is deleted there again."""
        text = f"child {self._wanted.config.name}: {error}"
        if pick.error(payloads) is None:
            self._create.discard(sa)
        return [*outcomes(self._wanted.tickets, False, text), sa.log(Level.ERROR, text)]


def respond(sa: IkeSa, payloads: Sequence[Payload], now: float) -> Answer:
    """Answer the peer's request for a further child; PeerError if it can't be had."""
    choice = child_negotiation.choose(sa, payloads, key_exchange=True, only=None)
    _, answer, _ = respond_with(sa, choice, payloads, now, standby=False)
    return answer


def respond_with(
    sa: IkeSa, choice: ChildChoice, payloads: Sequence[Payload], now: float, *, standby: bool
) -> tuple[ChildSa, Answer, Nonces]:
    """The response for a choice that is made: key exchange (PFS), nonce, installation."""
    random = sa.shared.entropy.random
    group = proposals.ke_group(choice.proposal)
    ke_payloads: list[Payload] = []
    shared: Secret | None = None
    if group:
        ke = pick.maybe(payloads, KePayload)
        if ke is None or ke.group != group:
            raise PeerError(
                NotifyType.INVALID_KE_PAYLOAD,
                f"key exchange {group} is wanted",
                data=group.to_bytes(2, "big"),
            )
        own = kex.generate(group, random)
        shared = own.shared(ke.data)
        ke_payloads = [KePayload(group, own.public)]
    nonces = Nonces(pick.must(payloads, NoncePayload).data, random(NONCE_SIZE))
    result = KeyExchangeResult(nonces.initiator, nonces.responder, shared, we_started=False)
    child, effects, (sa_payload, *selectors) = child_negotiation.accept(
        sa, choice, result, now, standby=standby
    )
    payloads_out = [sa_payload, NoncePayload(nonces.responder), *ke_payloads, *selectors]
    return child, Answer(payloads_out, before=effects), nonces
