"""Tells a worker that hangs from one that only waits for a CPU.

Control asks every worker for a sign of life twice a second. What a worker owes is counted in control's own
time: while control itself does not run (a stopped machine, a loaded one) nobody is late. Who then owes an
answer for PATIENCE is ended, unless the kernel says (/proc/PID/stat, proc(5)) that it would run if it were
let, or keeps it waiting itself: that one gets STARVED.
"""

from __future__ import annotations

import os
from pathlib import Path

BEAT = 0.5  # seconds between questions
PATIENCE = 2.0  # seconds that an answer may take
STARVED = 15.0  # seconds, for a worker that waits for a CPU or whose state can't be read
START = 60.0  # seconds for a process to be at work
_STATES = {"T": "stopped", "t": "traced", "D": "waits for the kernel", "S": "sleeps", "R": "runs in circles"}
_SHARE = 0.5  # of a CPU: who got more while it owed an answer does not wait for one
_TICKS = os.sysconf("SC_CLK_TCK")
_STATE, _UTIME, _STIME = 0, 11, 12  # fields behind the name


class Pulse:
    """What one worker process owes. Times are the loop's, in seconds."""

    def __init__(self, stat: Path, now: float) -> None:
        """`stat`: the process's file of that name in /proc."""
        self._stat = stat
        self._since = now  # the last sign of life
        self._ready = False
        self._cpu: float | None = None  # seconds used until the last sign of life

    def begin(self, now: float) -> None:
        """The process is at work."""
        self._ready = True
        self.answered(now)

    def answered(self, now: float) -> None:
        self._since = now
        self._cpu = None

    def excuse(self, late: float) -> None:
        """Control was itself late, by as many seconds."""
        self._since += max(0.0, late)

    def verdict(self, now: float) -> str | None:
        """Why the worker is taken for hanging, or None."""
        owed = now - self._since
        if not self._ready:
            return None if owed < START else f"is not at work {owed:.0f} s after its start"
        if owed < 2 * BEAT:
            return None
        state, cpu = self._look()
        if self._cpu is None:
            self._cpu = cpu
        if owed < PATIENCE:
            return None
        waits = state in ("", "D") or (state == "R" and cpu - self._cpu < _SHARE * (owed - 2 * BEAT))
        if waits and owed < STARVED:
            return None
        return f"has not answered for {owed:.1f} s ({_STATES.get(state, 'its state is unknown')})"

    def _look(self) -> tuple[str, float]:
        """Its state ("": unknown) and the CPU time that it has used, in seconds."""
        try:
            words = self._stat.read_text().rpartition(")")[2].split()
            return words[_STATE], (int(words[_UTIME]) + int(words[_STIME])) / _TICKS
        except (OSError, IndexError, ValueError):
            return "", 0.0
