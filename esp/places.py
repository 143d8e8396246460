"""Where in an arena the ESP packets of one read stand, and reading packets of protocol 50, many at once."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace

import numpy as np

from esp import cmsg, mmsg
from esp.trains import Octets, Trains, alike
from esp.transport import Received, Transport

_ROWS = 64
_ROW = 1 << 16
_PITCH = _ROW + 33 * 64  # rows a power of two apart would share a few lines of the CPU's cache


@dataclass(frozen=True, slots=True)
class Place:
    """`count` packets of `stride` octets, the last one of `last`, `pitch` octets apart from row `first` on.

    Row 0 begins `offset` octets into the arena.
    """

    trains: Trains
    offset: int
    first: int
    stride: int
    count: int
    last: int
    pitch: int

    def rows(self) -> list[memoryview]:
        start = self.offset + self.first * self.pitch
        starts = range(start, start + self.count * self.pitch, self.pitch)
        rows = [self.trains.arena[at : at + self.stride] for at in starts]
        rows[-1] = rows[-1][: self.last]
        return rows

    def behind(self, count: int) -> Place:
        """What is behind the first `count` packets."""
        return replace(self, first=self.first + count, count=self.count - count)

    def column(self, first: int, end: int) -> Octets:
        """Octets `first` to `end` of every packet."""
        start = self.offset + self.first * self.pitch + first
        return np.ndarray((self.count, end - first), np.uint8, self.trains.arena, start, (self.pitch, 1))


class RawRows:
    """Memory for packets of protocol 50: those not touched cost nothing."""

    __slots__ = ("_receiver", "_trains")

    def __init__(self) -> None:
        self._trains = Trains((_ROWS + 1) * _PITCH, _PITCH)
        self._receiver = mmsg.Receiver(self._trains.arena, _PITCH, _ROW)

    def read(self, transport: Transport, most: int) -> Iterator[tuple[Received, Place]]:
        """What is there, at most so many packets; those alike and behind each other are in one place."""
        count = transport.receive_many(self._receiver, min(most, _ROWS))
        if count > 1:
            last = self._receiver.last_of_alike(count)
            # Of what an IPv4 raw socket gives, too: the length of the IP header and its TOS octet
            heads = np.ndarray((count, 2), np.uint8, self._trains.arena, 0, (_PITCH, 1))
            if last is not None and (transport.version == 6 or alike(heads)):
                yield self._place(transport, 0, count, self._receiver.arrival(0), last)
                return
        yield from self._sorted(transport, [self._receiver.arrival(row) for row in range(count)])

    def _sorted(self, transport: Transport, arrivals: list[mmsg.Arrival]) -> Iterator[tuple[Received, Place]]:
        keys = [self._key(transport, row, arrival) for row, arrival in enumerate(arrivals)]
        at = 0
        while at < len(arrivals):
            length = arrivals[at].length
            end = at + 1
            while end < len(arrivals) and keys[end] == keys[at] and arrivals[end].length <= length:
                end += 1
                if arrivals[end - 1].length < length:
                    break
            yield self._place(transport, at, end - at, arrivals[at], arrivals[end - 1].length)
            at = end

    def _place(
        self, transport: Transport, first: int, count: int, arrival: mmsg.Arrival, last: int
    ) -> tuple[Received, Place]:
        """Of packets that are like the `first` one, whose arrival this is."""
        offset, tos = self._key(transport, first, arrival)[:2]
        length = max(0, arrival.length - offset)
        local = cmsg.read(mmsg.parse_control(arrival.control)).local_address or transport.local_address
        received = Received(length, length, tos, mmsg.parse_name(arrival.name), local)
        return received, Place(self._trains, offset, first, length, count, max(0, last - offset), _PITCH)

    def _key(self, transport: Transport, row: int, arrival: mmsg.Arrival) -> tuple[int, int, bytes, bytes]:
        """How long the header in front is, its TOS octet, and what else a train has in common."""
        if transport.version == 4:  # an IPv4 raw socket gives the IP header, too
            octets = self._trains.arena[row * _PITCH :]
            return (octets[0] & 0x0F) * 4, octets[1], arrival.name, arrival.control
        tos = cmsg.read(mmsg.parse_control(arrival.control)).tos
        return 0, tos, arrival.name, arrival.control
