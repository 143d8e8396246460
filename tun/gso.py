"""GSO split: cuts a frame of the kernel's TCP or UDP segmentation offload into its packets, all rows at once.

The packets are those that the kernel itself would send: net/ipv4/tcp_offload.c, udp_offload.c and
af_inet.c are the model (RFC 9293, RFC 768; CWR on the first segment only: RFC 3168 6.1.2).
"""

from __future__ import annotations

import struct
from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Self

import numpy as np

from tun import header_deltas
from tun.checksum import Rows, checksums, little_sums, swapped
from tun.virtio import GSO_ECN, GSO_TCPV4, GSO_TCPV6, GSO_UDP_L4, HEADER, NEEDS_CSUM, SIZE

MAX_PACKET = 65535
LE16 = np.dtype("<u2")

TCP, UDP = 6, 17
IPV4_HEADER, IPV6_HEADER, TCP_HEADER, UDP_HEADER = 20, 40, 20, 8
TCP_CHECKSUM, UDP_CHECKSUM = 16, 6  # offsets in their headers
FIN, PSH, CWR = 0x01, 0x08, 0x80
FLAGS = 13  # offset in TCP's header
_EDGE_FLAGS = FIN | PSH | CWR  # on the first or the last segment only
_WORD, _HIGH, _LOW = 0xFFFFFFFF, 0xFFFF0000, 0xFFFF
_NOT_ON_ALL = ~(_EDGE_FLAGS << 16)  # in the word of TCP's flags
_CSUM_START = 4  # field of the virtio header
_SHAPES = 1024  # cached


@dataclass(frozen=True, slots=True)
class _Shape:
    """What frames of one kind and length have in common: offsets and lengths in octets."""

    layout: header_deltas.HeaderLayout
    version: int
    tcp: bool
    l4: int  # where TCP's or UDP's header begins
    headers: int  # octets of both headers
    gso: int  # octets of payload in a packet
    count: int  # of packets
    size: int  # octets of a packet
    last: int  # octets of the last packet
    field: int  # where TCP's or UDP's checksum is
    # Takes the frame's length out of the pseudo header's sum; little-endian, added to the partial checksum
    more: int
    big: struct.Struct  # headers as 32-bit words in network byte order
    native: struct.Struct  # the same in native byte order


@lru_cache(_SHAPES)  # there are few, and most frames are like the one before
def _shape(header: tuple[int, ...], version: int, offset: int, length: int) -> _Shape | None:
    """The shape of a frame of `length` octets behind its virtio header, given TCP's data offset; None if it
    is malformed."""
    flags, kind, _, gso, l4, _ = header
    kind &= ~GSO_ECN
    tcp = kind in (GSO_TCPV4, GSO_TCPV6)
    shortest = l4 + (TCP_HEADER if tcp else UDP_HEADER)
    if not (tcp or kind == GSO_UDP_L4) or not flags & NEEDS_CSUM or gso == 0 or l4 % 4:
        return None
    if version not in (4, 6) or l4 < (IPV4_HEADER if version == 4 else IPV6_HEADER) or shortest >= length:
        return None
    headers = l4 + offset * 4 if tcp else shortest
    gso = min(gso, length - headers)
    if not shortest <= headers < length or headers + gso > MAX_PACKET:
        return None
    count = -(-(length - headers) // gso)
    size = headers + gso
    return _Shape(
        layout=header_deltas.HeaderLayout(version, tcp, l4 // 4, headers // 4),
        version=version,
        tcp=tcp,
        l4=l4,
        headers=headers,
        gso=gso,
        count=count,
        size=size,
        last=length - (count - 1) * gso,
        field=l4 + (TCP_CHECKSUM if tcp else UDP_CHECKSUM),
        more=0xFFFF - swapped((length - l4) % 0x10000),
        big=struct.Struct(f">{headers // 4}I"),
        native=struct.Struct(f"={headers // 4}I"),
    )


class GsoFrame:
    """One frame: `count` packets of `size` octets, but the last one of `last`.

    `packet` is the frame as read, an IP packet whose lengths and checksums are not valid; `headers` is a copy
    of its headers.
    """

    __slots__ = ("_partial", "_shape", "count", "headers", "last", "packet", "size")

    def __init__(self, packet: memoryview, shape: _Shape) -> None:
        field = shape.field
        self.packet = packet
        self.headers = bytearray(packet[: shape.headers])
        self.count, self.size, self.last = shape.count, shape.size, shape.last
        self._shape = shape
        self._partial = (packet[field] | packet[field + 1] << 8) + shape.more

    @classmethod
    def parse(cls, frame: memoryview) -> GsoFrame | None:
        """Parse a frame with its virtio header in front; None if it is malformed."""
        header, packet = HEADER.unpack_from(frame), frame[SIZE:]
        length, at = len(packet), header[_CSUM_START] + 12  # offset of TCP's data offset
        if at >= length:
            at = 0  # UDP, which has none, or too short
        shape = _shape(header, packet[0] >> 4, packet[at] >> 4, length) if length else None
        return None if shape is None else cls(packet, shape)

    def mark_ce(self) -> None:
        """Set CE, both bits of the ECN field, in all packets (RFC 3168 5)."""
        self.headers[1] |= 0x03 if self.headers[0] >> 4 == 4 else 0x30

    def fill(self, rows: Rows, first: int) -> None:
        """Write packets `first`, `first` + 1, ... into the rows, at most `MAX_ROWS`.

        The rows' width is `size` rounded up to a multiple of 4; octets behind a packet become 0.
        """
        self.copy_payloads(rows, first)
        self.write_headers(rows, [(self, first, len(rows))])

    def copy_payloads(self, rows: Rows, first: int) -> None:
        """First half of `fill`, which reads the frame: payloads, not headers."""
        shape, full = self._shape, len(rows)
        headers, gso, size = shape.headers, shape.gso, shape.size
        if self._has_short(first, full):
            full -= 1
            rest = np.frombuffer(self.packet, np.uint8, offset=headers + (first + full) * gso)
            rows[full, headers : self.last] = rest
            rows[full, self.last :] = 0
        payload = np.frombuffer(self.packet, np.uint8, full * gso, headers + first * gso)
        rows[:full, headers:size] = payload.reshape(full, gso)
        if rows.shape[1] > size:
            rows[:, size:] = 0

    @classmethod
    def write_headers(cls, rows: Rows, pieces: Sequence[tuple[Self, int, int]]) -> None:
        """Second half of `fill`, for several frames of one `size` in consecutive rows. `pieces`: frame, index
        of its first packet here, number of packets. Frames of one shape cost little more together than one
        alone."""
        layout = pieces[0][0]._shape.layout
        if all(frame._shape.layout == layout for frame, _, _ in pieces):
            _write_same_layout(rows, pieces)
            return
        at = 0
        for piece in pieces:
            _write_same_layout(rows[at : at + piece[2]], [piece])
            at += piece[2]

    def _has_short(self, first: int, count: int) -> bool:
        """Whether the last one of `count` packets from `first` on is shorter than the others."""
        return self.last < self.size and first + count == self.count

    def _count_on(self, first: int, count: int, heads: list[bytes], counts: list[int]) -> None:
        """Append the headers, in words, of packet `first` to `heads`, and of every packet at which an IPv4
        field wraps; to `counts`, for how many packets each counts on. TCP's and UDP's checksums are left
        out."""
        shape, at = self._shape, first
        l4, end = shape.l4 // 4, first + count
        while at < end:
            head, run = list(shape.big.unpack(self.headers)), end - at
            if shape.version == 4:
                if at:
                    head[1] = (head[1] + (at << 16)) & _WORD
                head[0] = head[0] & _HIGH | shape.size
                head[2] &= _HIGH
                checksum = -sum(head[:l4]) % _LOW  # 2^16 is 1 modulo 65535
                head[2] |= checksum
                run = min(run, header_deltas.packets_until_wrap(head[1] >> 16, checksum))
            else:
                head[1] = head[1] & _LOW | (shape.size - IPV6_HEADER) << 16
            if shape.tcp:
                if at:
                    head[l4 + 1] = (head[l4 + 1] + at * shape.gso) & _WORD
                head[l4 + 3] &= _NOT_ON_ALL
                head[l4 + 4] &= _LOW
            else:
                head[l4 + 1] = (shape.size - shape.l4) << 16
            heads.append(shape.native.pack(*head))
            counts.append(run)
            at += run

    def _shorten(self, row: Rows) -> None:
        """Write the length of the short last packet into its headers."""
        lacks = self.size - self.last
        if self._shape.version == 4:
            checksum = (row.item(10) << 8 | row.item(11)) + lacks
            fields = [(2, self.last), (10, checksum % 0xFFFF)]
        else:
            fields = [(4, self.last - IPV6_HEADER)]
        if not self._shape.tcp:
            fields.append((self._shape.l4 + 4, self.last - self._shape.l4))
        for at, value in fields:
            row[at], row[at + 1] = divmod(value, 256)

    def _flag(self, rows: Rows, first: int) -> None:
        """Set the TCP flags that only the first or the last segment has."""
        at = self._shape.l4 + FLAGS
        flags = self.headers[at] & _EDGE_FLAGS
        if flags & CWR and first == 0:
            rows[0, at] |= CWR
        if flags & (FIN | PSH) and first + len(rows) == self.count:
            rows[-1, at] |= flags & (FIN | PSH)

    def packets(self) -> list[bytes]:
        """All packets as octets, for callers without row layouts."""
        width = -(-self.size // 4) * 4
        found: list[bytes] = []
        for first in range(0, self.count, header_deltas.MAX_ROWS):
            rows = np.zeros((min(header_deltas.MAX_ROWS, self.count - first), width), np.uint8)
            self.fill(rows, first)
            found += [row[: self.size].tobytes() for row in rows]
        found[-1] = found[-1][: self.last]
        return found


def _write_same_layout(rows: Rows, pieces: Sequence[tuple[GsoFrame, int, int]]) -> None:
    """`GsoFrame.write_headers` of frames whose headers have one layout."""
    shape = pieces[0][0]._shape
    heads: list[bytes] = []
    counts: list[int] = []
    for frame, first, count in pieces:
        frame._count_on(first, count, heads, counts)
    table = np.frombuffer(b"".join(heads), np.uint32).reshape(len(heads), -1)
    steps = header_deltas.deltas_in_turn(shape.layout, shape.gso, tuple(counts))
    if len(heads) > 1:
        table = table.repeat(counts, axis=0)
    rows[:, : shape.headers].view(header_deltas.BE32)[:] = table + steps
    at = 0
    for frame, first, count in pieces:
        if shape.tcp and frame.headers[shape.l4 + FLAGS] & _EDGE_FLAGS:
            frame._flag(rows[at : at + count], first)
        at += count
        if frame._has_short(first, count):
            frame._shorten(rows[at - 1])
    _sum(rows, pieces)


def _sum(rows: Rows, pieces: Sequence[tuple[GsoFrame, int, int]]) -> None:
    """Write TCP's or UDP's checksums of frames whose headers are written."""
    frame = pieces[0][0]
    shape = frame._shape
    l4, field, whole = shape.l4, shape.field, swapped(shape.size - shape.l4)
    sums = little_sums(rows[:, l4:])
    if len(pieces) > 1:
        partials = np.array([frame._partial for frame, _, _ in pieces], np.uint64)
        sums += partials.repeat([count for _, _, count in pieces])
    at = 0
    for frame, first, count in pieces:
        at += count
        if frame._has_short(first, count):
            sums[at - 1] += np.uint64(0xFFFF + swapped(frame.last - l4) - whole)
    values = checksums(sums, whole + (frame._partial if len(pieces) == 1 else 0))
    if not shape.tcp:
        values[values == 0] = 0xFFFF
    rows[:, field : field + 2].view(LE16)[:, 0] = values
