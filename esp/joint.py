"""Frames that a device hands over one behind the other, under one SA: laid out as one train.

What is done once for all of them costs less than once for each, and so does a send.
"""

from __future__ import annotations

from esp.database import Outbound
from esp.trains import Segments, Train, Trains
from esp.transport import Train as Sealed

FRAMES = 3
_ROOM = FRAMES * (1 << 16) + (1 << 14)  # octets: so many frames of 64 KiB, and what ESP adds


class Joint:
    """The frames of one send: `count` packets of one size, but the last one. `entry` is None when there are
    none."""

    __slots__ = ("_lacks", "_size", "count", "entry", "last", "tos", "train", "trains")

    train: Train

    def __init__(self) -> None:
        self.trains = Trains(_ROOM)
        self.entry: Outbound | None = None
        self.tos = self.count = self._size = self._lacks = 0
        self.last = 0  # octets of the last ESP packet

    def begin(self, entry: Outbound, tos: int, size: int) -> None:
        """For inner packets of `size` octets."""
        self.entry, self.tos, self._size = entry, tos, size
        self.count = self._lacks = 0
        self.train = entry.sa.layout(self.trains, size)
        self.last = self.train.stride

    def takes(self, entry: Outbound, tos: int, segments: Segments, first: int) -> bool:
        """Whether the frame's packets from `first` on can follow."""
        return (
            entry is self.entry
            and tos == self.tos
            and segments.size == self._size
            and not self._lacks
            and self.count + segments.count - first <= self.train.capacity
        )

    def add(self, segments: Segments, first: int) -> int:
        """Lay out packets from `first` on; how many there was room for."""
        assert self.entry is not None
        count = min(segments.count - first, self.train.capacity - self.count)
        self.last = self.entry.sa.lay(segments, first, self.train, self.count, count)
        self.count += count
        if first + count == segments.count:
            self._lacks = self._size - segments.last
        return count

    def sealed(self, count: int) -> Sealed:
        """The first `count` ESP packets, all or fewer."""
        stride = self.train.stride
        last = self.last if count == self.count else stride
        return Sealed((self.trains.arena[: (count - 1) * stride + last],), stride, count)

    def octets(self, count: int) -> int:
        """Of the inner packets of these."""
        return count * self._size - (self._lacks if count == self.count else 0)
