"""Keeps the last response of each ended IKE_SA, for a peer that missed it and retransmits (RFC 7296 2.1)."""

from __future__ import annotations

from collections import OrderedDict

KEPT = 1024
SECONDS = 60.0


class FinalResponses:
    """Maps our SPI to the peer's last request, byte for byte, and our response; bounded in size and age."""

    def __init__(self) -> None:
        self._kept: OrderedDict[bytes, tuple[float, bytes, tuple[bytes, ...]]] = OrderedDict()

    def add(self, spi: bytes, request: bytes, reply: tuple[bytes, ...], now: float) -> None:
        self._kept[spi] = now, request, reply
        while len(self._kept) > KEPT or now - next(iter(self._kept.values()))[0] > SECONDS:
            self._kept.popitem(last=False)

    def reply(self, spi: bytes, request: bytes, now: float) -> tuple[bytes, ...]:
        """The datagrams of the response to repeat; none unless `request` is exactly the one it answered."""
        since, known, reply = self._kept.get(spi, (0.0, b"", ()))
        return reply if known == request and now - since <= SECONDS else ()
