"""What a gateway costs: CPU seconds and memory of its processes, as proc(5) tells them.

The kernel's own work for a packet counts where it is done in a process's system call; what soft interrupts do
may be charged to whoever runs just then, or to nobody.
"""

from __future__ import annotations

import os
from collections.abc import Iterable
from pathlib import Path

from ikepy.lab.netns import Namespace

WORKER = b"ikepy.daemon.workers.worker_main"  # in the command line of a worker
_TICKS = os.sysconf("SC_CLK_TCK")


def cpu_seconds(pids: Iterable[int]) -> float:
    """User and system time of the processes so far; one that is gone counts nothing."""
    return sum(map(_cpu_seconds, pids))


def _cpu_seconds(pid: int) -> float:
    try:
        text = Path(f"/proc/{pid}/stat").read_text()
    except OSError:
        return 0.0
    fields = text.rpartition(")")[2].split()  # the program's name may hold blanks; what follows is field 3
    return (int(fields[11]) + int(fields[12])) / _TICKS


def resident(pid: int) -> float:
    """MiB of resident memory."""
    return _status(pid, "VmRSS")


def peak(pid: int) -> float:
    """MiB of resident memory at its highest."""
    return _status(pid, "VmHWM")


def _status(pid: int, key: str) -> float:
    lines = Path(f"/proc/{pid}/status").read_text().splitlines()
    return next(int(line.split()[1]) for line in lines if line.startswith(f"{key}:")) / 1024


def workers(namespace: Namespace) -> list[int]:
    """The process IDs of our workers in a gateway's namespace."""
    return [pid for pid in namespace.pids() if is_worker(pid)]


def is_worker(pid: int) -> bool:
    """Is it one of our workers?"""
    return WORKER in Path(f"/proc/{pid}/cmdline").read_bytes()
