"""Reads captures: pcap (draft-ietf-opsawg-pcap) and pcapng (draft-ietf-opsawg-pcapng), of either byte order.

A capture is a stranger's: of what is longer than a packet may be, the rest is skipped in pieces, and what is
cut short ends it. Timestamps are in seconds.
"""

from __future__ import annotations

import struct
import sys
import zlib
from collections.abc import Iterator
from dataclasses import dataclass
from gzip import BadGzipFile
from typing import BinaryIO

MAX_RECORD = 1 << 20  # octets of a packet or block that are read
MAX_COMMENT = 64 << 20  # octets of all comments that are kept: keys of tens of thousands of exchanges
MAX_INTERFACES = 4096
_PCAP = {
    0xA1B2C3D4: 1e-6,
    0xA1B23C4D: 1e-9,
}
_SECTION, _INTERFACE, _SIMPLE, _ENHANCED, _OBSOLETE = 0x0A0D0D0A, 1, 3, 6, 2
_ORDER = 0x1A2B3C4D
_COMMENT, _RESOLUTION, _OFFSET = 1, 9, 14  # options
_SECTION_HEADER = 24  # octets of a Section Header Block in front of its options
_PACKET_HEADER = 20  # octets of an Enhanced Packet Block in front of its packet


class CaptureError(ValueError):
    """The file is no capture."""


@dataclass(frozen=True, slots=True)
class Packet:
    """A captured packet. `link`: its LINKTYPE."""

    time_s: float
    link: int
    octets: bytes


@dataclass(frozen=True, slots=True)
class _Interface:
    link: int
    tick_s: float
    offset_s: int


class Capture:
    """Iterates over the packets of a stream, once. `comments`: of the sections that were begun; `cut`: the
    last record or block is not whole. CaptureError if it is no capture."""

    def __init__(self, stream: BinaryIO) -> None:
        self._stream = stream
        self.comments: list[str] = []
        self.cut = False
        self._kept = 0
        self._magic = stream.read(4)
        if len(self._magic) < 4:
            raise CaptureError("the file is empty, or too short for a capture")
        self._is_ng = int.from_bytes(self._magic, "big") == _SECTION
        self._order = ""
        if not self._is_ng:
            self._order = next((one for one in "<>" if self._number(one) in _PCAP), "")
            if not self._order:
                raise CaptureError("neither pcap nor pcapng")

    def __iter__(self) -> Iterator[Packet]:
        return self._blocks() if self._is_ng else self._records()

    def _number(self, order: str) -> int:
        return int(struct.unpack(f"{order}I", self._magic)[0])

    def _read(self, size: int) -> bytes | None:
        """None at the end, also in the middle of what is to be read."""
        if size > MAX_RECORD:
            self.cut = True
            return None
        try:
            data = self._stream.read(size)
        except (EOFError, zlib.error, BadGzipFile):  # what was compressed is cut short, or damaged
            self.cut = True
            return None
        if len(data) < size:
            self.cut = self.cut or bool(data)
            return None
        return data

    # -- pcap ----------------------------------------------------------------------------------------

    def _records(self) -> Iterator[Packet]:
        tick = _PCAP[self._number(self._order)]
        head = self._read(20)
        if head is None:
            raise CaptureError("the header is cut short")
        link = struct.unpack(f"{self._order}I", head[16:])[0] & 0xFFFF  # above: lengths of checksums
        record = struct.Struct(f"{self._order}IIII")
        while (header := self._read(record.size)) is not None:
            seconds, fraction, size, _ = record.unpack(header)
            octets = self._read(size)
            if octets is None:
                self.cut = True
                return
            yield Packet(seconds + fraction * tick, link, octets)

    # -- pcapng --------------------------------------------------------------------------------------

    def _blocks(self) -> Iterator[Packet]:
        interfaces: list[_Interface] = []
        type: bytes | None = self._magic
        while type is not None:
            if int.from_bytes(type, "big") == _SECTION:  # the same in both byte orders
                interfaces = []
                body = self._section()
            else:
                body = self._body()
            if body is None:
                return
            number = struct.unpack(f"{self._order}I", type)[0]
            if number == _INTERFACE and len(interfaces) < MAX_INTERFACES and len(body) >= 8:
                interfaces.append(self._interface(body))
            elif (packet := self._packet(number, body, interfaces)) is not None:
                yield packet
            type = self._read(4)

    def _section(self) -> bytes | None:
        """The block that says the byte order of what follows."""
        head = self._read(8)
        if head is None:
            return None
        self._order = next((one for one in "<>" if struct.unpack(f"{one}I", head[4:])[0] == _ORDER), "")
        if not self._order:
            raise CaptureError("a section without a byte order")
        left = struct.unpack(f"{self._order}I", head[:4])[0] - _SECTION_HEADER
        if left < 4 or left % 4 or self._read(12) is None:  # the version, and the section's length
            self.cut = True
            return None
        while left >= 8:  # one option after the other: our own keys are in some that are long together
            option = self._read(4)
            left -= 4
            code, size = (0, 0) if option is None else struct.unpack(f"{self._order}HH", option)
            padded = (size + 3) // 4 * 4
            value = self._read(padded) if code and padded <= left - 4 else None
            if value is None:
                break
            left -= padded
            if code == _COMMENT:
                self._keep(value[:size].decode("utf-8", "replace"))
        return b"" if self._skipped(left) else None

    def _keep(self, comment: str) -> None:
        if self._kept + sys.getsizeof(comment) <= MAX_COMMENT:
            self._kept += sys.getsizeof(comment)
            self.comments.append(comment)

    def _body(self) -> bytes | None:
        """Another block, without type and lengths; of a long one the beginning."""
        head = self._read(4)
        if head is None:
            return None
        left = struct.unpack(f"{self._order}I", head)[0] - 8
        data = self._read(min(left, MAX_RECORD)) if left >= 4 and left % 4 == 0 else None
        if data is None or not self._skipped(left - len(data)):
            self.cut = True
            return None
        return data[:-4]

    def _skipped(self, size: int) -> bool:
        """Whether so many octets are there, which are passed over."""
        while size:
            piece = self._read(min(size, MAX_RECORD))
            if piece is None:
                self.cut = True
                return False
            size -= len(piece)
        return True

    def _options(self, data: bytes) -> Iterator[tuple[int, bytes]]:
        at = 0
        while at + 4 <= len(data):
            code, size = struct.unpack_from(f"{self._order}HH", data, at)
            if not code:
                return
            yield code, data[at + 4 : at + 4 + size]
            at += 4 + (size + 3) // 4 * 4

    def _interface(self, body: bytes) -> _Interface:
        link = struct.unpack_from(f"{self._order}H", body)[0]
        tick, offset = 1e-6, 0
        for code, value in self._options(body[8:]):
            if code == _RESOLUTION and len(value) == 1:
                tick = 2.0 ** -(value[0] & 0x7F) if value[0] & 0x80 else 10.0 ** -value[0]
            elif code == _OFFSET and len(value) == 8:
                offset = struct.unpack(f"{self._order}q", value)[0]
        return _Interface(link, tick, offset)

    def _packet(self, number: int, body: bytes, interfaces: list[_Interface]) -> Packet | None:
        if number == _SIMPLE and len(body) >= 4 and interfaces:
            size = min(struct.unpack_from(f"{self._order}I", body)[0], len(body) - 4)
            return Packet(0.0, interfaces[0].link, body[4 : 4 + size])
        if number not in (_ENHANCED, _OBSOLETE) or len(body) < _PACKET_HEADER:
            return None
        kind = "IIIII" if number == _ENHANCED else "HHIIII"
        fields = struct.unpack_from(f"{self._order}{kind}", body)
        which, (high, low, size) = fields[0], fields[-4:-1]
        if which >= len(interfaces):
            return None
        of = interfaces[which]
        octets = body[_PACKET_HEADER : _PACKET_HEADER + min(size, len(body) - _PACKET_HEADER)]
        return Packet(of.offset_s + (high << 32 | low) * of.tick_s, of.link, octets)
