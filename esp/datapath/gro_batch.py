"""GRO batch: datagrams that consecutive UDP reads give, to be opened together (UDP_GRO, udp(7))."""

from __future__ import annotations

from esp.net.transport import MAX_SEGMENTS, Received
from esp.packet.row_layouts import MAX_ROWS
from esp.sa.suites import ESP_HEADER

_READ = 1 << 16  # octets: no read gives more
ARENA = 6 * _READ  # room for a full batch, and one read more
_PLENTY = 120  # packets from which on waiting for more gains little


class GroBatch:
    """Datagrams of one size from one source, back to back in an arena; the last one may be shorter."""

    __slots__ = ("_full_from", "_last_length", "_shrunk", "count", "end", "received", "stride")

    def __init__(self, received: Received | None = None) -> None:
        self.received = received
        self.stride = self.end = self.count = self._last_length = 0
        self._full_from = 0  # packets with which another read might exceed what can be opened together
        self._shrunk = False  # the last read was shorter than the one before
        if received is not None:
            self.stride, self.end = received.segment, received.length
            self.count = -(-self.end // self.stride) if self.end else 1
            self._last_length = self.end
            self._full_from = MAX_ROWS - min(MAX_SEGMENTS, _READ // max(1, self.stride))

    def is_full(self) -> bool:
        """Whether to open what is here: another read might exceed the arena or the rows, or there is plenty
        and the sender has probably begun something else. A batch that ends early cuts a frame."""
        plenty = self.count >= _PLENTY and (self._shrunk or self.count > self._full_from)
        return plenty or self.end > ARENA - _READ

    def is_unfinished(self) -> bool:
        """Whether its sender has probably sealed more together: a sender cuts that into equal sends, but for
        a shorter last one."""
        return self.count > 1 and self.end == self.count * self.stride and not self._shrunk

    def append(self, received: Received) -> bool:
        """Add what was read behind the batch, if it has the same size, source and ancillary data; whether it
        has."""
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
