"""One outbound SA: sequence numbers, tunnel-mode framing and sealing, in batches (RFC 4303 2 and 3.3)."""

from __future__ import annotations

import struct
from collections.abc import Sequence

from esp.packet import NEXT_HEADER, Buffer
from esp.suites import ESP_HEADER, TRAILER, Suite, refuse_copy, sealer

LIMIT = {False: (1 << 32) - 1, True: (1 << 64) - 1}  # the last sequence number, without and with ESN

_HEADER = struct.Struct("!II")
_MAX_PADDING = 255
_PADDING = bytes(range(1, _MAX_PADDING + 1))  # RFC 4303 2.4


class OutboundSa:
    """Seals inner packets under one key. A sequence number is used up before it is used, come what may."""

    __slots__ = ("_esn", "_sealer", "sequence", "spi", "suite")
    __reduce__ = refuse_copy

    def __init__(self, spi: int, suite: Suite, keys: bytes, esn: bool, used: int = 0) -> None:
        """`used`: sequence numbers that must not be used (again). Raises ValueError for keys or SPI."""
        if not 0 < spi < 1 << 32:
            raise ValueError(f"{spi} is no SPI")
        if not 0 <= used <= LIMIT[esn]:
            raise ValueError(f"{used} sequence numbers used")
        self.spi = spi
        self.suite = suite
        self.sequence = used  # the last one taken
        self._esn = esn
        self._sealer = sealer(suite, keys, esn)

    @property
    def low(self) -> bool:
        """Three quarters of the sequence numbers are used up."""
        return self.sequence >= LIMIT[self._esn] // 4 * 3

    @property
    def exhausted(self) -> bool:
        return self.sequence >= LIMIT[self._esn]

    def seal_batch(self, packets: Sequence[Buffer]) -> list[memoryview]:
        """The ESP packets of inner IP packets, in order: fewer when the sequence numbers run out.

        Whatever this raises, the numbers of the batch are not used again.
        """
        first = self.sequence + 1
        count = min(len(packets), LIMIT[self._esn] - self.sequence)
        self.sequence += count
        rows = self._lay_out(packets[:count], first)
        self._sealer.seal(rows, first)
        return rows

    def _lay_out(self, packets: Sequence[Buffer], first: int) -> list[memoryview]:
        """Header, plaintext and trailer of each packet, with room for IV and ICV, all in one array."""
        suite = self.suite
        start, overhead = ESP_HEADER + suite.iv_length, suite.overhead + TRAILER
        paddings = [suite.padding(len(packet)) for packet in packets]
        arena = bytearray(sum(map(len, packets)) + sum(paddings) + overhead * len(packets))
        view = memoryview(arena)
        rows = []
        offset = 0
        for index, (packet, padding) in enumerate(zip(packets, paddings, strict=True)):
            end = offset + start + len(packet)
            _HEADER.pack_into(arena, offset, self.spi, first + index & 0xFFFFFFFF)
            view[offset + start : end] = packet
            if padding:
                view[end : end + padding] = _PADDING[:padding]
            arena[end + padding] = padding
            arena[end + padding + 1] = NEXT_HEADER[packet[0] >> 4]
            following = offset + overhead + len(packet) + padding
            rows.append(view[offset:following])
            offset = following
        return rows
