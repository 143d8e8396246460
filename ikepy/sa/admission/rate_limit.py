"""Token bucket for answers to unauthenticated messages, and exponential backoff for retries."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Hashable


class Rate:
    """Token bucket: at most `per_second` on average, with bursts of one second's worth."""

    def __init__(self, per_second: float) -> None:
        self._per_second = per_second
        self._burst = max(per_second, 1.0)
        self._tokens = self._burst
        self._since: float | None = None

    def allow(self, now: float) -> bool:
        """Whether one more may pass at `now` (seconds)."""
        if self._since is not None:
            self._tokens = min(self._burst, self._tokens + (now - self._since) * self._per_second)
        self._since = now
        if self._tokens < 1:
            return False
        self._tokens -= 1
        return True


class Backoff:
    """Permits each key once, then again after `first` seconds, twice that, and so on up to `longest`.

    A key left alone for twice `longest` seconds starts anew; beyond KEPT keys the oldest are dropped.
    """

    KEPT = 1024

    def __init__(self, first: float, longest: float) -> None:
        self._first = first
        self._longest = longest
        self._tried: OrderedDict[Hashable, tuple[float, float]] = OrderedDict()  # last try, next wait

    def allow(self, key: Hashable, now: float) -> bool:
        """Whether `key` may be tried at `now` (seconds); if so, it counts as tried."""
        at, wait = self._tried.get(key, (now - self._longest, 0.0))
        if now < at + wait:
            return False
        fresh = now >= at + wait + 2 * self._longest or not wait
        self._tried[key] = now, self._first if fresh else min(2 * wait, self._longest)
        self._tried.move_to_end(key)
        if len(self._tried) > self.KEPT:
            self._tried.popitem(last=False)
        return True
