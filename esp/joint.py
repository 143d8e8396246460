"""Frames that a device hands over one behind the other: laid out as one train and sealed together.

What is done once for all of them costs less than once for each, and so does a send. Where there are several
SAs, all of them must be what `esp.medley` takes.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from esp import medley
from esp.database import Outbound
from esp.packet import Buffer, stream_of
from esp.trains import Octets, Segments, Train, Trains
from esp.transport import Train as Sealed

_ROOM = 5 * ((1 << 16) + (1 << 13))  # octets: five frames of 64 KiB, and what ESP adds to their packets


@dataclass(slots=True, eq=False)
class Part:
    """Rows under one SA, from row `first` on; only the last one's packet may be shorter than the others."""

    entry: Outbound
    tos: int
    first: int
    count: int
    size: int  # octets of an inner packet
    lacks: int  # octets that the last one has less
    last: int  # octets of the last ESP packet

    def octets(self, count: int) -> int:
        """Of the first `count` inner packets."""
        return count * self.size - (self.lacks if count == self.count else 0)


class Joint:
    """What was laid out and waits to be sealed: `parts`, in order."""

    __slots__ = ("_array", "_count", "_pieces", "_size", "_streams", "_version", "parts", "train", "trains")

    train: Train
    _array: Octets  # the rows from where the inner packets begin, as wide as those

    def __init__(self) -> None:
        self.trains = Trains(_ROOM)
        self.parts: list[Part] = []
        self._pieces: list[tuple[Segments, int, int]] = []
        self._streams: set[bytes | None] | None = None  # of what was laid out, None there: anything
        self._count = self._size = self._version = 0

    def begin(self, entry: Outbound, segments: Segments) -> None:
        """For inner packets of this frame's size and IP version."""
        self.parts, self._pieces = [], []
        self._count, self._size, self._version = 0, segments.size, segments.headers[0] >> 4
        self.train = entry.sa.layout(self.trains, self._size)
        start = entry.sa.start
        self._array = self.train.array[:, start : start - (-self._size // 4) * 4]

    def takes(self, entry: Outbound, segments: Segments, first: int) -> bool:
        """Whether the frame's packets from `first` on can follow."""
        parts = self.parts
        if not parts or segments.size != self._size or segments.headers[0] >> 4 != self._version:
            return False
        if self._count + segments.count - first > self.train.capacity:
            return False
        before = parts[-1]
        if entry is before.entry and not before.lacks:
            return True
        return medley.go_together(entry.sa, before.entry.sa)

    def add(self, entry: Outbound, tos: int, segments: Segments, first: int) -> int:
        """Lay out packets from `first` on; how many there was room for."""
        at, size, parts = self._count, self._size, self.parts
        left, room = segments.count - first, self.train.capacity - at
        count, lacks, last = left, size - segments.last, self.train.stride
        if left > room:
            count, lacks = room, 0
        segments.lay(self._array[at : at + count], first)
        self._pieces.append((segments, first, count))
        self._count, self._streams = at + count, None
        if lacks:
            last = entry.sa.size_of(size - lacks)
        before = parts[-1] if parts else None
        if before is not None and before.entry is entry and before.tos == tos and not before.lacks:
            before.count += count
            before.lacks, before.last = lacks, last
        else:
            parts.append(Part(entry, tos, at, count, size, lacks, last))
        return count

    def may_pass(self, packet: Buffer) -> bool:
        """Whether this whole packet may overtake all that was laid out."""
        streams = self._streams
        if streams is None:
            streams = self._streams = {stream_of(segments.headers) for segments, _, _ in self._pieces}
        stream = stream_of(packet)
        return stream is not None and None not in streams and stream not in streams

    def take(self) -> list[Part]:
        """The parts, which nobody else gets any more, ready to be sealed."""
        parts, self.parts = self.parts, []
        if parts:
            pieces, self._pieces = self._pieces, []
            pieces[0][0].head(self._array[: self._count], pieces)
            sa = parts[0].entry.sa  # all have the same layout
            sa.end(self.train, self._count, self._version, self._size)
            for part in parts:
                if part.lacks:
                    sa.end_short(self.train.rows[part.first + part.count - 1], self._size - part.lacks)
        return parts

    def seal_part(self, part: Part) -> int:
        """Seal what is under one SA; how many packets, because the sequence numbers may run out."""
        return part.entry.sa.seal_laid(self.trains, self.train.behind(part.first), part.count, part.last)

    def seal_parts(self, parts: list[Part]) -> bool:
        """Seal all of it at once; False, and nothing has been done, if that can't be."""
        runs = [(part.entry.sa, part.count, part.last) for part in parts]
        return medley.seal_runs(self.trains, self.train, runs)

    def sealed(self, first: int, count: int, last: int) -> Sealed:
        """ESP packets that one send takes: `count` from row `first` on, the last one of `last` octets."""
        stride = self.train.stride
        begin = first * stride
        return Sealed((self.trains.arena[begin : begin + (count - 1) * stride + last],), stride, count)

    def ways(self, parts: list[Part]) -> Iterator[list[Part]]:
        """Parts that one send takes: they go the same way, and all packets but the last one are full."""
        way = parts[:1]
        for part in parts[1:]:
            before = way[-1]
            same = before.entry.path.goes_with(part.entry.path)
            if not (same and before.tos == part.tos and before.last == self.train.stride):
                yield way
                way = []
            way.append(part)
        yield way
