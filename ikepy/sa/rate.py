"""How often we answer what anybody may send."""

from __future__ import annotations


class Rate:
    """At most `per_second` on average, after a burst of as many as one second's."""

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
