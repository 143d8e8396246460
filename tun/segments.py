"""A frame of the kernel's TCP or UDP segmentation offload, cut into its packets, all rows at once.

What comes out is what the kernel itself would have sent: net/ipv4/tcp_offload.c, udp_offload.c and
af_inet.c are the model (RFC 9293, RFC 768; CWR on the first segment only: RFC 3168 6.1.2).
"""

from __future__ import annotations

import numpy as np

from tun.checksum import Rows, checksums, fold, little_sums, swapped
from tun.virtio import GSO_ECN, GSO_TCPV4, GSO_TCPV6, GSO_UDP_L4, HEADER, NEEDS_CSUM, SIZE

MOST_ROWS = 128
MAX_PACKET = 65535
STEPS = np.arange(MOST_ROWS, dtype=np.uint64)
BE16, BE32, LE16 = np.dtype(">u2"), np.dtype(">u4"), np.dtype("<u2")

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
        "_l4",
        "_partial",
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
        """The headers of a packet in the middle, without sequence number and checksums."""
        template = bytearray(self.packet[: self._headers])
        l4 = self._l4
        if template[0] >> 4 == 4:
            template[2:4] = self.size.to_bytes(2, "big")
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
        """Write packets `first`, `first` + 1, ... into the rows.

        The rows' width is `size` rounded up to a multiple of 4; what is behind a packet there becomes 0.
        """
        count, headers, gso, size = len(rows), self._headers, self._gso, self.size
        ends = first + count == self.count
        full = count - 1 if ends and self.last < size else count
        rows[:, :headers] = np.frombuffer(self._template, np.uint8)
        start = headers + first * gso
        payload = np.frombuffer(self.packet, np.uint8, offset=start)
        rows[:full, headers:size] = payload[: full * gso].reshape(full, gso)
        if rows.shape[1] > size:
            rows[:, size:] = 0
        if full < count:
            rows[full, headers : self.last] = payload[full * gso :]
            rows[full, self.last :] = 0
        self._number(rows, first)
        if ends:
            self._end(rows[-1])
        self._sum(rows, full)

    def _number(self, rows: Rows, first: int) -> None:
        """IPv4's identification, TCP's sequence number, and the flag of the very first segment."""
        count = len(rows)
        if self._template[0] >> 4 == 4:
            identification = int.from_bytes(self._template[4:6], "big") + first
            words = rows[:, 4:6].view(BE16)[:, 0]
            numbers = STEPS[:count] + np.uint64(identification) & np.uint64(0xFFFF)
            words[:] = numbers
            base = fold(self._template[: self._l4]) + 0xFFFF - int.from_bytes(self._template[4:6], "big")
            rows[:, 10:12].view(BE16)[:, 0] = checksums(numbers + np.uint64(base))
        if self._tcp:
            l4 = self._l4
            sequence = int.from_bytes(self._template[l4 + 4 : l4 + 8], "big") + first * self._gso
            numbers = STEPS[:count] * np.uint64(self._gso) + np.uint64(sequence)
            rows[:, l4 + 4 : l4 + 8].view(BE32)[:, 0] = numbers & np.uint64(0xFFFFFFFF)
            if first == 0:
                rows[0, l4 + FLAGS] |= self.packet[l4 + FLAGS] & CWR

    def _end(self, row: Rows) -> None:
        """What only the last packet has: its length, and TCP's FIN and PSH."""
        l4, last = self._l4, self.last
        if self._tcp:
            row[l4 + FLAGS] |= self.packet[l4 + FLAGS] & (FIN | PSH)
        if last == self.size:
            return
        if self._template[0] >> 4 == 4:
            row[2:4] = last >> 8, last & 0xFF
            row[10:12] = 0
            checksum = -fold(row[:l4].tobytes()) % 0xFFFF
            row[10:12] = checksum >> 8, checksum & 0xFF
        else:
            row[4:6] = last - IPV6_HEADER >> 8, last - IPV6_HEADER & 0xFF
        if not self._tcp:
            row[l4 + 4 : l4 + 6] = last - l4 >> 8, last - l4 & 0xFF

    def _sum(self, rows: Rows, full: int) -> None:
        """The checksums of TCP or UDP; packets from `full` on are `last` octets long."""
        l4 = self._l4
        sums = little_sums(rows[:, l4:])
        sums += np.uint64(self._partial + swapped(self.size - l4))
        if full < len(rows):
            sums[full] += np.uint64(0xFFFF + swapped(self.last - l4) - swapped(self.size - l4))
        values = checksums(sums)
        if self._tcp:
            rows[:, l4 + TCP_CHECKSUM : l4 + TCP_CHECKSUM + 2].view(LE16)[:, 0] = values
        else:
            values[values == 0] = 0xFFFF
            rows[:, l4 + UDP_CHECKSUM : l4 + UDP_CHECKSUM + 2].view(LE16)[:, 0] = values

    def packets(self) -> list[bytes]:
        """All of them, one by one: for whoever has no use for rows."""
        width = -(-self.size // 4) * 4
        found: list[bytes] = []
        for first in range(0, self.count, MOST_ROWS):
            rows = np.zeros((min(MOST_ROWS, self.count - first), width), np.uint8)
            self.fill(rows, first)
            found += [row[: self.size].tobytes() for row in rows]
        found[-1] = found[-1][: self.last]
        return found
