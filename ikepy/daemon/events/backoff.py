"""Exponential backoff for a device's repairs: at once, but with growing pauses if others undo them again."""

from __future__ import annotations

FREE = 8  # repairs in a row that are made at once
CALM = 10.0  # seconds without a change, beside twice the pause, that end a row
FIRST, LONGEST = 1.0, 60.0  # seconds of a pause


class Backoff:
    """The backoff of one device. Times are monotonic seconds."""

    __slots__ = ("_failures", "_last", "_row", "due", "retry")

    def __init__(self) -> None:
        self._row = 0
        self._last = 0.0
        self._failures = 0  # in a row
        self.due = 0.0  # when it may be mended again
        self.retry = 0.0  # when a failed repair is to be tried again without an event

    @property
    def fights(self) -> bool:
        """Whether another program undoes the repairs again and again."""
        return self._row > FREE

    def mended(self, now: float) -> bool:
        """The device was repaired. Whether with this `fights` begins."""
        pause = _pause(self._row - FREE)
        if self._row and now - self._last > CALM + 2 * pause:
            self._row = 0
        self._row += 1
        self._last = now
        self._failures = 0
        self.due = now + _pause(self._row - FREE)
        return self._row == FREE + 1

    def failed(self, now: float, *, altogether: bool = False) -> None:
        """The kernel refused something. `altogether`: all of it; events then don't let it be tried sooner."""
        self._failures += 1
        self.retry = now + _pause(self._failures)
        if altogether:
            self.due = self.retry


def _pause(times: int) -> float:
    """Seconds of the pause after so many times; none for 0 times."""
    return min(FIRST * 2 ** min(times - 1, 10), LONGEST) if times > 0 else 0.0
