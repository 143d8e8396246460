"""Packets of one TCP or UDP flow merged into one frame of the kernel's segmentation offload.

Only what the kernel's own GRO would merge, and only if cutting the frame again gives the very same octets:
equal headers, numbers that count on, right checksums (net/ipv4/tcp_offload.c, udp_offload.c).
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from tun import words
from tun.checksum import Rows, fold, little_sums, swapped
from tun.segments import (
    FIN,
    FLAGS,
    IPV4_HEADER,
    IPV6_HEADER,
    MAX_PACKET,
    PSH,
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
_ENDS = np.uint32((PSH | FIN) << 16)
_HIGH, _LOW = np.uint32(0xFFFF0000), np.uint32(0xFFFF)
_MODULUS = np.uint64(0xFFFF)
_AE = 0x0F  # the low bits beside TCP's data offset: reserved, or flags of later RFCs


@dataclass(frozen=True, slots=True)
class _Shape:
    """Where things are in the headers of a flow that can be merged."""

    layout: words.Layout
    mask: words.Words  # ones where packets of one flow are equal or count on

    version: int
    tcp: bool
    l4: int
    headers: int
    field: int  # where TCP's or UDP's checksum is


def _shape(version: int, tcp: bool, headers: int) -> _Shape:
    l4 = IPV4_HEADER if version == 4 else IPV6_HEADER
    layout = words.Layout(version, tcp, l4 // 4, headers // 4)
    mask = np.full(layout.width, _HIGH | _LOW, np.uint32)
    if version == 4:
        mask[2] = _HIGH  # without the checksum
    if tcp:
        mask[layout.l4 + 3] ^= _ENDS
        mask[layout.l4 + 4] = _LOW  # without the checksum
    else:
        mask[layout.l4 + 1] = _HIGH
    return _Shape(layout, mask, version, tcp, l4, headers, l4 + (TCP_CHECKSUM if tcp else UDP_CHECKSUM))


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
    claimed = packet[2] << 8 | packet[3] if version == 4 else l4 + (packet[4] << 8 | packet[5])
    if claimed != len(packet):
        return None
    if protocol == UDP and len(packet) > l4 + UDP_HEADER:
        return _UDP_SHAPES[version] if packet[l4 + 4] << 8 | packet[l4 + 5] == len(packet) - l4 else None
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
    layout = shape.layout
    table = words.read(rows[:, : shape.headers])
    wanted = words.ramp(layout, size - shape.headers)[: len(rows)]
    different = (table & shape.mask) - (table[0] & shape.mask) - wanted
    if last != size:
        words.change_length(different[-1], layout, size - last)
    bad: Flags = np.bitwise_or.reduce(different, axis=1) != 0
    if layout.version == 4:
        bad |= np.add.reduce(table[:, : layout.l4], axis=1, dtype=np.uint64) % _MODULUS != 0
        bad |= table[:, 2] & _LOW == _LOW  # the other way to write 0 would be lost
    if layout.tcp:
        bad |= table[:, layout.l4 + 4] >= _HIGH
        bad[1:] |= table[:-1, layout.l4 + 3] & _ENDS != 0  # such a segment ends its frame
    else:
        bad |= table[:, layout.l4 + 1] & _LOW == 0
    _check_sums(rows, shape, bad, size, last)
    if bad[0]:
        return 1
    found = int(bad.argmax())
    return found or len(rows)


def _check_sums(rows: Rows, shape: _Shape, bad: Flags, size: int, last: int) -> None:
    """The checksums of TCP or UDP: a wrong one must stay what it is."""
    l4 = shape.l4
    pseudo = _pseudo_sum(memoryview(rows[0]), shape) % 0xFFFF
    sums = little_sums(rows[:, l4:])
    sums += np.uint64(swapped(pseudo) + swapped(size - l4))
    if last != size:
        sums[-1] += np.uint64(0xFFFF + swapped(last - l4) - swapped(size - l4))
    bad |= sums % np.uint64(0xFFFF) != 0
