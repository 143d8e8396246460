"""Packets of one TCP or UDP flow merged into one frame of the kernel's segmentation offload.

Only what the kernel's own GRO would merge, and only if cutting the frame again gives the very same octets:
equal headers, numbers that count on, right checksums (net/ipv4/tcp_offload.c, udp_offload.c).
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from tun.checksum import Rows, big_sums, fold, little_sums, swapped
from tun.segments import (
    BE16,
    BE32,
    FIN,
    FLAGS,
    IPV4_HEADER,
    IPV6_HEADER,
    MAX_PACKET,
    PSH,
    STEPS,
    TCP,
    TCP_CHECKSUM,
    TCP_HEADER,
    UDP,
    UDP_CHECKSUM,
    UDP_HEADER,
)
from tun.virtio import GSO_TCPV4, GSO_TCPV6, GSO_UDP_L4, HEADER, NEEDS_CSUM, SIZE

Flags = NDArray[np.bool_]

_MORE_OR_OFFSET = 0x3FFF  # of IPv4's fragment field
_ACK, _ECE = 0x10, 0x40
_MERGED = _ACK | _ECE | PSH | FIN  # flags that a merged segment may have; ACK it must
_AE = 0x0F  # the low bits beside TCP's data offset: reserved, or flags of later RFCs


@dataclass(frozen=True, slots=True)
class _Shape:
    """Where things are in the headers of a flow that can be merged."""

    version: int
    tcp: bool
    l4: int
    headers: int
    mask: Rows  # 0xFF where packets of one flow have equal octets

    @property
    def field(self) -> int:
        """Where TCP's or UDP's checksum is."""
        return self.l4 + (TCP_CHECKSUM if self.tcp else UDP_CHECKSUM)


def _shape(version: int, tcp: bool, headers: int) -> _Shape:
    l4 = IPV4_HEADER if version == 4 else IPV6_HEADER
    mask = np.full(headers, 0xFF, np.uint8)
    different = [(2, 6), (10, 12)] if version == 4 else [(4, 6)]  # length and ID, checksum; length
    if tcp:
        different += [
            (l4 + 4, l4 + 8),
            (l4 + FLAGS, l4 + FLAGS + 1),
            (l4 + TCP_CHECKSUM, l4 + TCP_CHECKSUM + 2),
        ]
    else:
        different += [(l4 + 4, l4 + 8)]  # length and checksum
    for first, end in different:
        mask[first:end] = 0
    return _Shape(version, tcp, l4, headers, mask)


_TCP_SHAPES = {
    (version, words): _shape(version, True, l4 + 4 * words)
    for version, l4 in ((4, IPV4_HEADER), (6, IPV6_HEADER))
    for words in range(TCP_HEADER // 4, 16)
}
_UDP_SHAPES = {
    4: _shape(4, False, IPV4_HEADER + UDP_HEADER),
    6: _shape(6, False, IPV6_HEADER + UDP_HEADER),
}


def _shape_of(packet: memoryview) -> _Shape | None:
    """How a packet can be merged with those behind it, if at all. `packet` is at least an IPv6 header."""
    if packet[0] == 0x45 and not (packet[6] << 8 | packet[7]) & _MORE_OR_OFFSET:
        version, protocol, l4 = 4, packet[9], IPV4_HEADER
    elif packet[0] >> 4 == 6:
        version, protocol, l4 = 6, packet[6], IPV6_HEADER
    else:
        return None
    if protocol == UDP and len(packet) > l4 + UDP_HEADER:
        return _UDP_SHAPES[version]
    if protocol == TCP and len(packet) > l4 + TCP_HEADER:
        flags = packet[l4 + FLAGS]
        if flags & _ACK and not flags & ~_MERGED and not packet[l4 + 12] & _AE:
            return _TCP_SHAPES.get((version, packet[l4 + 12] >> 4))
    return None


class Coalescer:
    """Builds frames out of rows, in memory of its own: a frame is valid until the next one is built."""

    __slots__ = ("_array", "_view")

    def __init__(self) -> None:
        memory = bytearray(SIZE + MAX_PACKET)
        self._array = np.frombuffer(memory, np.uint8)
        self._view = memoryview(memory)

    def merge(self, rows: Rows, size: int, last: int) -> tuple[int, memoryview | None]:
        """How many rows from the first on make one frame, and the frame; 1 and None for a packet alone.

        Each row is a whole IP packet of `size` octets, but the last one of `last`; the rows' width is `size`
        rounded up to a multiple of 4, and what is behind the packets is overwritten with zeros.
        """
        shape = _shape_of(memoryview(rows[0])[:size]) if size > IPV6_HEADER else None
        if shape is None or size <= shape.headers or last <= shape.headers:
            return 1, None
        most = min(len(rows), (MAX_PACKET - shape.headers) // (size - shape.headers))
        if most < len(rows):
            rows, last = rows[:most], size
        rows[:, size:] = 0
        rows[-1, last:] = 0
        count = _run(rows, shape, size, last)
        if count < 2:
            return 1, None
        return count, self._frame(rows[:count], shape, size, last if count == len(rows) else size)

    def _frame(self, rows: Rows, shape: _Shape, size: int, last: int) -> memoryview:
        headers, l4, count = shape.headers, shape.l4, len(rows)
        gso = size - headers
        length = headers + (count - 1) * gso + last - headers
        array, view = self._array[SIZE:], self._view
        array[:headers] = rows[0, :headers]
        body = array[headers : headers + (count - 1) * gso].reshape(count - 1, gso)
        body[:] = rows[:-1, headers:size]
        array[headers + (count - 1) * gso : length] = rows[-1, headers:last]
        packet = view[SIZE : SIZE + length]
        if shape.tcp:
            packet[l4 + FLAGS] |= int(rows[-1, l4 + FLAGS]) & (PSH | FIN)
            kind = GSO_TCPV4 if shape.version == 4 else GSO_TCPV6
        else:
            packet[l4 + 4 : l4 + 6] = (length - l4).to_bytes(2, "big")
            kind = GSO_UDP_L4
        if shape.version == 4:
            packet[2:4] = length.to_bytes(2, "big")
            packet[10:12] = bytes(2)
            packet[10:12] = (-fold(packet[:l4]) % 0xFFFF).to_bytes(2, "big")
        else:
            packet[4:6] = (length - l4).to_bytes(2, "big")
        pseudo = _pseudo_sum(packet, shape) + length - l4
        packet[shape.field : shape.field + 2] = (pseudo % 0xFFFF).to_bytes(2, "big")
        HEADER.pack_into(view, 0, NEEDS_CSUM, kind, headers, gso, l4, shape.field - l4)
        return view[: SIZE + length]


def _pseudo_sum(packet: memoryview, shape: _Shape) -> int:
    """The pseudo header's sum without the length, big-endian."""
    addresses = packet[12:20] if shape.version == 4 else packet[8:40]
    return fold(addresses) + (TCP if shape.tcp else UDP)


def _run(rows: Rows, shape: _Shape, size: int, last: int) -> int:
    """How many rows from the first on belong together."""
    headers, l4 = shape.headers, shape.l4
    count = len(rows)
    bad: Flags = np.bitwise_or.reduce((rows[:, :headers] ^ rows[0, :headers]) & shape.mask, axis=1) != 0
    if shape.version == 4:
        steps = STEPS[:count].astype(np.uint16)
        numbers = rows[:, 4:6].view(BE16)[:, 0]
        bad |= numbers != numbers[0] + steps
        bad |= big_sums(rows[:, :l4]) % np.uint64(0xFFFF) != 0
        bad |= rows[:, 10:12].view(BE16)[:, 0] == 0xFFFF
        lengths = rows[:, 2:4].view(BE16)[:, 0]
        excess = 0
    else:
        lengths = rows[:, 4:6].view(BE16)[:, 0]
        excess = l4
    bad[:-1] |= lengths[:-1] != size - excess
    bad[-1] |= lengths[-1] != last - excess
    if shape.tcp:
        _check_tcp(rows, shape, bad, size - headers)
    else:
        _check_udp(rows, shape, bad, size, last)
    _check_sums(rows, shape, bad, size, last)
    if bad[0]:
        return 1
    found = int(bad.argmax())
    return found or count


def _check_tcp(rows: Rows, shape: _Shape, bad: Flags, gso: int) -> None:
    l4 = shape.l4
    numbers = rows[:, l4 + 4 : l4 + 8].view(BE32)[:, 0]
    bad |= numbers != numbers[0] + (STEPS[: len(rows)] * np.uint64(gso)).astype(np.uint32)
    flags = rows[:, l4 + FLAGS]
    bad |= (flags ^ flags[0]) & ~np.uint8(PSH | FIN) != 0
    bad[1:] |= flags[:-1] & (PSH | FIN) != 0  # such a segment ends its frame
    bad |= rows[:, shape.field : shape.field + 2].view(BE16)[:, 0] == 0xFFFF


def _check_udp(rows: Rows, shape: _Shape, bad: Flags, size: int, last: int) -> None:
    l4 = shape.l4
    lengths = rows[:, l4 + 4 : l4 + 6].view(BE16)[:, 0]
    bad[:-1] |= lengths[:-1] != size - l4
    bad[-1] |= lengths[-1] != last - l4
    bad |= rows[:, shape.field : shape.field + 2].view(BE16)[:, 0] == 0


def _check_sums(rows: Rows, shape: _Shape, bad: Flags, size: int, last: int) -> None:
    """The checksums of TCP or UDP: a wrong one must stay what it is."""
    l4 = shape.l4
    pseudo = _pseudo_sum(memoryview(rows[0]), shape) % 0xFFFF
    sums = little_sums(rows[:, l4:])
    sums += np.uint64(swapped(pseudo) + swapped(size - l4))
    if last != size:
        sums[-1] += np.uint64(0xFFFF + swapped(last - l4) - swapped(size - l4))
    bad |= sums % np.uint64(0xFFFF) != 0
