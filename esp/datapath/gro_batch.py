"""Datagrams that were read from a UDP socket one behind the other, to be opened together."""

from __future__ import annotations

from esp.net.transport import MAX_SEGMENTS, Received
from esp.packet.row_layouts import MAX_ROWS

ESP_HEADER = 8  # octets of an ESP header
_DATAGRAM = 1 << 16  # no datagram is longer
ROOM = 6 * _DATAGRAM  # for what is opened together, and one datagram more
_PLENTY = 120  # packets that are worth opening together although more may follow


class GroBatch:
    """Datagrams of one size from one source, read back to back: the last one may be shorter."""

    __slots__ = ("_full_from", "_last_length", "_shrunk", "count", "end", "received", "stride")

    def __init__(self, received: Received | None = None) -> None:
        self.received = received
        self.stride = self.end = self.count = self._last_length = 0
        self._full_from = 0  # packets with which another read might give more than can be opened together
        self._shrunk = False  # the train read last is a shorter one than the one before
        if received is not None:
            self.stride, self.end = received.segment, received.length
            self.count = -(-self.end // self.stride) if self.end else 1
            self._last_length = self.end
            self._full_from = MAX_ROWS - min(MAX_SEGMENTS, _DATAGRAM // max(1, self.stride))

    def is_full(self) -> bool:
        """Whether another read might give more packets than can be opened together, or what there is is much
        and the sender has probably begun something else: frames are cut where a run ends."""
        much = self.count >= _PLENTY and (self._shrunk or self.count > self._full_from)
        return much or self.end > ROOM - _DATAGRAM

    def is_unfinished(self) -> bool:
        """Whether there is probably more of what its sender has sealed together: that leaves in equal shares,
        but for a shorter last one."""
        return self.count > 1 and self.end == self.count * self.stride and not self._shrunk

    def append(self, received: Received) -> bool:
        """Whether what was read behind it belongs to it, and if so, it does from now on."""
        first = self.received
        if (
            first is None
            or self.end != self.count * self.stride
            or not received.length >= ESP_HEADER
            or (received.segment != self.stride and received.length > min(received.segment, self.stride))
            or received[2:] != first[2:]
        ):
            return False
        self.end += received.length
        self.count += -(-received.length // self.stride)
        self._shrunk, self._last_length = received.length < self._last_length, received.length
        return True
