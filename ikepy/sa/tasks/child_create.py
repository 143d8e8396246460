"""CREATE_CHILD_SA for a further child (RFC 7296 1.3.1), with or without a key exchange of its own."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from ikepy.crypto import kex
from ikepy.crypto.secret import Secret
from ikepy.errors import PeerError
from ikepy.sa import child_negotiation, pick, proposals
from ikepy.sa.child import ChildSa
from ikepy.sa.child_negotiation import ChildChoice, ChildOffer, KeyExchangeResult
from ikepy.sa.effects import Effect, Level
from ikepy.wire.constants import ExchangeType, NotifyType, ProtocolId, TransformType
from ikepy.wire.payloads import DeletePayload, KePayload, NoncePayload, NotifyPayload, Payload

from .auth import Wanted
from .delete import DeleteChild
from .init import NONCE_SIZE
from .task import Answer, outcomes

if TYPE_CHECKING:
    from ikepy.sa.ike_sa import IkeSa


class ChildCreate:
    """Our request for a child. `replaces`: the child_id of one that is deleted when the new one is up."""

    exchange = ExchangeType.CREATE_CHILD_SA

    def __init__(self, wanted: Wanted, *, replaces: int | None = None) -> None:
        self._wanted = wanted
        self._replaces = replaces
        self._group: int | None = None  # asked for by INVALID_KE_PAYLOAD
        self._offer: ChildOffer | None = None
        self._ke: kex.KeyExchange | None = None
        self._nonce = b""

    def request(self, sa: IkeSa, now: float) -> list[Payload] | None:
        random = sa.shared.entropy.random
        self._nonce = random(NONCE_SIZE)
        self._offer = child_negotiation.offer(sa, self._wanted.config, key_exchange=True)
        group = self._group or proposals.ke_group(self._offer.proposals[0])
        sa_payload, *selectors = self._offer.payloads()
        payloads: list[Payload] = [sa_payload, NoncePayload(self._nonce)]
        if group:
            self._ke = kex.generate(group, random)
            payloads.append(KePayload(group, self._ke.public))
        return [*payloads, *selectors]

    def response(self, sa: IkeSa, payloads: Sequence[Payload], now: float) -> list[Effect]:
        assert self._offer is not None
        wrong_group = pick.notify(payloads, NotifyType.INVALID_KE_PAYLOAD)
        if wrong_group is not None and self._group is None:
            return self._other_group(sa, wrong_group)
        try:
            child, effects = self._conclude(sa, self._offer, payloads, now)
        except PeerError as error:
            if error.fatal:
                raise
            return self._refuse(sa, self._offer, payloads, error)
        if self._replaces is not None:
            sa.enqueue(DeleteChild(self._replaces))
        text = f"CHILD_SA {child.config.name} #{child.child_id} is up"
        return effects + outcomes(self._wanted.tickets, True, text)

    def failed(self, sa: IkeSa, reason: str) -> list[Effect]:
        return outcomes(self._wanted.tickets, False, reason)

    def _other_group(self, sa: IkeSa, notify: NotifyPayload) -> list[Effect]:
        group = int.from_bytes(notify.data, "big")
        assert self._offer is not None
        if not any(
            t.type == TransformType.KE and t.id == group for p in self._offer.proposals for t in p.transforms
        ):
            raise PeerError(NotifyType.INVALID_SYNTAX, f"the peer asks for key exchange {group}: not offered")
        self._group = group
        sa.enqueue(self, first=True)
        return [sa.log(Level.DEBUG, f"the peer asks for key exchange {group}: CREATE_CHILD_SA again")]

    def _conclude(
        self, sa: IkeSa, offer: ChildOffer, payloads: Sequence[Payload], now: float
    ) -> tuple[ChildSa, list[Effect]]:
        chosen = child_negotiation.chosen_proposal(offer, payloads)
        shared: Secret | None = None
        group = proposals.ke_group(chosen)
        if group:
            ke = pick.must(payloads, KePayload)
            if self._ke is None or not ke.group == group == self._ke.group:
                raise PeerError(NotifyType.INVALID_SYNTAX, "the peer's key exchange is not the one it chose")
            shared = self._ke.shared(ke.data)
        nonce_r = pick.must(payloads, NoncePayload).data
        result = KeyExchangeResult(self._nonce, nonce_r, shared, we_started=True)
        return child_negotiation.conclude(sa, offer, payloads, result, now)

    def _refuse(
        self, sa: IkeSa, offer: ChildOffer, payloads: Sequence[Payload], error: PeerError
    ) -> list[Effect]:
        """The peer refused, or installed what we don't want: that is deleted there again."""
        text = f"child {self._wanted.config.name}: {error}"
        if pick.error(payloads) is None:
            sa.enqueue(DiscardSpi(offer.spi_in))
        return [*outcomes(self._wanted.tickets, False, text), sa.log(Level.ERROR, text)]


class DiscardSpi:
    """Delete a child at the peer that we never installed."""

    exchange = ExchangeType.INFORMATIONAL

    def __init__(self, spi_in: int) -> None:
        self._spi_in = spi_in

    def request(self, sa: IkeSa, now: float) -> list[Payload] | None:
        return [DeletePayload(ProtocolId.ESP, (self._spi_in.to_bytes(4, "big"),))]

    def response(self, sa: IkeSa, payloads: Sequence[Payload], now: float) -> list[Effect]:
        return []

    def failed(self, sa: IkeSa, reason: str) -> list[Effect]:
        return []


def respond(sa: IkeSa, payloads: Sequence[Payload], now: float) -> Answer:
    """Answer the peer's request for a further child; PeerError if it can't be had."""
    choice = child_negotiation.choose(sa, payloads, key_exchange=True, only=None)
    _, answer = respond_with(sa, choice, payloads, now, standby=False)
    return answer


def respond_with(
    sa: IkeSa, choice: ChildChoice, payloads: Sequence[Payload], now: float, *, standby: bool
) -> tuple[ChildSa, Answer]:
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
    nonce_r = random(NONCE_SIZE)
    result = KeyExchangeResult(pick.must(payloads, NoncePayload).data, nonce_r, shared, we_started=False)
    child, effects, (sa_payload, *selectors) = child_negotiation.accept(
        sa, choice, result, now, standby=standby
    )
    return child, Answer([sa_payload, NoncePayload(nonce_r), *ke_payloads, *selectors], before=effects)
