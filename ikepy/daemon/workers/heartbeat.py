"""A worker's heartbeat: tells a worker that hangs from one that only waits for a CPU.

Control pings every worker twice a second. The time that an answer takes is counted in control's own time:
while control itself does not run (on a stopped machine, or a loaded one) no worker is late. A worker whose
answer takes longer than PATIENCE is ended, unless the kernel says (/proc/PID/stat, proc_pid_stat(5)) that it
is runnable but gets no CPU, or that it waits in the kernel: such a one has STARVED seconds.
"""

from __future__ import annotations

import os
from pathlib import Path

BEAT = 0.5  # seconds between questions
PATIENCE = 2.0  # seconds that an answer may take
STARVED = 15.0  # seconds, for a worker that waits for a CPU or whose state can't be read
START = 60.0  # seconds for a process to be at work
_STATES = {"T": "stopped", "t": "traced", "D": "waits for the kernel", "S": "sleeps", "R": "runs in circles"}
_SHARE = 0.5  # of a CPU: a worker that got more than this while it owed an answer is not short of CPU time
_TICKS = os.sysconf("SC_CLK_TCK")
_STATE, _UTIME, _STIME = 0, 11, 12  # fields behind the name


class Pulse:
    """The heartbeat of one worker process. Times are the loop's, in seconds."""

    def __init__(self, stat: Path, now: float) -> None:
        """`stat`: the path of /proc/PID/stat."""
        self._stat = stat
        self._since = now  # the last answer
        self._ready = False
        self._cpu: float | None = None  # seconds of CPU time when an answer became late

    def begin(self, now: float) -> None:
        """The process has started its work: from now on it answers pings."""
        self._ready = True
        self.answered(now)

    def answered(self, now: float) -> None:
        self._since = now
        self._cpu = None

    def excuse(self, late: float) -> None:
        """Control itself was late by so many seconds, which do not count."""
        self._since += max(0.0, late)

    def verdict(self, now: float) -> str | None:
        """Why the worker is taken to hang, in words; None if it is not."""
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
        """The process's state letter ("": unknown) and its CPU time in seconds (proc_pid_stat(5))."""
        try:
            words = self._stat.read_text().rpartition(")")[2].split()
            return words[_STATE], (int(words[_UTIME]) + int(words[_STIME])) / _TICKS
        except (OSError, IndexError, ValueError):
            return "", 0.0
