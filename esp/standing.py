"""When the queue in front of a worker stands, and its senders are told to slow down (CoDel, RFC 8289).

TCP fills whatever queue there is, and a device's takes 500 frames: everything else would wait behind 30 MB.
How long a packet has waited there nobody knows, so a queue stands if it was not empty for an interval.
"""

from __future__ import annotations

import math

_INTERVAL = 0.1  # seconds: a long round trip (RFC 8289 4.3)
_SOON = 16 * _INTERVAL  # seconds in which a queue that stands again is told as often as before


class Standing:
    """Of one device; all times are monotonic seconds."""

    __slots__ = ("_before", "_count", "_from", "_next", "_seen", "_telling")

    def __init__(self) -> None:
        self._from = 0.0  # when it will have stood for an interval; 0: it is empty
        self._seen = 0.0  # when something was read
        self._telling = False
        self._next = 0.0  # when to tell the next sender
        self._count = 0  # how many have been told since it stands
        self._before = 0  # how many of them were told anew, after a while without

    def is_empty(self) -> None:
        """Nothing was left to read."""
        self._from = 0.0
        self._telling = False

    def tell(self, now: float) -> bool:
        """Something was read: whether its sender is to be told now, by a mark or by a loss."""
        if now > self._seen + _INTERVAL:  # a pause: it was empty, as nobody reads just as much as there is
            self.is_empty()
        self._seen = now
        if not self._from:
            self._from = now + _INTERVAL
        if now < (self._next if self._telling else self._from):
            return False
        if self._telling:
            self._count += 1
        else:
            told = self._count - self._before
            self._count = told if told > 1 and now - self._next < _SOON else 1
            self._before, self._telling, self._next = self._count, True, now
        self._next += _INTERVAL / math.sqrt(self._count)  # RFC 8289 3.3: TCP's rate falls so with losses
        return True
