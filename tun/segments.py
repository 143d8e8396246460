"""A frame of the kernel's TCP or UDP segmentation offload, cut into its packets, all rows at once.

What comes out is what the kernel itself would have sent: net/ipv4/tcp_offload.c, udp_offload.c and
af_inet.c are the model (RFC 9293, RFC 768; CWR on the first segment only: RFC 3168 6.1.2).
"""

from __future__ import annotations

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
        "_gso",
        "_headers",
        "_identification",
        "_l4",
        "_partial",
        "_rest",
        "_sequence",
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

    def fill(self, rows: Rows, first: int) -> None:
        """Write packets `first`, `first` + 1, ... into the rows, at most `MOST_ROWS`.

        The rows' width is `size` rounded up to a multiple of 4; what is behind a packet there becomes 0.
        """
        count, headers, gso, size = len(rows), self._headers, self._gso, self.size
        ends = first + count == self.count
        full = count - 1 if ends and self.last < size else count
        payload = np.frombuffer(self.packet, np.uint8, offset=headers + first * gso)
        rows[:full, headers:size] = payload[: full * gso].reshape(full, gso)
        if rows.shape[1] > size:
            rows[:, size:] = 0
        self._number(rows, first)
        lacks = 0
        if full < count:
            rows[full, headers : self.last] = payload[full * gso :]
            rows[full, self.last :] = 0
            lacks = size - self.last
            self._shorten(rows[full], lacks)
        if self._tcp:
            self._flag(rows, first, ends)
        self._sum(rows, lacks)

    def _number(self, rows: Rows, first: int) -> None:
        """Write the headers of packets `first`, `first` + 1, ..., as if all had full length."""
        template, headers, l4 = self._template, self._headers, self._l4
        ipv4 = template[0] >> 4 == 4
        steps = words.steps(words.Layout(4 if ipv4 else 6, self._tcp, l4 // 4, headers // 4), self._gso)
        columns = rows[:, :headers].view(words.BE32)
        at, count = 0, len(rows)
        while at < count:
            part = count - at
            if self._tcp:
                sequence = self._sequence + (first + at) * self._gso & 0xFFFFFFFF
                template[l4 + 4 : l4 + 8] = sequence.to_bytes(4, "big")
            if ipv4:
                number = self._identification + first + at & 0xFFFF
                checksum = -(self._rest + number) % 0xFFFF
                template[4:6] = number.to_bytes(2, "big")
                template[10:12] = checksum.to_bytes(2, "big")
                part = min(part, words.until_wrap(number, checksum))
            heads = np.frombuffer(template, words.BE32).astype(np.uint32)
            columns[at : at + part] = steps[:part, :-1] + heads
            at += part

    def _shorten(self, row: Rows, lacks: int) -> None:
        """Put the length of the last packet into its headers."""
        if self.packet[0] >> 4 == 4:
            checksum = (row.item(10) << 8 | row.item(11)) + lacks
            fields = [(2, self.size - lacks), (10, checksum % 0xFFFF)]
        else:
            fields = [(4, self.size - IPV6_HEADER - lacks)]
        if not self._tcp:
            fields.append((self._l4 + 4, self.size - self._l4 - lacks))
        for at, value in fields:
            row[at], row[at + 1] = divmod(value, 256)

    def _flag(self, rows: Rows, first: int, ends: bool) -> None:
        """The flags that only the first or the last segment has."""
        flags = self.packet[self._l4 + FLAGS]
        if flags & CWR and first == 0:
            rows[0, self._l4 + FLAGS] |= CWR
        if flags & (FIN | PSH) and ends:
            rows[-1, self._l4 + FLAGS] |= flags & (FIN | PSH)

    def _sum(self, rows: Rows, lacks: int) -> None:
        """The checksums of TCP or UDP; the last packet lacks so many octets."""
        l4 = self._l4
        sums = little_sums(rows[:, l4:])
        whole, short = swapped(self.size - l4), swapped(self.last - l4)
        if lacks:
            sums[-1] += np.uint64(0xFFFF + short - whole)
        values = checksums(sums, self._partial + whole)
        if self._tcp:
            rows[:, l4 + TCP_CHECKSUM : l4 + TCP_CHECKSUM + 2].view(LE16)[:, 0] = values
        else:
            values[values == 0] = 0xFFFF
            rows[:, l4 + UDP_CHECKSUM : l4 + UDP_CHECKSUM + 2].view(LE16)[:, 0] = values

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
