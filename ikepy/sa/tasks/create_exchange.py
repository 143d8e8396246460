"""Our side of a CREATE_CHILD_SA exchange for a child: offer, nonce, key exchange (RFC 7296 1.3.1, 1.3.3)."""

from __future__ import annotations

from collections.abc import Sequence

from ikepy.config.model import Child
from ikepy.crypto.kex.method import Begun
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


class CreateExchange:
    """The exchange that `ChildCreate` and `ChildRekey` have in common."""

    def __init__(self, config: Child, ts_request: TsRequest = EVERYTHING, *, rekeys: bool = False) -> None:
        self._config = config
        self._rekeys = rekeys
        self._ts_request = ts_request
        self._method = key_exchange.MethodChoice()
        self._offer: ChildOffer | None = None
        self._ke: Begun | None = None
        self._nonce = b""
        self._overtaken: set[int] = set()  # unknown SPIs that the peer deleted before its response arrived

    def payloads(self, sa: IkeSa) -> list[Payload]:
        """SA, Ni, [KE], TSi and TSr of a new request."""
        random = sa.registry.entropy.random
        self._nonce = random(NONCE_SIZE)
        self._offer = child_negotiation.offer(
            sa, self._config, key_exchange=True, ts_request=self._ts_request, rekeys=self._rekeys
        )
        method = self._method.of(self._offer.proposals)
        sa_payload, *selectors = self._offer.payloads()
        payloads: list[Payload] = [sa_payload, NoncePayload(self._nonce)]
        if method is not None:
            self._ke = key_exchange.begin(sa, method)
            payloads.append(KePayload(method, self._ke.public))
        return [*payloads, *selectors]

    def other_method(self, payloads: Sequence[Payload]) -> int | None:
        """The method that the peer asks for instead, once; one that was not offered is a refusal."""
        return None if self._offer is None else self._method.follow(payloads, self._offer.proposals)

    def narrower(self, payloads: Sequence[Payload]) -> TsRequest | None:
        """The TS request to repeat with if the peer says SINGLE_PAIR_REQUIRED (RFC 7296 2.9); else None."""
        return None if self._offer is None else self._offer.narrower(payloads)

    def nonces(self, payloads: Sequence[Payload]) -> Nonces:
        """Both nonces of the exchange that this response ends."""
        return Nonces(self._nonce, query.must(payloads, NoncePayload).data)

    def conclude(self, sa: IkeSa, payloads: Sequence[Payload], now: float) -> tuple[ChildSa, list[Effect]]:
        """Make the child of a response, and the effects that install it; PeerError if it is unacceptable."""
        assert self._offer is not None
        chosen = child_negotiation.chosen_proposal(self._offer, payloads)
        wanted = proposals.key_exchanges(chosen)
        secrets = tuple(key_exchange.finish(sa, self._ke, method, payloads) for method in wanted)
        nonce_r = query.must(payloads, NoncePayload).data
        result = KeyExchangeResult(self._nonce, nonce_r, secrets, we_started=True)
        return child_negotiation.conclude(sa, self._offer, payloads, result, now)

    def overtaken_by_delete(self, spi_out: int) -> None:
        """Note the delete of an unknown child: perhaps the one that the awaited response will announce."""
        if len(self._overtaken) < MAX_OVERTAKEN:
            self._overtaken.add(spi_out)

    def is_deleted(self, child: ChildSa) -> bool:
        """Whether the peer's delete of the new child overtook its response."""
        return child.spi_out in self._overtaken

    def discard(self, sa: IkeSa) -> None:
        """Delete at the peer the child that it made at our request, as we don't install it."""
        assert self._offer is not None
        sa.enqueue(DiscardSpi(self._offer.spi_in))
