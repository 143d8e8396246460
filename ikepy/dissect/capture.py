"""Reads captures: pcap (draft-ietf-opsawg-pcap) and pcapng (draft-ietf-opsawg-pcapng), of either byte order.

A capture is a stranger's: lengths are bounded, and what is cut short ends it. Timestamps are in seconds.
"""

from __future__ import annotations

import struct
import zlib
from collections.abc import Iterator
from dataclasses import dataclass
from gzip import BadGzipFile
from typing import BinaryIO

MAX_RECORD = 1 << 20  # octets of a packet or block
MAX_COMMENT = 8 << 20  # octets of all comments that are kept
MAX_INTERFACES = 4096
_PCAP = {
    0xA1B2C3D4: 1e-6,
    0xA1B23C4D: 1e-9,
}
_SECTION, _INTERFACE, _SIMPLE, _ENHANCED, _OBSOLETE = 0x0A0D0D0A, 1, 3, 6, 2
_ORDER = 0x1A2B3C4D
_COMMENT, _RESOLUTION, _OFFSET = 1, 9, 14  # options
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
        size = struct.unpack(f"{self._order}I", head[:4])[0]
        body = self._rest(size, 8)
        if body is not None:
            for code, value in self._options(body[12:]):
                if code == _COMMENT and self._kept + len(value) <= MAX_COMMENT:
                    self._kept += len(value)
                    self.comments.append(value.decode("utf-8", "replace"))
        return b""

    def _body(self) -> bytes | None:
        head = self._read(4)
        return None if head is None else self._rest(struct.unpack(f"{self._order}I", head)[0], 4)

    def _rest(self, size: int, before: int) -> bytes | None:
        """A block without type and lengths; `before`: octets that were read behind the type."""
        left = size - 4 - before
        if left < 4 or size % 4:
            self.cut = True
            return None
        data = self._read(left)
        if data is None:
            self.cut = True
            return None
        return data[:-4]

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
