"""GRO: merges packets of one TCP or UDP flow into one GSO frame for the kernel.

Merges only what the kernel's own GRO would merge, and only if cutting the frame again gives the same octets:
equal headers, consecutive sequence numbers and IDs, right checksums (net/ipv4/tcp_offload.c, udp_offload.c).
"""

from __future__ import annotations

import struct
from bisect import bisect_right
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np

from tun import header_deltas
from tun.checksum import Rows, Sums, checksums, little_sums, swapped
from tun.gso import (
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

_IPV4, _IPV6 = struct.Struct(">2xH2xHxB"), struct.Struct(">4xHB")  # length, fragment field, protocol
_MORE_OR_OFFSET = 0x3FFF  # IPv4's More Fragments and offset
_ACK, _ECE = 0x10, 0x40
_MERGED = _ACK | _ECE | PSH | FIN  # flags that a merged segment may have; ACK is required
_ENDS = bytes(bool(flags & (PSH | FIN)) for flags in range(256))
_ONES, _NONE = 0xFFFF, 0
_MAX_CHAINS = 4  # of one call: rows that rarely merge must not cost quadratic time
_MOST_UDP = 64  # segments of a frame: UDP_MAX_SEGMENTS of every kernel (linux/udp.h), which refuses more
_AE = 0x0F  # the low bits beside TCP's data offset: reserved, or flags of later RFCs


@dataclass(frozen=True, slots=True)
class _Shape:
    """Offsets in the headers of a flow that can be merged."""

    layout: header_deltas.HeaderLayout
    head: struct.Struct  # headers as 32-bit words
    addresses: slice  # words of the addresses
    mask: header_deltas.HeaderWords  # zero bits where consecutive packets may differ

    version: int
    tcp: bool
    l4: int
    headers: int
    field: int  # where TCP's or UDP's checksum is
    kind: int  # virtio's GSO type


def _shape(version: int, tcp: bool, headers: int) -> _Shape:
    l4 = IPV4_HEADER if version == 4 else IPV6_HEADER
    layout = header_deltas.HeaderLayout(version, tcp, l4 // 4, headers // 4)
    mask = np.full(layout.width + 1, 0xFFFFFFFF, np.uint32)
    # Checksums (compared as residues) and TCP's flags that end a frame
    if tcp:
        mask[layout.l4 + 3] = ~((PSH | FIN) << 16) & 0xFFFFFFFF
        mask[layout.l4 + 4] = 0x0000FFFF
    else:
        mask[layout.l4 + 1] = 0xFFFF0000
    field = l4 + (TCP_CHECKSUM if tcp else UDP_CHECKSUM)
    kind = GSO_UDP_L4 if not tcp else GSO_TCPV4 if version == 4 else GSO_TCPV6
    head, addresses = struct.Struct(f">{layout.width}I"), slice(3 if version == 4 else 2, layout.l4)
    return _Shape(layout, head, addresses, mask, version, tcp, l4, headers, field, kind)


_TCP_SHAPES = {
    (version, header_deltas): _shape(version, True, l4 + 4 * header_deltas)
    for version, l4 in ((4, IPV4_HEADER), (6, IPV6_HEADER))
    for header_deltas in range(TCP_HEADER // 4, 16)
}
_UDP_SHAPES = {
    4: _shape(4, False, IPV4_HEADER + UDP_HEADER),
    6: _shape(6, False, IPV6_HEADER + UDP_HEADER),
}


def _shape_of(packet: memoryview) -> _Shape | None:
    """The shape of a packet that can be merged, else None. `packet` has at least 40 octets."""
    first, length = packet[0], len(packet)
    if first == 0x45:
        claimed, fragment, protocol = _IPV4.unpack_from(packet)
        if claimed != length or fragment & _MORE_OR_OFFSET:
            return None
        version, l4 = 4, IPV4_HEADER
    elif first >> 4 == 6:
        claimed, protocol = _IPV6.unpack_from(packet)
        if claimed != length - IPV6_HEADER:
            return None
        version, l4 = 6, IPV6_HEADER
    else:
        return None
    if protocol == TCP and length > l4 + TCP_HEADER:
        offset, flags = packet[l4 + 12], packet[l4 + FLAGS]
        if flags & _ACK and not flags & ~_MERGED and not offset & _AE:
            return _TCP_SHAPES.get((version, offset >> 4))
    elif protocol == UDP and length > l4 + UDP_HEADER:
        return _UDP_SHAPES[version] if packet[l4 + 4] << 8 | packet[l4 + 5] == length - l4 else None
    return None


class Coalescer:
    """Merges rows into frames in its own memory: a frame is valid until the next one is built."""

    __slots__ = ("_array", "_view")

    def __init__(self) -> None:
        memory = bytearray(SIZE + MAX_PACKET)
        self._array = np.frombuffer(memory, np.uint8)
        self._view = memoryview(memory)

    def merge(self, rows: Rows, size: int, last: int) -> Iterator[tuple[int, memoryview | None]]:
        """Yield, in order, the number of rows of the next frame, and the frame; 1 and None for a single
        packet.

        Each row is a whole IP packet of `size` octets, but the last one of `last`; the rows' width is `size`
        rounded up to a multiple of 4, and octets behind the packets become 0.
        """
        if rows.shape[1] > size:
            rows[:, size:] = 0
        if last < size:
            rows[-1, last:] = 0
        at, count, tried = 0, len(rows), 0
        chain: _Chain | None = None
        while at < count:
            shape = None
            if chain is not None and chain.following == at:
                shape = chain.shape
            elif at < count - 1 and size > IPV6_HEADER:
                shape = _shape_of(memoryview(rows[at])[:size])
            if shape is None or size <= shape.headers:
                yield 1, None
                at += 1
                continue
            if chain is None or chain.shape is not shape:
                chain = _Chain(rows[at:], at, shape, size, last) if tried < _MAX_CHAINS else None
                tried += 1
            run, head = chain.run(at) if chain is not None else (1, ())
            if chain is None or run < 2:
                yield 1, None
            else:
                end = last if at + run == count else size
                yield run, self._frame(rows[at : at + run], chain, list(head), end)
            at += run

    def _frame(self, rows: Rows, chain: _Chain, head: list[int], last: int) -> memoryview:
        """Build the frame of these rows. `head`: the first row's headers in words."""
        shape, size, gso, count = chain.shape, chain.size, chain.gso, len(rows)
        array, view, headers, l4 = self._array, self._view, shape.headers, shape.layout.l4
        more = (count - 1) * gso + last - size  # octets that the frame has more than one packet
        begin, end = SIZE + headers, SIZE + size + more
        if last == size:
            array[begin:end].reshape(count, gso)[:] = rows[:, headers:size]
        else:
            array[begin : begin + (count - 1) * gso].reshape(count - 1, gso)[:] = rows[:-1, headers:size]
            array[begin + (count - 1) * gso : end] = rows[-1, headers:last]
        upper = size - shape.l4 + more
        pseudo = (chain.pseudo + upper) % 0xFFFF
        if shape.tcp:
            head[l4 + 3] |= (rows.item(count - 1, shape.l4 + FLAGS) & (PSH | FIN)) << 16
            head[l4 + 4] = head[l4 + 4] & 0xFFFF | pseudo << 16
        else:
            head[l4 + 1] = upper << 16 | pseudo
        if shape.version == 4:
            head[0] += more
            checksum = head[2] & 0xFFFF
            head[2] += (checksum - more) % 0xFFFF - checksum
        else:
            head[1] = upper << 16 | head[1] & 0xFFFF
        view[:SIZE] = chain.front
        shape.head.pack_into(view, SIZE, *head)
        return view[:end]


class _Chain:
    """Finds the rows that continue the one before, all at once, as packets of one shape.

    `following`: index of a row that continues a full frame. `front`: the virtio header of all frames;
    `pseudo`: the pseudo header's sum without the length.
    """

    __slots__ = (
        "_base",
        "_breaks",
        "_lacks",
        "_most",
        "_residues",
        "_rows",
        "following",
        "front",
        "gso",
        "pseudo",
        "shape",
        "size",
    )

    def __init__(self, rows: Rows, base: int, shape: _Shape, size: int, last: int) -> None:
        """`base`: the index of the first row."""
        self.shape, self.size, self.gso = shape, size, size - shape.headers
        self.following, self.pseudo = -1, 0
        self.front = HEADER.pack(
            NEEDS_CSUM, shape.kind, shape.headers, self.gso, shape.l4, shape.field - shape.l4
        )
        self._rows, self._base, self._lacks = rows, base, size - last
        most = (MAX_PACKET - shape.headers) // self.gso
        self._most = most if shape.tcp else min(most, _MOST_UDP)
        self._residues = _residues(rows, shape.l4, size, last)
        self._breaks = _breaks(rows, shape, self._residues, size, last)

    def run(self, first: int) -> tuple[int, tuple[int, ...]]:
        """How many rows from index `first` on make a frame, and the headers of that one in words."""
        at = first - self._base
        index = bisect_right(self._breaks, at)
        end = self._breaks[index] if index < len(self._breaks) else len(self._rows)
        might, head = min(end - at, self._most + 1), self.shape.head.unpack_from(self._rows[at])
        if might > 1 and self.shape.version == 4:
            might = self._until_wrap(at, might, head)
        run = min(might, self._most)
        if run < 2 or not (first == self.following or self._is_right(at, head)):
            run = might = 1
        self.following = first + run if might > run else -1
        return run, head

    def _until_wrap(self, at: int, run: int, head: tuple[int, ...]) -> int:
        """How many of `run` rows come before an IPv4 field wraps: a frame ends there."""
        checksum = head[2] & 0xFFFF
        run = min(run, header_deltas.packets_until_wrap(head[1] >> 16, checksum))
        if at + run == len(self._rows) and checksum - run + 1 + self._lacks >= 0xFFFF:
            run -= 1  # the short last row's checksum wraps
        return run

    def _is_right(self, at: int, head: tuple[int, ...]) -> bool:
        """Whether a row's checksums are right: packets with wrong ones are delivered as they are. Sets
        `pseudo`. Sums are modulo 65535."""
        shape = self.shape
        if shape.version == 4 and (sum(head[: shape.layout.l4]) % 0xFFFF or head[2] & 0xFFFF == _ONES):
            return False
        word = head[shape.field // 4]
        if (word >> 16 if shape.tcp else word & 0xFFFF) == _not_rebuilt(shape):
            return False
        self.pseudo = _pseudo_sum(head, shape)
        return self._residues.item(at) == swapped(self.pseudo)


def _not_rebuilt(shape: _Shape) -> int:
    """The checksum value that may be right but that the kernel never writes (TCP: 0xFFFF), or that means none
    (UDP: 0)."""
    return _ONES if shape.tcp else _NONE


def _pseudo_sum(head: Sequence[int], shape: _Shape) -> int:
    """The pseudo header's sum without the length, big-endian, modulo 65535, from a packet's words."""
    return (sum(head[shape.addresses]) + (TCP if shape.tcp else UDP)) % 0xFFFF


def _residues(rows: Rows, l4: int, size: int, last: int) -> Sums:
    """By row, the pseudo header sum without length (little-endian) that makes TCP's or UDP's checksum
    right."""
    sums = little_sums(rows[:, l4:])
    length = swapped(size - l4)
    if last != size:
        sums[-1] += np.uint64(0xFFFF + swapped(last - l4) - length)
    return checksums(sums, length)


def _breaks(rows: Rows, shape: _Shape, residues: Sums, size: int, last: int) -> list[int]:
    """The rows that do not continue the one before, in order.

    Rows of one chain are equal after subtracting the header deltas of their index.
    """
    layout, count = shape.layout, len(rows)
    table = np.empty((count, layout.width + 1), np.uint32)
    table[:, :-1] = rows[:, : shape.headers].view(header_deltas.BE32)
    table[:, -1] = residues
    table &= shape.mask
    if last != size:
        header_deltas.change_length(table[-1], layout, size - last)
    table -= header_deltas.deltas(layout, size - shape.headers)[:count]
    octets = table.tobytes()
    found = {count - 1} if last <= shape.headers else set()
    if octets != octets[: 4 * (layout.width + 1)] * count:
        (rows_before,) = np.logical_or.reduce(table[1:] != table[:-1], axis=1).nonzero()
        found.update((rows_before + 1).tolist())
    checksums = rows[:, shape.field : shape.field + 2].tobytes()
    odd = _not_rebuilt(shape).to_bytes(2, "big")
    if odd in checksums:
        found.update(row for row in range(1, count) if checksums[2 * row : 2 * row + 2] == odd)
    if shape.tcp:
        flags = rows[:, shape.l4 + FLAGS].tobytes().translate(_ENDS)  # flags that end a frame
        row = -1
        while (row := flags.find(b"\1", row + 1)) >= 0:
            found.add(row + 1)
    return sorted(found)
