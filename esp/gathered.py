"""Datagrams that were read from a UDP socket one behind the other, to be opened together."""

from __future__ import annotations

from esp.trains import MOST_ROWS
from esp.transport import MOST_SEGMENTS, Received

SHORTEST = 8  # octets of an ESP header
_DATAGRAM = 1 << 16  # no datagram is longer
ROOM = 6 * _DATAGRAM  # for what is opened together, and one datagram more
_MUCH = 120  # packets that are worth opening together although more may follow


class Gathered:
    """Datagrams of one size from one source, read back to back: the last one may be shorter."""

    __slots__ = ("_latest", "_most", "_shrunk", "count", "end", "received", "stride")

    def __init__(self, received: Received | None = None) -> None:
        self.received = received
        self.stride = self.end = self.count = self._latest = 0
        self._most = 0  # packets with which another read might give more than can be opened together
        self._shrunk = False  # the train read last is a shorter one than the one before
        if received is not None:
            self.stride, self.end = received.segment, received.length
            self.count = -(-self.end // self.stride) if self.end else 1
            self._latest = self.end
            self._most = MOST_ROWS - min(MOST_SEGMENTS, _DATAGRAM // max(1, self.stride))

    def is_full(self) -> bool:
        """Whether another read might give more packets than can be opened together, or what there is is much
        and the sender has probably begun something else: frames are cut where a run ends."""
        much = self.count >= _MUCH and (self._shrunk or self.count > self._most)
        return much or self.end > ROOM - _DATAGRAM

    def is_unfinished(self) -> bool:
        """Whether there is probably more of what its sender has sealed together: that leaves in equal shares,
        but for a shorter last one."""
        return self.count > 1 and self.end == self.count * self.stride and not self._shrunk

    def takes(self, received: Received) -> bool:
        """Whether what was read behind it belongs to it, and if so, it does from now on."""
        first = self.received
        if (
            first is None
            or self.end != self.count * self.stride
            or not received.length >= SHORTEST
            or (received.segment != self.stride and received.length > min(received.segment, self.stride))
            or received[2:] != first[2:]
        ):
            return False
        self.end += received.length
        self.count += -(-received.length // self.stride)
        self._shrunk, self._latest = received.length < self._latest, received.length
        return True
