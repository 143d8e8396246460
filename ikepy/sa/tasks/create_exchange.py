"""Our side of a CREATE_CHILD_SA exchange for a child: offer, nonce, key exchange (RFC 7296 1.3.1, 1.3.3)."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from ikepy.config.model import Child
from ikepy.crypto.kex.method import Begun
from ikepy.errors import LocalMisuse
from ikepy.sa.api.effects import Effect
from ikepy.sa.exchange import child_negotiation, key_exchange
from ikepy.sa.exchange.child_negotiation import ChildOffer, KeyExchangeResult
from ikepy.sa.message import query
from ikepy.sa.negotiation import proposals
from ikepy.sa.negotiation.collision import Nonces
from ikepy.sa.negotiation.ts_request import EVERYTHING, TsRequest
from ikepy.sa.state.child_sa import ChildSa
from ikepy.sa.state.ike_sa import IkeSa
from ikepy.sa.state.init_exchange import NONCE_SIZE
from ikepy.sa.tasks.delete import DiscardSpi
from ikepy.wire.payloads import KePayload, NoncePayload, Payload

MAX_OVERTAKEN = 64  # SPIs remembered while a response is awaited


@dataclass(frozen=True, slots=True)
class _Request:
    """What was sent, and is needed to make something of the response. `ke`: None without a key exchange."""

    offer: ChildOffer
    nonce: bytes
    ke: Begun | None


class CreateExchange:
    """The exchange that `ChildCreate` and `ChildRekey` have in common."""

    def __init__(self, config: Child, ts_request: TsRequest = EVERYTHING, *, rekeys: bool = False) -> None:
        self._config = config
        self._rekeys = rekeys
        self._ts_request = ts_request
        self._method = key_exchange.MethodChoice()
        self._request: _Request | None = None
        self._overtaken: set[int] = set()  # unknown SPIs that the peer deleted before its response arrived

    def payloads(self, sa: IkeSa) -> list[Payload]:
        """SA, Ni, [KE], TSi and TSr of a new request."""
        nonce = sa.registry.entropy.random(NONCE_SIZE)
        offer = child_negotiation.offer(
            sa, self._config, key_exchange=True, ts_request=self._ts_request, rekeys=self._rekeys
        )
        method = self._method.of(offer.proposals)
        ke = None if method is None else key_exchange.begin(sa, method)
        self._request = _Request(offer, nonce, ke)
        sa_payload, *selectors = offer.payloads()
        key_exchanges = [] if ke is None else [KePayload(ke.method.id, ke.public)]
        return [sa_payload, NoncePayload(nonce), *key_exchanges, *selectors]

    def other_method(self, payloads: Sequence[Payload]) -> int | None:
        """The method that the peer asks for instead, once; one that was not offered is a refusal."""
        return self._method.follow(payloads, self._sent.offer.proposals)

    def narrower(self, payloads: Sequence[Payload]) -> TsRequest | None:
        """The TS request to repeat with if the peer says SINGLE_PAIR_REQUIRED (RFC 7296 2.9); else None."""
        return self._sent.offer.narrower(payloads)

    def nonces(self, payloads: Sequence[Payload]) -> Nonces:
        """Both nonces of the exchange that this response ends."""
        return Nonces(self._sent.nonce, query.must(payloads, NoncePayload).data)

    def conclude(self, sa: IkeSa, payloads: Sequence[Payload], now: float) -> tuple[ChildSa, list[Effect]]:
        """Make the child of a response, and the effects that install it; PeerError if it is unacceptable."""
        sent = self._sent
        chosen = child_negotiation.chosen_proposal(sent.offer, payloads)
        wanted = proposals.key_exchanges(chosen)
        secrets = tuple(key_exchange.finish(sa, sent.ke, method, payloads) for method in wanted)
        nonce_r = query.must(payloads, NoncePayload).data
        result = KeyExchangeResult(sent.nonce, nonce_r, secrets, we_started=True)
        return child_negotiation.conclude(sa, sent.offer, payloads, result, now)

    def overtaken_by_delete(self, spi_out: int) -> None:
        """Note the delete of an unknown child: perhaps the one that the awaited response will announce."""
        if len(self._overtaken) < MAX_OVERTAKEN:
            self._overtaken.add(spi_out)

    def is_deleted(self, child: ChildSa) -> bool:
        """Whether the peer's delete of the new child overtook its response."""
        return child.spi_out in self._overtaken

    def discard(self, sa: IkeSa) -> None:
        """Delete at the peer the child that it made at our request, as we don't install it."""
        sa.enqueue(DiscardSpi(self._sent.offer.spi_in))

    @property
    def _sent(self) -> _Request:
        """The request that the response in hand answers."""
        if self._request is None:
            raise LocalMisuse("a response to CREATE_CHILD_SA, which was not asked for")
        return self._request
