"""Our side of a CREATE_CHILD_SA exchange for a child: offer, nonce, key exchanges (RFC 7296 1.3.1, 1.3.3).

Additional key exchanges go on in IKE_FOLLOWUP_KE (RFC 9370 2.2.4); only after the last one there is a child.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from ikepy.config.model import Child
from ikepy.errors import LocalMisuse
from ikepy.sa.api.effects import Effect
from ikepy.sa.exchange import child_negotiation, key_exchange
from ikepy.sa.exchange.child_negotiation import ChildOffer, KeyExchangeResult
from ikepy.sa.exchange.own_key_exchanges import OwnKeyExchanges
from ikepy.sa.message import query
from ikepy.sa.negotiation.collision import Nonces
from ikepy.sa.negotiation.ts_request import EVERYTHING, TsRequest
from ikepy.sa.state.child_sa import ChildSa
from ikepy.sa.state.ike_sa import IkeSa
from ikepy.sa.state.init_exchange import NONCE_SIZE
from ikepy.sa.tasks.delete import DiscardSpi
from ikepy.wire.constants import ExchangeType, NotifyType
from ikepy.wire.payloads import KePayload, NoncePayload, Payload, SaPayload

MAX_OVERTAKEN = 64  # SPIs remembered while a response is awaited


@dataclass(frozen=True, slots=True)
class _Request:
    """What was sent, and is needed to make something of the response."""

    offer: ChildOffer
    nonce: bytes
    key_exchanges: OwnKeyExchanges


@dataclass(frozen=True, slots=True)
class _Agreed:
    """The response to CREATE_CHILD_SA, which the last IKE_FOLLOWUP_KE makes a child of; and both nonces."""

    payloads: Sequence[Payload]
    nonces: Nonces


class CreateExchange:
    """The exchange that `ChildCreate` and `ChildRekey` have in common."""

    def __init__(self, config: Child, ts_request: TsRequest = EVERYTHING, *, rekeys: bool = False) -> None:
        self._config = config
        self._rekeys = rekeys
        self._ts_request = ts_request
        self._method = key_exchange.MethodChoice()
        self._request: _Request | None = None
        self._agreed: _Agreed | None = None  # while additional key exchanges follow
        self._overtaken: set[int] = set()  # unknown SPIs that the peer deleted before its response arrived

    @property
    def midway(self) -> bool:
        """Whether additional key exchanges follow."""
        return self._agreed is not None and self._sent.key_exchanges.go_on

    @property
    def exchange(self) -> ExchangeType:
        """The exchange type of the next request."""
        return ExchangeType.IKE_FOLLOWUP_KE if self.midway else ExchangeType.CREATE_CHILD_SA

    def payloads(self, sa: IkeSa) -> list[Payload]:
        """SA, Ni, [KE], TSi and TSr of a new request, or what an additional key exchange needs."""
        if self.midway:
            return self._sent.key_exchanges.request(sa)
        nonce = sa.registry.entropy.random(NONCE_SIZE)
        offer = child_negotiation.offer(
            sa, self._config, key_exchange=True, ts_request=self._ts_request, rekeys=self._rekeys
        )
        method = self._method.of(offer.proposals)
        ke = None if method is None else key_exchange.begin(sa, method)
        self._request = _Request(offer, nonce, OwnKeyExchanges(ke))
        sa_payload, *selectors = offer.payloads()
        key_exchanges = [] if ke is None else [KePayload(ke.method.id, ke.public)]
        return [sa_payload, NoncePayload(nonce), *key_exchanges, *selectors]

    def other_method(self, payloads: Sequence[Payload]) -> int | None:
        """The method that the peer asks for instead, once; one that was not offered is a refusal."""
        if self.midway:
            return None
        return self._method.follow(payloads, self._sent.offer.proposals)

    def narrower(self, payloads: Sequence[Payload]) -> TsRequest | None:
        """The TS request to repeat with if the peer says SINGLE_PAIR_REQUIRED (RFC 7296 2.9); else None."""
        return self._sent.offer.narrower(payloads)

    def nonces(self, payloads: Sequence[Payload]) -> Nonces:
        """Both nonces of the exchange that this response, or an earlier one, ends."""
        if self._agreed is not None:
            return self._agreed.nonces
        return Nonces(self._sent.nonce, query.must(payloads, NoncePayload).data)

    def take(self, sa: IkeSa, payloads: Sequence[Payload]) -> bool:
        """Do the key exchange of a response; whether it was the last one, and a child can be made.

        PeerError if it is unacceptable; may raise ResultPending, and then nothing has changed.
        """
        sent = self._sent
        if self.midway:
            sent.key_exchanges.went_on(sa, payloads)
        else:
            chosen = child_negotiation.chosen_proposal(sent.offer, payloads)
            nonces = self.nonces(payloads)
            sent.key_exchanges.agreed(sa, chosen, payloads)
            self._agreed = _Agreed(payloads, nonces)
        return not sent.key_exchanges.go_on

    def conclude(self, sa: IkeSa, now: float) -> tuple[ChildSa, list[Effect]]:
        """Make the child, and the effects that install it; PeerError if it is unacceptable."""
        sent, agreed = self._sent, self._agreed
        if agreed is None:
            raise LocalMisuse("a child is made of a response that was not taken")
        secrets = sent.key_exchanges.secrets
        result = KeyExchangeResult(agreed.nonces.initiator, agreed.nonces.responder, secrets, we_started=True)
        return child_negotiation.conclude(sa, sent.offer, agreed.payloads, result, now)

    def overtaken_by_delete(self, spi_out: int) -> None:
        """Note the delete of an unknown child: perhaps the one that the awaited response will announce."""
        if len(self._overtaken) < MAX_OVERTAKEN:
            self._overtaken.add(spi_out)

    def is_deleted(self, child: ChildSa) -> bool:
        """Whether the peer's delete of the new child overtook its response."""
        return child.spi_out in self._overtaken

    def discard(self, sa: IkeSa, payloads: Sequence[Payload]) -> None:
        """Delete at the peer the child that it has made by this response, if any, as we don't install it.

        It has made none if it refuses, or says that additional key exchanges follow: those it forgets.
        """
        last = KePayload if self._agreed is not None and self._agreed.payloads is not payloads else SaPayload
        follows = query.notify(payloads, NotifyType.ADDITIONAL_KEY_EXCHANGE) is not None
        if follows or query.maybe(payloads, last) is None:
            return
        sa.enqueue(DiscardSpi(self._sent.offer.spi_in), first=True)

    @property
    def _sent(self) -> _Request:
        """The request that the response in hand answers."""
        if self._request is None:
            raise LocalMisuse("a response to CREATE_CHILD_SA, which was not asked for")
        return self._request
