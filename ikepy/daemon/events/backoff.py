"""How soon a device is mended again: at once, but with growing pauses where another program goes on."""

from __future__ import annotations

FREE = 8  # times in a row that it is mended at once
CALM = 10.0  # seconds without a change that end a row, beside twice the pause
FIRST, LONGEST = 1.0, 60.0  # seconds of a pause


class Backoff:
    """Of one device. Times are monotonic seconds."""

    __slots__ = ("_failures", "_last", "_row", "due", "retry")

    def __init__(self) -> None:
        self._row = 0
        self._last = 0.0
        self._failures = 0  # in a row
        self.due = 0.0  # when it may be mended again
        self.retry = 0.0  # when it is to be tried again without an event

    @property
    def fights(self) -> bool:
        return self._row > FREE

    def mended(self, now: float) -> bool:
        """Whether with this a fight begins."""
        pause = _pause(self._row - FREE)
        if self._row and now - self._last > CALM + 2 * pause:
            self._row = 0
        self._row += 1
        self._last = now
        self._failures = 0
        self.due = now + _pause(self._row - FREE)
        return self._row == FREE + 1

    def failed(self, now: float, *, altogether: bool = False) -> None:
        """Not all of it could be mended. `altogether`: an event would be no reason to try it sooner."""
        self._failures += 1
        self.retry = now + _pause(self._failures)
        if altogether:
            self.due = self.retry


def _pause(times: int) -> float:
    """Seconds after so many times; 0 times: none."""
    return min(FIRST * 2 ** min(times - 1, 10), LONGEST) if times > 0 else 0.0
