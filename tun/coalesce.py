"""Packets of one TCP or UDP flow merged into one frame of the kernel's segmentation offload.

Only what the kernel's own GRO would merge, and only if cutting the frame again gives the very same octets:
equal headers, numbers that count on, right checksums (net/ipv4/tcp_offload.c, udp_offload.c).
"""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from tun import words
from tun.checksum import Rows, Sums, checksums, fold, little_sums, swapped
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

_MORE_OR_OFFSET = 0x3FFF  # of IPv4's fragment field
_ACK, _ECE = 0x10, 0x40
_MERGED = _ACK | _ECE | PSH | FIN  # flags that a merged segment may have; ACK it must
_ENDS = bytes(bool(flags & (PSH | FIN)) for flags in range(256))
_ONES, _NONE = b"\xff\xff", bytes(2)
_CHAINS = 4
_AE = 0x0F  # the low bits beside TCP's data offset: reserved, or flags of later RFCs


@dataclass(frozen=True, slots=True)
class _Shape:
    """Where things are in the headers of a flow that can be merged."""

    layout: words.Layout
    mask: words.Words  # zeros where packets that follow each other may differ

    version: int
    tcp: bool
    l4: int
    headers: int
    field: int  # where TCP's or UDP's checksum is


def _shape(version: int, tcp: bool, headers: int) -> _Shape:
    l4 = IPV4_HEADER if version == 4 else IPV6_HEADER
    layout = words.Layout(version, tcp, l4 // 4, headers // 4)
    mask = np.full(layout.width + 1, 0xFFFFFFFF, np.uint32)
    # The checksum (what it has to be is compared), and TCP's flags that end a frame
    if tcp:
        mask[layout.l4 + 3] = ~((PSH | FIN) << 16) & 0xFFFFFFFF
        mask[layout.l4 + 4] = 0x0000FFFF
    else:
        mask[layout.l4 + 1] = 0xFFFF0000
    field = l4 + (TCP_CHECKSUM if tcp else UDP_CHECKSUM)
    return _Shape(layout, mask, version, tcp, l4, headers, field)


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

    def pieces(self, rows: Rows, size: int, last: int) -> Iterator[tuple[int, memoryview | None]]:
        """How many rows make the next frame, and the frame; 1 and None for a packet alone. In order.

        Each row is a whole IP packet of `size` octets, but the last one of `last`; the rows' width is `size`
        rounded up to a multiple of 4, and what is behind the packets is overwritten with zeros.
        """
        if rows.shape[1] > size:
            rows[:, size:] = 0
        if last < size:
            rows[-1, last:] = 0
        at, count, tried = 0, len(rows), 0
        chain: _Chain | None = None
        while at < count:
            shape = _shape_of(memoryview(rows[at])[:size]) if at < count - 1 and size > IPV6_HEADER else None
            if shape is None or size <= shape.headers:
                yield 1, None
                at += 1
                continue
            if chain is None or chain.shape is not shape:
                # Rows that rarely merge shall not cost their square.
                chain = _Chain(rows[at:], at, shape, size, last) if tried < _CHAINS else None
                tried += 1
            run = chain.run(at) if chain is not None else 1
            if run < 2:
                yield 1, None
            else:
                yield run, self._frame(rows[at : at + run], shape, size, last if at + run == count else size)
            at += run

    def _frame(self, rows: Rows, shape: _Shape, size: int, last: int) -> memoryview:
        headers, l4, count = shape.headers, shape.l4, len(rows)
        gso = size - headers
        end = headers + (count - 1) * gso
        length = end + last - headers
        array, view = self._array, self._view
        array[SIZE : SIZE + headers] = rows[0, :headers]
        array[SIZE + headers : SIZE + end].reshape(count - 1, gso)[:] = rows[:-1, headers:size]
        array[SIZE + end : SIZE + length] = rows[-1, headers:last]
        packet = view[SIZE : SIZE + length]
        if shape.tcp:
            packet[l4 + FLAGS] |= rows.item(count - 1, l4 + FLAGS) & (PSH | FIN)
            kind = GSO_TCPV4 if shape.version == 4 else GSO_TCPV6
        else:
            packet[l4 + 4 : l4 + 6] = (length - l4).to_bytes(2, "big")
            kind = GSO_UDP_L4
        if shape.version == 4:
            packet[2:4] = length.to_bytes(2, "big")
            checksum = int.from_bytes(packet[10:12], "big") + size - length
            packet[10:12] = (checksum % 0xFFFF).to_bytes(2, "big")
        else:
            packet[4:6] = (length - l4).to_bytes(2, "big")
        pseudo = _pseudo_sum(packet, shape) + length - l4
        packet[shape.field : shape.field + 2] = (pseudo % 0xFFFF).to_bytes(2, "big")
        HEADER.pack_into(view, 0, NEEDS_CSUM, kind, headers, gso, l4, shape.field - l4)
        return view[: SIZE + length]


class _Chain:
    """Which rows continue the one before, looked at all at once as packets of one shape."""

    __slots__ = ("_base", "_breaks", "_lacks", "_most", "_residues", "_rows", "shape")

    def __init__(self, rows: Rows, base: int, shape: _Shape, size: int, last: int) -> None:
        """`base`: the number of the first row."""
        self.shape = shape
        self._rows, self._base, self._lacks = rows, base, size - last
        self._most = (MAX_PACKET - shape.headers) // (size - shape.headers)
        self._residues = _residues(rows, shape.l4, size, last)
        self._breaks = _breaks(rows, shape, self._residues, size, last)

    def run(self, first: int) -> int:
        """How many rows from number `first` on belong together."""
        at = first - self._base
        index = bisect_right(self._breaks, at)
        end = self._breaks[index] if index < len(self._breaks) else len(self._rows)
        run = min(end - at, self._most)
        if run > 1 and self.shape.version == 4:
            run = self._until_wrap(at, run)
        return run if run > 1 and self._is_right(at) else 1

    def _until_wrap(self, at: int, run: int) -> int:
        """How many of so many rows do without a number that begins again: a frame ends there."""
        packet = self._rows[at, :IPV4_HEADER].tobytes()
        checksum = packet[10] << 8 | packet[11]
        run = min(run, words.until_wrap(packet[4] << 8 | packet[5], checksum))
        if at + run == len(self._rows) and checksum - run + 1 + self._lacks >= 0xFFFF:
            run -= 1  # the last row's
        return run

    def _is_right(self, at: int) -> bool:
        """Whether a row's checksums are right: wrong ones must stay what they are."""
        shape = self.shape
        packet = self._rows[at, : shape.headers].tobytes()
        if shape.version == 4 and (fold(packet[: shape.l4]) or packet[10:12] == _ONES):
            return False
        if packet[shape.field : shape.field + 2] == _not_rebuilt(shape):
            return False
        return self._residues.item(at) == swapped(_pseudo_sum(packet, shape) % 0xFFFF)


def _not_rebuilt(shape: _Shape) -> bytes:
    """The checksum that may be right, but that the kernel would write otherwise or, with UDP, leaves out."""
    return _ONES if shape.tcp else _NONE


def _pseudo_sum(packet: bytes | memoryview, shape: _Shape) -> int:
    """The pseudo header's sum without the length, big-endian."""
    addresses = packet[12:20] if shape.version == 4 else packet[8:40]
    return fold(addresses) + (TCP if shape.tcp else UDP)


def _residues(rows: Rows, l4: int, size: int, last: int) -> Sums:
    """What each pseudo header's sum without the length has to be, little-endian, for TCP's or UDP's checksum
    to be right."""
    sums = little_sums(rows[:, l4:])
    length = swapped(size - l4)
    if last != size:
        sums[-1] += np.uint64(0xFFFF + swapped(last - l4) - length)
    return checksums(sums, length)


def _breaks(rows: Rows, shape: _Shape, residues: Sums, size: int, last: int) -> list[int]:
    """The rows that do not continue the one before, in order, if that one is right.

    Less what each row has more by its number, rows that follow each other are equal.
    """
    layout, count = shape.layout, len(rows)
    table = np.empty((count, layout.width + 1), np.uint32)
    table[:, :-1] = rows[:, : shape.headers].view(words.BE32)
    table[:, -1] = residues
    table &= shape.mask
    if last != size:
        words.change_length(table[-1], layout, size - last)
    table -= words.steps(layout, size - shape.headers)[:count]
    octets = table.tobytes()
    found = {count - 1} if last <= shape.headers else set()
    if octets != octets[: 4 * (layout.width + 1)] * count:
        found.update((np.flatnonzero((table[1:] != table[:-1]).any(axis=1)) + 1).tolist())
    checksums = rows[:, shape.field : shape.field + 2].tobytes()
    odd = _not_rebuilt(shape)
    if odd in checksums:
        found.update(row for row in range(1, count) if checksums[2 * row : 2 * row + 2] == odd)
    if shape.tcp:
        flags = rows[:, shape.l4 + FLAGS].tobytes().translate(_ENDS)  # of a frame
        row = -1
        while (row := flags.find(b"\1", row + 1)) >= 0:
            found.add(row + 1)
    return sorted(found)
