"""When the queue in front of a worker stands, and its senders are told to slow down (CoDel, RFC 8289).

TCP fills whatever queue there is, and a device's takes 500 frames: everything else would wait behind 30 MB.
How long a packet has waited there nobody knows, so a queue stands if it was not empty for an interval.
"""

from __future__ import annotations

import math

_INTERVAL = 0.1  # seconds: a long round trip (RFC 8289 4.3)
_RECENT = 16 * _INTERVAL  # seconds in which a queue that stands again is told as often as before


class CoDel:
    """Of one device; all times are monotonic seconds."""

    __slots__ = ("_count", "_drop_next", "_dropping", "_first_above_time", "_last_count", "_last_read")

    def __init__(self) -> None:
        self._first_above_time = 0.0  # when it will have stood for an interval; 0: it is empty
        self._last_read = 0.0  # when something was read
        self._dropping = False
        self._drop_next = 0.0  # when to tell the next sender
        self._count = 0  # how many have been told since it stands
        self._last_count = 0  # how many of them were told anew, after a while without

    def note_empty(self) -> None:
        """Nothing was left to read."""
        self._first_above_time = 0.0
        self._dropping = False

    def should_signal(self, now: float) -> bool:
        """Something was read: whether its sender is to be told now, by a mark or by a loss."""
        if (
            now > self._last_read + _INTERVAL
        ):  # a pause: it was empty, as nobody reads just as much as there is
            self.note_empty()
        self._last_read = now
        if not self._first_above_time:
            self._first_above_time = now + _INTERVAL
        if now < (self._drop_next if self._dropping else self._first_above_time):
            return False
        if self._dropping:
            self._count += 1
        else:
            delta = self._count - self._last_count
            self._count = delta if delta > 1 and now - self._drop_next < _RECENT else 1
            self._last_count, self._dropping, self._drop_next = self._count, True, now
        self._drop_next += _INTERVAL / math.sqrt(self._count)  # RFC 8289 3.3: TCP's rate falls so with losses
        return True
