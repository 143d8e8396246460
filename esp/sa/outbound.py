"""Outbound SA: sequence numbers, encapsulation and encryption, packet by packet (RFC 4303 2 and 3.3);
`esp.sa.batch` seals many at once, in tunnel mode."""

from __future__ import annotations

import os
from collections.abc import Sequence
from functools import lru_cache

import numpy as np

from esp.packet.headers import NEXT_HEADER, Buffer
from esp.packet.row_layouts import MAX_ROWS, Octets, RowLayout, RowLayouts
from esp.packet.transport import payload_of
from esp.sa.ciphers import NONCE_SALT, AeadContext, keyed_aead, refuse_copy
from esp.sa.suites import ESP_HEADER, TRAILER, Suite

LIMIT = {False: (1 << 32) - 1, True: (1 << 64) - 1}  # the last sequence number, without and with ESN


class _Trailers:
    """ESP trailers of one next header, by padding length: padding, pad length, next header (RFC 4303 2.4)."""

    def __init__(self, next_header: int) -> None:
        padding = bytes(range(1, 16))
        self.octets = tuple(padding[:length] + bytes((length, next_header)) for length in range(16))
        self.rows = tuple(np.frombuffer(trailer, np.uint8) for trailer in self.octets)


_TRAILERS = {version: _Trailers(next_header) for version, next_header in NEXT_HEADER.items()}
_trailers_of = lru_cache(_Trailers)  # of transport mode


class OutboundSa:
    """Seals inner packets under one key. A sequence number is taken before it is used, so that no error
    repeats it."""

    __slots__ = (
        "_block",
        "_icv",
        "_overhead",
        "_random_iv",
        "_salt",
        "_spi",
        "aead",
        "batch_until",
        "copied",
        "format",
        "limit",
        "low_from",
        "sequence",
        "spi",
        "start",
        "suite",
        "tfc",
        "transport",
    )
    __reduce__ = refuse_copy

    def __init__(
        self,
        spi: int,
        suite: Suite,
        keys: bytes,
        esn: bool,
        last_sequence: int = 0,
        *,
        tfc: int = 0,
        transport: bool = False,
    ) -> None:
        """`last_sequence`: the last number used under these keys, here or elsewhere; the first packet takes
        the next (RFC 4303 3.3.3). `tfc`: octets to which `copy`, and nothing else, pads inner packets
        (RFC 4303 2.7). `transport`: transport mode. Raises ValueError for keys, SPI or a number beyond
        2^32 - 1 (with ESN: 2^64 - 1)."""
        if not 0 < spi < 1 << 32:
            raise ValueError(f"{spi} is no SPI")
        if not 0 <= last_sequence <= LIMIT[esn]:
            raise ValueError(f"{last_sequence} is no sequence number: 0..{LIMIT[esn]}")
        self.spi = spi
        self.suite = suite
        self.sequence = last_sequence  # the last one taken
        self.transport = transport
        self.set_tfc(tfc)
        self.start = ESP_HEADER + suite.iv_length  # where the inner packet begins
        self.format = suite.format(esn)  # SAs of one format can share a batch
        self._overhead, self._block = suite.overhead + TRAILER, suite.block
        self.limit = LIMIT[esn]  # the last sequence number
        self.low_from = LIMIT[esn] // 4 * 3  # the sequence number from which on the SA is `low`
        self._icv, self._random_iv, self._spi = suite.icv_length, suite.random_iv, spi.to_bytes(4, "big")
        aead, self._salt = keyed_aead(suite, keys)
        self.aead = AeadContext(self._spi + self._salt.ljust(NONCE_SALT, b"\0"), aead.encrypt_into, esn)
        # Batches of many SAs only begin below this number: they need not watch for low numbers.
        self.batch_until = self.low_from - MAX_ROWS

    def set_tfc(self, octets: int) -> None:
        """Pad to so many octets from now on, unless in transport mode, where a payload's end is not known."""
        self.tfc = 0 if self.transport else octets
        self.copied = self.transport or self.tfc > 0  # its packets are sealed one by one, of copies

    @property
    def low(self) -> bool:
        """Whether three quarters of the sequence numbers are used up."""
        return self.sequence >= self.low_from

    @property
    def exhausted(self) -> bool:
        return self.sequence >= self.limit

    def seal_batch(self, packets: Sequence[Buffer]) -> list[memoryview]:
        """Seal copies of inner IP packets of any sizes, in order. Returns fewer when the sequence numbers run
        out.

        Whatever this raises, no sequence number is used again.
        """
        rows = []
        for packet in packets:
            copied = self.copy(packet)
            row = copied and self.seal_in_place(copied[0], self.start, *copied[1:])
            if row is None:
                break
            rows.append(row)
        return rows

    def copy(self, packet: Buffer) -> tuple[memoryview, int, int | None] | None:
        """Memory for the ESP packet of an inner packet, which is copied to octet `start` of it; and the
        length to seal, with TFC padding, which is zeros behind it. In transport mode the payload alone, with
        its protocol; None if that mode can't carry the packet."""
        next_header = None
        if self.transport:
            found = payload_of(packet)
            if found is None:
                return None
            next_header, packet = found
        length = max(len(packet), self.tfc)
        memory = memoryview(bytearray(self.esp_length(length)))
        memory[self.start : self.start + len(packet)] = packet
        return memory, length, next_header

    def esp_length(self, length: int) -> int:
        """The length of the ESP packet of an inner packet of `length` octets."""
        return self._overhead + length - (length + TRAILER) % -self._block

    def seal_in_place(
        self, arena: memoryview, at: int, length: int, next_header: int | None = None
    ) -> memoryview | None:
        """Seal the inner packet at arena[at : at + length] where it stands and return the ESP packet around
        it; None if the sequence numbers have run out. The arena has room for ESP header and IV in front, for
        trailer and ICV behind. `next_header`: of transport mode, where it is no packet but a payload."""
        if self.sequence >= self.limit:
            return None
        self.sequence = sequence = self.sequence + 1
        begin, end = at - self.start, at + length
        trailers = _TRAILERS[arena[at] >> 4] if next_header is None else _trailers_of(next_header)
        trailer = trailers.octets[-(length + TRAILER) % self._block]
        arena[end : end + len(trailer)] = trailer
        end += len(trailer)
        row_end = end + self._icv
        number = sequence.to_bytes(8, "big")
        iv = os.urandom(self.suite.iv_length) if self._random_iv else number
        spi = self._spi
        header = spi + number[4:]
        arena[begin:at] = header + iv
        _, encrypt_into, esn = self.aead
        encrypt_into(self._salt + iv, arena[at:end], spi + number if esn else header, arena[at:row_end])
        return arena[begin:row_end]

    def layout(self, layouts: RowLayouts, size: int) -> RowLayout:
        """The row layout of ESP packets with inner packets of `size` octets."""
        return layouts.layout(self.esp_length(size), self.start, self.suite.icv_length)

    def trailer(self, version: int, length: int) -> Octets:
        """The ESP trailer of an inner packet of this IP version and `length`."""
        return _TRAILERS[version].rows[-(length + TRAILER) % self._block]
