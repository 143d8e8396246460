"""CoDel: detects a standing TUN queue and picks the packets to mark or drop (RFC 8289).

TCP fills whatever queue there is, and a device's holds 500 frames: everything else would wait behind 30 MB. A
TUN device does not tell how long a packet has waited, so the queue counts as standing if it was not empty for
an interval.
"""

from __future__ import annotations

import math

INTERVAL = 0.1  # seconds: a long round trip (RFC 8289 4.3)
_RECENT = 16 * INTERVAL  # seconds in which a queue that stands again resumes the last drop rate (RFC 8289)


class CoDel:
    """The CoDel state of one device; all times are monotonic seconds. Names are RFC 8289's."""

    __slots__ = ("_count", "_drop_next", "_dropping", "_first_above_time", "_last_count", "_last_read")

    def __init__(self) -> None:
        self._first_above_time = 0.0  # when the queue will have stood for an interval; 0: it is empty
        self._last_read = 0.0  # when a frame was last read
        self._dropping = False
        self._drop_next = 0.0  # when to mark or drop the next packet
        self._count = 0  # marks and drops since the queue stands
        self._last_count = 0  # `_count` when dropping last began

    def note_empty(self) -> None:
        """The queue was found empty."""
        self._first_above_time = 0.0
        self._dropping = False

    def should_signal(self, now: float) -> bool:
        """A frame was read: whether to signal congestion to its sender now, by a mark or a drop."""
        if now > self._last_read + INTERVAL:  # after a pause the queue was empty at some time
            self.note_empty()
        self._last_read = now
        if not self._first_above_time:
            self._first_above_time = now + INTERVAL
        if now < (self._drop_next if self._dropping else self._first_above_time):
            return False
        if self._dropping:
            self._count += 1
        else:
            delta = self._count - self._last_count
            self._count = delta if delta > 1 and now - self._drop_next < _RECENT else 1
            self._last_count, self._dropping, self._drop_next = self._count, True, now
        self._drop_next += INTERVAL / math.sqrt(
            self._count
        )  # RFC 8289 3.3: TCP's rate falls with the square root of the losses
        return True
