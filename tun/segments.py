"""A frame of the kernel's TCP or UDP segmentation offload, cut into its packets, all rows at once.

What comes out is what the kernel itself would have sent: net/ipv4/tcp_offload.c, udp_offload.c and
af_inet.c are the model (RFC 9293, RFC 768; CWR on the first segment only: RFC 3168 6.1.2).
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Self

import numpy as np

from tun import words
from tun.checksum import Rows, checksums, fold, little_sums, swapped
from tun.virtio import GSO_ECN, GSO_TCPV4, GSO_TCPV6, GSO_UDP_L4, HEADER, NEEDS_CSUM, SIZE

MAX_PACKET = 65535
LE16 = np.dtype("<u2")

TCP, UDP = 6, 17
IPV4_HEADER, IPV6_HEADER, TCP_HEADER, UDP_HEADER = 20, 40, 20, 8
TCP_CHECKSUM, UDP_CHECKSUM = 16, 6  # offsets in their headers
FIN, PSH, CWR = 0x01, 0x08, 0x80
FLAGS = 13  # offset in TCP's header
_ON_ONE_ONLY = FIN | PSH | CWR


class Segments:
    """One frame: `count` packets of `size` octets, but the last one of `last`.

    `packet` is the frame as it was read, an IP packet whose lengths and checksums are not to be believed.
    """

    __slots__ = (
        "_flags",
        "_gso",
        "_headers",
        "_identification",
        "_l4",
        "_partial",
        "_rest",
        "_sequence",
        "_shape",
        "_tcp",
        "_template",
        "count",
        "last",
        "packet",
        "size",
    )

    def __init__(self, packet: memoryview, l4: int, headers: int, gso: int, tcp: bool, partial: int) -> None:
        payload = len(packet) - headers
        self.packet = packet
        self.count = -(-payload // gso)
        self.size = headers + gso
        self.last = headers + payload - (self.count - 1) * gso
        self._l4 = l4
        self._headers = headers
        self._gso = gso
        self._tcp = tcp
        self._partial = partial  # the pseudo header's sum without the length, little-endian
        self._template = self._make_template()
        self._identification = int.from_bytes(packet[4:6], "big")  # IPv4's
        self._rest = fold(self._template[:l4])  # IPv4's header without it
        self._sequence = int.from_bytes(packet[l4 + 4 : l4 + 8], "big")  # TCP's
        self._flags = packet[l4 + FLAGS] if tcp else 0
        self._shape = packet[0] >> 4, tcp, l4, headers, gso

    @classmethod
    def parse(cls, frame: memoryview) -> Segments | None:
        """The frame behind its virtio header; None if it makes no sense."""
        flags, kind, _, gso, l4, _ = HEADER.unpack_from(frame)
        packet = frame[SIZE:]
        length = len(packet)
        version = packet[0] >> 4 if length else 0
        kind &= ~GSO_ECN
        tcp = kind in (GSO_TCPV4, GSO_TCPV6)
        shortest = l4 + (TCP_HEADER if tcp else UDP_HEADER)
        if not (tcp or kind == GSO_UDP_L4) or not flags & NEEDS_CSUM or gso == 0 or l4 % 4:
            return None
        if version not in (4, 6) or l4 < (IPV4_HEADER if version == 4 else IPV6_HEADER) or shortest >= length:
            return None
        headers = l4 + (packet[l4 + 12] >> 4) * 4 if tcp else shortest
        gso = min(gso, length - headers)
        if not shortest <= headers < length or headers + gso > MAX_PACKET:
            return None
        field = l4 + (TCP_CHECKSUM if tcp else UDP_CHECKSUM)
        partial = (packet[field] | packet[field + 1] << 8) + 0xFFFF - swapped((length - l4) % 0x10000)
        return cls(packet, l4, headers, gso, tcp, partial)

    def _make_template(self) -> bytearray:
        """The headers of a packet in the middle, without numbers that count and checksums."""
        template = bytearray(self.packet[: self._headers])
        l4 = self._l4
        if template[0] >> 4 == 4:
            template[2:6] = self.size.to_bytes(2, "big") + bytes(2)
            template[10:12] = bytes(2)
        else:
            template[4:6] = (self.size - IPV6_HEADER).to_bytes(2, "big")
        if self._tcp:
            template[l4 + FLAGS] &= ~_ON_ONE_ONLY
            template[l4 + TCP_CHECKSUM : l4 + TCP_CHECKSUM + 2] = bytes(2)
        else:
            template[l4 + 4 : l4 + 6] = (self.size - l4).to_bytes(2, "big")
            template[l4 + UDP_CHECKSUM : l4 + UDP_CHECKSUM + 2] = bytes(2)
        return template

    def mark(self) -> None:
        """Give all packets the mark CE (RFC 3168 5): that is both bits of the ECN field."""
        self._template[1] |= 0x03 if self._template[0] >> 4 == 4 else 0x30
        self._rest = fold(self._template[: self._l4])

    def fill(self, rows: Rows, first: int) -> None:
        """Write packets `first`, `first` + 1, ... into the rows, at most `MOST_ROWS`.

        The rows' width is `size` rounded up to a multiple of 4; what is behind a packet there becomes 0.
        """
        self.lay(rows, first)
        self.head(rows, [(self, first, len(rows))])

    def lay(self, rows: Rows, first: int) -> None:
        """The first half of `fill`, for which the frame is needed: everything but the headers."""
        headers, gso, size, last = self._headers, self._gso, self.size, self.last
        full = len(rows) - self._has_short(first, len(rows))
        payload = np.frombuffer(self.packet, np.uint8, offset=headers + first * gso)
        rows[:full, headers:size] = payload[: full * gso].reshape(full, gso)
        if rows.shape[1] > size:
            rows[:, size:] = 0
        if full < len(rows):
            rows[full, headers:last] = payload[full * gso :]
            rows[full, last:] = 0

    @classmethod
    def head(cls, rows: Rows, pieces: Sequence[tuple[Self, int, int]]) -> None:
        """The second half, for packets of several frames of one `size` in a row: `pieces` are a frame, the
        number of its first packet here, and how many packets. What is alike costs little more for all of them
        than for one."""
        if all(piece[0]._shape == pieces[0][0]._shape for piece in pieces):
            _head_alike(rows, pieces)
            return
        at = 0
        for piece in pieces:
            _head_alike(rows[at : at + piece[2]], [piece])
            at += piece[2]

    def _has_short(self, first: int, count: int) -> bool:
        """Whether the last one of so many packets is shorter than the others."""
        return self.last < self.size and first + count == self.count

    def _heads(self, first: int, count: int, heads: list[bytes], counts: list[int]) -> None:
        """The headers of packet `first`, which count on for so many packets; another one where IPv4's begin
        again."""
        template, l4, at = self._template, self._l4, first
        end = first + count
        while at < end:
            part = end - at
            if self._tcp:
                sequence = self._sequence + at * self._gso & 0xFFFFFFFF
                template[l4 + 4 : l4 + 8] = sequence.to_bytes(4, "big")
            if template[0] >> 4 == 4:
                number = self._identification + at & 0xFFFF
                checksum = -(self._rest + number) % 0xFFFF
                template[4:6] = number.to_bytes(2, "big")
                template[10:12] = checksum.to_bytes(2, "big")
                part = min(part, words.until_wrap(number, checksum))
            heads.append(bytes(template))
            counts.append(part)
            at += part

    def _shorten(self, row: Rows) -> None:
        """Put the length of the last packet into its headers."""
        lacks = self.size - self.last
        if self._template[0] >> 4 == 4:
            checksum = (row.item(10) << 8 | row.item(11)) + lacks
            fields = [(2, self.last), (10, checksum % 0xFFFF)]
        else:
            fields = [(4, self.last - IPV6_HEADER)]
        if not self._tcp:
            fields.append((self._l4 + 4, self.last - self._l4))
        for at, value in fields:
            row[at], row[at + 1] = divmod(value, 256)

    def _flag(self, rows: Rows, first: int) -> None:
        """The flags that only the first or the last segment has."""
        flags = self._flags
        if flags & CWR and first == 0:
            rows[0, self._l4 + FLAGS] |= CWR
        if flags & (FIN | PSH) and first + len(rows) == self.count:
            rows[-1, self._l4 + FLAGS] |= flags & (FIN | PSH)

    def packets(self) -> list[bytes]:
        """All of them, one by one: for whoever has no use for rows."""
        width = -(-self.size // 4) * 4
        found: list[bytes] = []
        for first in range(0, self.count, words.MOST_ROWS):
            rows = np.zeros((min(words.MOST_ROWS, self.count - first), width), np.uint8)
            self.fill(rows, first)
            found += [row[: self.size].tobytes() for row in rows]
        found[-1] = found[-1][: self.last]
        return found


def _head_alike(rows: Rows, pieces: Sequence[tuple[Segments, int, int]]) -> None:
    """`Segments.head` of frames of one shape."""
    frame = pieces[0][0]
    l4, headers = frame._l4, frame._headers
    heads: list[bytes] = []
    counts: list[int] = []
    for segments, first, count in pieces:
        segments._heads(first, count, heads, counts)
    table = np.frombuffer(b"".join(heads), words.BE32).reshape(len(heads), -1).astype(np.uint32)
    layout = words.Layout(frame._template[0] >> 4, frame._tcp, l4 // 4, headers // 4)
    steps = words.steps(layout, frame._gso)[:, :-1]
    if len(heads) == 1:
        table = steps[: len(rows)] + table
    else:
        table = table.repeat(counts, axis=0)
        table += np.concatenate([steps[:count] for count in counts])
    rows[:, :headers].view(words.BE32)[:] = table
    at = 0
    for segments, first, count in pieces:
        if segments._flags & _ON_ONE_ONLY:
            segments._flag(rows[at : at + count], first)
        at += count
        if segments._has_short(first, count):
            segments._shorten(rows[at - 1])
    _sum(rows, pieces)


def _sum(rows: Rows, pieces: Sequence[tuple[Segments, int, int]]) -> None:
    """The checksums of TCP or UDP of frames of one shape, whose headers are written."""
    frame = pieces[0][0]
    l4, whole = frame._l4, swapped(frame.size - frame._l4)
    sums = little_sums(rows[:, l4:])
    if len(pieces) > 1:
        partials = np.array([segments._partial for segments, _, _ in pieces], np.uint64)
        sums += partials.repeat([count for _, _, count in pieces])
    at = 0
    for segments, first, count in pieces:
        at += count
        if segments._has_short(first, count):
            sums[at - 1] += np.uint64(0xFFFF + swapped(segments.last - l4) - whole)
    values = checksums(sums, whole + (frame._partial if len(pieces) == 1 else 0))
    if frame._tcp:
        rows[:, l4 + TCP_CHECKSUM : l4 + TCP_CHECKSUM + 2].view(LE16)[:, 0] = values
    else:
        values[values == 0] = 0xFFFF
        rows[:, l4 + UDP_CHECKSUM : l4 + UDP_CHECKSUM + 2].view(LE16)[:, 0] = values
