"""Lone packets that a device hands over one behind the other: each in a row of its own, those alike found."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from itertools import groupby

import numpy as np

from esp.packet import IPV4_HEADER, IPV6_HEADER
from esp.trains import Octets, Train, Trains, alike

ROWS = 64
_ROOM = 32  # in front of a packet: the longest ESP header and IV, or a device's headroom
_TAIL = 96  # behind it: padding, trailer and ICV
_PITCH = 2048 + 64  # rows a power of two apart would share a few lines of the CPU's cache
_LONGEST = 1 << 16  # a frame or a long packet reaches over the rows behind it


class Burst:
    """Memory for one burst. The packet of row n begins at `start(n)` in `arena`."""

    __slots__ = ("_octets", "_places", "arena", "first", "trains")

    def __init__(self) -> None:
        self.trains = Trains(ROWS * _PITCH + _LONGEST, _PITCH)
        self.arena = self.trains.arena
        self.first = self.arena[self.start(0) :]  # the first packet and all behind it
        self._octets: Octets = np.frombuffer(self.arena, np.uint8)[: ROWS * _PITCH].reshape(ROWS, _PITCH)
        self._places: dict[int, tuple[Octets, list[tuple[memoryview]]]] = {}

    def places(self, headroom: int) -> tuple[Octets, list[tuple[memoryview]]]:
        """Where to read to: rows from the headroom on as wide as packets may be, and the same as memory."""
        found = self._places.get(headroom)
        if found is None:
            begins = [self.start(row) - headroom for row in range(ROWS)]
            memory = [(self.arena[begin : begin + headroom + _LONGEST - 1],) for begin in begins]
            found = self._places[headroom] = self._octets[:, _ROOM - headroom : _PITCH - _TAIL], memory
        return found

    def start(self, row: int) -> int:
        return row * _PITCH + _ROOM

    def packet(self, row: int, length: int) -> memoryview:
        return self.arena[row * _PITCH + _ROOM : row * _PITCH + _ROOM + length]

    def layout(self, first: int, stride: int, start: int, icv: int) -> Train:
        """The rows from `first` on, for ESP packets of `stride` octets around the packets there."""
        return self.trains.layout(stride, start, icv, _ROOM - start).behind(first)

    def runs(self, lengths: Sequence[int]) -> Iterator[tuple[int, int]]:
        """First row and number of consecutive packets that have one length, which they also claim, one TOS
        octet or traffic class, and the same addresses. `lengths`: of the packets in the rows from 0 on."""
        if self._all_alike(lengths):
            yield 0, len(lengths)
            return
        keys = self._keys(lengths)
        at = 0
        for _, same in groupby(keys):
            count = len(list(same))
            yield at, count
            at += count

    def _all_alike(self, lengths: Sequence[int]) -> bool:
        """A quick look for what is usual: IPv4, all of one flow."""
        count = len(lengths)
        if lengths.count(lengths[0]) < count:
            return False
        heads = self._octets[:count, _ROOM : _ROOM + IPV4_HEADER]
        return heads.item(0) >> 4 == 4 and alike(heads[:, :4]) and alike(heads[:, 12:])

    def _keys(self, lengths: Sequence[int]) -> list[tuple[int, bytes]]:
        heads = self._octets[: len(lengths), _ROOM : _ROOM + IPV6_HEADER].tobytes()
        keys = []
        for at, length in zip(range(0, len(heads), IPV6_HEADER), lengths, strict=True):
            if heads[at] >> 4 == 4:
                key = heads[at : at + 4] + heads[at + 12 : at + IPV4_HEADER]
            else:  # without the flow label
                key = heads[at : at + 2] + heads[at + 4 : at + 6] + heads[at + 8 : at + IPV6_HEADER]
            keys.append((length, key))
        return keys
