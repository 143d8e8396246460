"""Outbound SA: sequence numbers, tunnel-mode encapsulation and encryption, in batches (RFC 4303 2 and
3.3)."""

from __future__ import annotations

import struct
from collections.abc import Sequence

import numpy as np

from esp.packet.headers import NEXT_HEADER, Buffer
from esp.packet.row_layouts import MAX_ROWS, STEPS, Octets, RowLayout, RowLayouts
from esp.sa.suites import ESP_HEADER, FULL_ICV, TRAILER, Suite, refuse_copy, sealer

LIMIT = {False: (1 << 32) - 1, True: (1 << 64) - 1}  # the last sequence number, without and with ESN

_HEADER = struct.Struct("!II")
_MAX_PADDING = 255
_PADDING = bytes(range(1, _MAX_PADDING + 1))  # RFC 4303 2.4


class _Trailers:
    """ESP trailers of one next header, by padding length: padding, pad length, next header."""

    def __init__(self, next_header: int) -> None:
        self.octets = tuple(_PADDING[:length] + bytes((length, next_header)) for length in range(16))
        self.rows = tuple(np.frombuffer(trailer, np.uint8) for trailer in self.octets)


def trailer_of(version: int, padding: int) -> Octets:
    """The ESP trailer of an inner packet of this IP version with `padding` octets of padding."""
    return _TRAILERS[version].rows[padding]


_TRAILERS = {version: _Trailers(next_header) for version, next_header in NEXT_HEADER.items()}


class OutboundSa:
    """Seals inner packets under one key. A sequence number is taken before it is used, so that no error
    repeats it."""

    __slots__ = (
        "_block",
        "_limit",
        "_overhead",
        "_sealer",
        "aead",
        "batch_until",
        "low_from",
        "sequence",
        "spi",
        "start",
        "suite",
        "tfc",
    )
    __reduce__ = refuse_copy

    def __init__(
        self, spi: int, suite: Suite, keys: bytes, esn: bool, last_sequence: int = 0, *, tfc: int = 0
    ) -> None:
        """`last_sequence`: the last number used under these keys, here or elsewhere; the first packet takes
        the next (RFC 4303 3.3.3). `tfc`: octets to which `seal_batch`, and
        nothing else, pads inner packets (RFC 4303 2.7). Raises ValueError for keys, SPI
        or a number beyond 2^32 - 1 (with ESN: 2^64 - 1)."""
        if not 0 < spi < 1 << 32:
            raise ValueError(f"{spi} is no SPI")
        if not 0 <= last_sequence <= LIMIT[esn]:
            raise ValueError(f"{last_sequence} is no sequence number: 0..{LIMIT[esn]}")
        self.spi = spi
        self.suite = suite
        self.sequence = last_sequence  # the last one taken
        self.tfc = tfc
        self.start = ESP_HEADER + suite.iv_length  # where the inner packet begins
        self._overhead, self._block = suite.overhead + TRAILER, suite.block
        self._limit = LIMIT[esn]
        self.low_from = LIMIT[esn] // 4 * 3  # the sequence number from which on the SA is `low`
        self._sealer = sealer(suite, keys, esn)
        self.aead = self._sealer.aead_context(spi)
        # Multi-SA batches only begin below this number: they need not watch for low numbers.
        self.batch_until = 0 if self.aead is None else self.low_from - MAX_ROWS

    @property
    def low(self) -> bool:
        """Whether three quarters of the sequence numbers are used up."""
        return self.sequence >= self.low_from

    @property
    def exhausted(self) -> bool:
        return self.sequence >= self._limit

    def seal_batch(self, packets: Sequence[Buffer]) -> list[memoryview]:
        """Encapsulate and seal inner IP packets of any sizes, in order. Returns fewer when the sequence
        numbers run out.

        Whatever this raises, no sequence number is used again.
        """
        first = self.sequence + 1
        count = min(len(packets), self._limit - self.sequence)
        self.sequence += count
        rows = self._lay_out(packets[:count], first)
        self._sealer.seal_rows(rows, first)
        return rows

    def esp_length(self, length: int) -> int:
        """The length of the ESP packet of an inner packet of `length` octets."""
        return self._overhead + length - (length + TRAILER) % -self._block

    def seal_in_place(self, arena: memoryview, at: int, length: int) -> memoryview | None:
        """Seal the inner packet at arena[at : at + length] where it stands and return the ESP packet around
        it; None if the sequence numbers have run out. The arena has room for ESP header and IV in front, for
        trailer and ICV behind."""
        if self.sequence >= self._limit:
            return None
        self.sequence = sequence = self.sequence + 1
        begin, end = at - self.start, at + length
        padding = -(length + TRAILER) % self._block
        arena[end : end + padding + TRAILER] = _TRAILERS[arena[at] >> 4].octets[padding]
        end += padding + TRAILER
        aead = self.aead
        if aead is None:
            row = arena[begin : end + self.suite.icv_length]
            _HEADER.pack_into(row, 0, self.spi, sequence & 0xFFFFFFFF)
            self._sealer.seal(row, sequence)
            return row
        # `Sealer.seal`, inlined: after a pause every call is slow (esp.datapath.flow_cache).
        spi_salt, encrypt_into, esn = aead
        iv = sequence.to_bytes(8, "big")
        spi = spi_salt[:4]
        header = spi + iv[4:]
        arena[begin:at] = header + iv
        end_of_row = end + FULL_ICV
        encrypt_into(spi_salt[4:] + iv, arena[at:end], spi + iv if esn else header, arena[at:end_of_row])
        return arena[begin:end_of_row]

    def layout(self, layouts: RowLayouts, size: int) -> RowLayout:
        """The row layout of ESP packets with inner packets of `size` octets."""
        return layouts.layout(self.esp_length(size), self.start, self.suite.icv_length)

    def write_trailers(self, layout: RowLayout, count: int, version: int, size: int) -> None:
        """Write the ESP trailers of inner packets of one IP version and `size` octets in the first `count`
        rows."""
        trailer = _TRAILERS[version].rows[self.suite.padding(size)]
        at = self.start + size
        layout.array[:count, at : at + len(trailer)] = trailer

    def write_short_trailer(self, row: memoryview, length: int) -> None:
        """Write the ESP trailer of a packet that is shorter than its row."""
        trailer = _TRAILERS[row[self.start] >> 4].octets[self.suite.padding(length)]
        at = self.start + length
        row[at : at + len(trailer)] = trailer

    def seal_layout(self, layouts: RowLayouts, layout: RowLayout, count: int, last: int) -> int:
        """Seal the first `count` rows, the last one of `last` octets. Returns how many, as the sequence
        numbers may run out.

        Whatever this raises, no sequence number is used again.
        """
        fits = min(count, self._limit - self.sequence)
        if fits <= 0:
            return 0
        number = self.sequence + 1
        self.sequence += fits
        layout.spis[:fits] = self.spi
        layout.seq_lows[:fits] = STEPS[:fits] + np.uint64(number)  # numpy keeps the low 32 bits
        self._sealer.seal_layout(layouts, layout, fits, last if fits == count else layout.stride, number)
        return fits

    def seal_run(self, layouts: RowLayouts, layout: RowLayout, count: int, length: int) -> int:
        """Write trailers and seal inner packets of one `length` and IP version in the first `count` rows.
        Returns how many, as the sequence numbers may run out."""
        self.write_trailers(layout, count, layout.rows[0][self.start] >> 4, length)
        return self.seal_layout(layouts, layout, count, layout.stride)

    def _lay_out(self, packets: Sequence[Buffer], first: int) -> list[memoryview]:
        """Header, plaintext and trailer of each packet, with room for IV and ICV, all in one array."""
        suite = self.suite
        start, overhead = ESP_HEADER + suite.iv_length, suite.overhead + TRAILER
        lengths = [max(len(packet), self.tfc) for packet in packets]
        paddings = [suite.padding(length) for length in lengths]
        arena = bytearray(sum(lengths) + sum(paddings) + overhead * len(packets))
        view = memoryview(arena)
        rows = []
        offset = 0
        for index, (packet, length, padding) in enumerate(zip(packets, lengths, paddings, strict=True)):
            begin = offset + start
            end = begin + length  # zeros behind a shorter packet are its TFC padding
            _HEADER.pack_into(arena, offset, self.spi, first + index & 0xFFFFFFFF)
            view[begin : begin + len(packet)] = packet
            if padding:
                view[end : end + padding] = _PADDING[:padding]
            arena[end + padding] = padding
            arena[end + padding + 1] = NEXT_HEADER[packet[0] >> 4]
            following = offset + overhead + length + padding
            rows.append(view[offset:following])
            offset = following
        return rows
