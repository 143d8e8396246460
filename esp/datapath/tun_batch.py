"""TUN batch: lone packets that a device gives in one turn, a row each, and the runs of uniform ones in it."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from itertools import groupby
from operator import eq
from typing import NamedTuple

import numpy as np

from esp.packet.headers import IPV4_HEADER, IPV6_HEADER
from esp.packet.row_layouts import Octets, RowLayout, RowLayouts, address_keys, all_equal

ROWS = 64
_ROOM = 32  # in front of a packet: the longest ESP header and IV, or a device's headroom
_TAIL = 96  # behind it: padding, trailer and ICV
_PITCH = 2048 + 64  # no power of two: such rows would compete for a few lines of the CPU's cache
MAX_ROW_PACKET = _PITCH - _ROOM - _TAIL  # octets of the longest packet that does not reach into the next row
_LONGEST = 1 << 16  # a frame, or a long packet, covers the rows behind it


class Run(NamedTuple):
    """Uniform packets that follow each other: `packets` of them from row `first` on, of one length, which
    their headers claim too, and one TOS octet or traffic class. They have the same addresses, unless `keys`
    lists these."""

    first: int
    packets: int
    keys: Sequence[bytes] = ()


class TunBatch:
    """Memory for the lone packets of one turn. The packet of row n begins at `start(n)` in `arena`."""

    __slots__ = ("_buffers", "_octets", "arena", "begin", "first_packet", "layouts")

    def __init__(self) -> None:
        self.layouts = RowLayouts(ROWS * _PITCH + _LONGEST, _PITCH)
        self.arena = self.layouts.arena
        self.begin = self.start(0)
        self.first_packet = self.arena[self.begin :]  # and all behind it
        self._octets: Octets = np.frombuffer(self.arena, np.uint8)[: ROWS * _PITCH].reshape(ROWS, _PITCH)
        self._buffers: dict[int, tuple[Octets, list[tuple[memoryview]]]] = {}

    def read_buffers(self, headroom: int) -> tuple[Octets, list[tuple[memoryview]]]:
        """Where a device reads to: the rows from its headroom on as an array, and a buffer for each."""
        found = self._buffers.get(headroom)
        if found is None:
            begins = [self.start(row) - headroom for row in range(ROWS)]
            memory = [(self.arena[begin : begin + headroom + _LONGEST - 1],) for begin in begins]
            found = self._buffers[headroom] = self._octets[:, _ROOM - headroom : _PITCH - _TAIL], memory
        return found

    def start(self, row: int) -> int:
        return row * _PITCH + _ROOM

    def packet(self, row: int, length: int) -> memoryview:
        return self.arena[row * _PITCH + _ROOM : row * _PITCH + _ROOM + length]

    def layout(self, first: int, count: int, stride: int, start: int, icv: int) -> RowLayout:
        """The layout of ESP packets of `stride` octets around `count` packets in the rows from `first` on."""
        return self.layouts.layout(stride, start, icv, _ROOM - start, first + count).from_row(first)

    def runs(self, begin: int, lengths: Sequence[int], fewest: int) -> Iterator[Run]:
        """All packets in order as runs, each as long as possible; flows of fewer than `fewest` packets become
        runs of different addresses. `lengths`: of the packets in the rows from `begin` on."""
        packets = self._octets[begin : begin + len(lengths), _ROOM:]
        whole = _is_uniform(packets, lengths)
        if whole and all_equal(packets[:, 12:IPV4_HEADER]):
            yield Run(begin, len(lengths))  # the usual case
            return
        for at, count in [(0, len(lengths))] if whole else _uniform_stretches(packets, lengths):
            heads = packets[at : at + count, :IPV6_HEADER]
            keys = address_keys(heads, 4 if heads.item(0) >> 4 == 4 else 6)
            yield from _by_flow(begin + at, keys, fewest)


def _is_uniform(packets: Octets, lengths: Sequence[int]) -> bool:
    """Whether all are IPv4 of one length and TOS octet."""
    if lengths.count(lengths[0]) < len(lengths):
        return False
    heads = packets[:, :4]
    return heads.item(0) >> 4 == 4 and all_equal(heads)


def _uniform_stretches(packets: Octets, lengths: Sequence[int]) -> Iterator[tuple[int, int]]:
    """First index and number of packets that are uniform but for their addresses."""
    at = 0
    for _, same in groupby(_shapes(packets, lengths)):
        count = len(list(same))
        yield at, count
        at += count


def _shapes(packets: Octets, lengths: Sequence[int]) -> list[tuple[int, bytes]]:
    heads = packets[:, :6].tobytes()
    shapes = []
    for at, length in zip(range(0, len(heads), 6), lengths, strict=True):
        if heads[at] >> 4 == 4:
            shape = heads[at : at + 4]
        else:  # the traffic class ends in the middle of the second octet, where the flow label begins
            shape = bytes((heads[at], heads[at + 1] & 0xF0, *heads[at + 4 : at + 6], 6))
        shapes.append((length, shape))
    return shapes


def _by_flow(first: int, keys: Sequence[bytes], fewest: int) -> Iterator[Run]:
    """Runs of at least `fewest` equal keys, and the packets between them. `first`: the row of the first
    key."""
    if not any(map(eq, keys, keys[fewest - 1 :])):  # no flow is that long
        yield Run(first, len(keys), keys)
        return
    at = begin = 0  # the packets from `begin` to `at` are of different flows
    for _, same in groupby(keys):
        count = len(list(same))
        if count >= fewest:
            if begin < at:
                yield Run(first + begin, at - begin, keys[begin:at])
            yield Run(first + at, count)
            begin = at + count
        at += count
    if begin < at:
        yield Run(first + begin, at - begin, keys[begin:at])
