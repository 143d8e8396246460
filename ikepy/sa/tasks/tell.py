"""Telling the peer something in an INFORMATIONAL exchange of its own: INVALID_SPI (RFC 7296 1.5)."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from ikepy.sa.effects import Effect
from ikepy.wire.constants import ExchangeType
from ikepy.wire.payloads import NotifyPayload, Payload

if TYPE_CHECKING:
    from ikepy.sa.ike_sa import IkeSa


class Tell:
    """One notify; the response says nothing but that it was heard."""

    exchange = ExchangeType.INFORMATIONAL

    def __init__(self, notify: NotifyPayload) -> None:
        self._notify = notify

    def request(self, sa: IkeSa, now: float) -> list[Payload] | None:
        return [self._notify]

    def response(self, sa: IkeSa, payloads: Sequence[Payload], now: float) -> list[Effect]:
        return []

    def failed(self, sa: IkeSa, reason: str) -> list[Effect]:
        return []
