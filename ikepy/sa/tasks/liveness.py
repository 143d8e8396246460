"""Asking whether the peer is alive: an empty INFORMATIONAL exchange (RFC 7296 2.4)."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from ikepy.sa.effects import Effect
from ikepy.wire.constants import ExchangeType
from ikepy.wire.payloads import Payload

from . import mobike

if TYPE_CHECKING:
    from ikepy.sa.ike_sa import IkeSa


class Liveness:
    """Any answer will do; none at all is the window's affair."""

    exchange = ExchangeType.INFORMATIONAL

    def request(self, sa: IkeSa, now: float) -> list[Payload] | None:
        return mobike.probe(sa)

    def response(self, sa: IkeSa, payloads: Sequence[Payload], now: float) -> list[Effect]:
        mobike.probed(sa, payloads)
        return []

    def failed(self, sa: IkeSa, reason: str) -> list[Effect]:
        return []
