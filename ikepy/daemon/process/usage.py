"""CPU time and memory that a process uses (proc_pid_stat(5))."""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path

_TICKS = os.sysconf("SC_CLK_TCK")  # a second
_PAGE = os.sysconf("SC_PAGE_SIZE")  # octets
_UTIME, _STIME, _RSS = 11, 12, 21  # fields behind the name of the program


@dataclass(frozen=True, slots=True)
class ProcessUsage:
    """Seconds of CPU time since the process began, and octets of resident memory now."""

    cpu_seconds: float
    resident: int


def usage(pid: int) -> ProcessUsage | None:
    """What the process uses; None if it has ended."""
    try:
        stat = Path(f"/proc/{pid}/stat").read_text()
    except OSError:
        return None
    fields = stat[stat.rindex(")") + 1 :].split()
    ticks = int(fields[_UTIME]) + int(fields[_STIME])
    return ProcessUsage(ticks / _TICKS, int(fields[_RSS]) * _PAGE)
