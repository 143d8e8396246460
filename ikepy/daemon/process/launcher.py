"""Starts worker processes as another user, ends them, and gives them their priority."""

from __future__ import annotations

import errno
import os
import subprocess
import sys

from ikepy.daemon.process.account import Account
from ikepy.daemon.process.priority import ORDINARY, set_priority

IMPAIRMENTS = "IKEPY_IMPAIRMENTS"  # a variable that control sets for the processes of an impaired daemon
# Prefixes; secrets stay with control
ENVIRONMENT = ("PATH", "LD_", "LANG", "LC_", "PYTHON", "VIRTUAL_ENV", IMPAIRMENTS)


def environment() -> dict[str, str]:
    """The variables that processes of ours get."""
    return {name: value for name, value in os.environ.items() if name.startswith(ENVIRONMENT)}


class WorkerLauncher:
    """The workers that this process has started. `account`: the user that they become, None: this one's.

    `priority`: the real-time one that they get while they are busy.
    """

    def __init__(self, account: Account | None = None, priority: int = ORDINARY) -> None:
        self._account = account
        self._priority = priority
        self._processes: dict[int, subprocess.Popen[bytes]] = {}

    def start(self, fd: int) -> tuple[int, int]:
        """Start a worker on its end of a pair, which stays open here. Returns its pid and a pidfd.

        Raises OSError.
        """
        account = [] if self._account is None else [self._account.uid, self._account.gid]
        process = subprocess.Popen(
            [sys.executable, "-P", "-m", "ikepy.daemon.workers.worker_main", *map(str, (fd, *account))],
            stdin=subprocess.DEVNULL,
            pass_fds=[fd],
            process_group=0,  # a terminal's Ctrl-C is for control
            env=environment(),
        )
        try:
            pidfd = os.pidfd_open(process.pid)
        except OSError:
            process.kill()
            process.wait()
            raise
        self._processes[process.pid] = process
        return process.pid, pidfd

    def kill(self, pid: int) -> None:
        """End a worker by SIGKILL; nothing if it has ended."""
        if pid in self._processes:
            self._processes[pid].kill()

    def reap(self, pid: int) -> int:
        """The exit status of a worker that has ended (negative: the signal).

        Raises OSError for another one.
        """
        process = self._processes.get(pid)
        status = None if process is None else process.poll()
        if status is None:
            raise OSError(errno.ECHILD, "no worker that has ended")
        del self._processes[pid]
        return status

    def set_priority(self, pid: int, *, busy: bool) -> str | None:
        """Give a worker its real-time priority, or the ordinary one. Returns why it can't be done."""
        if pid not in self._processes:
            return None  # it has ended, which is told elsewhere
        return set_priority(pid, self._priority if busy else ORDINARY)

    @property
    def living(self) -> int:
        """How many workers run."""
        return sum(process.poll() is None for process in self._processes.values())

    def close(self) -> None:
        """Kill all workers that still run."""
        for process in self._processes.values():
            process.kill()
