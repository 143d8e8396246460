"""A daemon in a namespace that outlives the command that started it: known by a process ID in a file."""

from __future__ import annotations

import os
import signal
import subprocess
import time
from collections.abc import Mapping
from pathlib import Path

from ikepy.lab.netns import LabError, Namespace


class Process:
    """`directory` holds its `pid` and `output.log` (what it writes to stdout and stderr).

    An object made later, by another command, finds the same process again. A process ID counts only while
    that process is in `namespace`: the number may belong to somebody else by now.
    """

    def __init__(self, namespace: Namespace, directory: Path) -> None:
        self._namespace = namespace
        self._pid_file = directory / "pid"
        self.output = directory / "output.log"
        self._child: subprocess.Popen[bytes] | None = None

    def start(self, *command: str, environment: Mapping[str, str] | None = None) -> None:
        """Start it; LabError if it runs already."""
        if self.running:
            raise LabError(f"{command[0]} runs in {self._namespace.name} already")
        self._child = self._namespace.start(*command, log=self.output, environment=environment)
        self._pid_file.write_text(f"{self._child.pid}\n")

    @property
    def pid(self) -> int | None:
        """Its process ID while it runs, else None."""
        if self._child is not None:
            return self._child.pid if self._child.poll() is None else None
        try:
            pid = int(self._pid_file.read_text())
        except (OSError, ValueError):
            return None
        return pid if self._namespace.exists and pid in self._namespace.pids() else None

    @property
    def running(self) -> bool:
        """Is it there?"""
        return self.pid is not None

    def stop(self, patience: float) -> bool:
        """SIGTERM, and SIGKILL after `patience` seconds. Did it end in time? No process is no error."""
        if self._end(signal.SIGTERM, patience):
            return True
        self._end(signal.SIGKILL, 5.0)
        return False

    def kill(self) -> None:
        """End it at once (SIGKILL): its peers get no DELETE."""
        self._end(signal.SIGKILL, 5.0)

    def _end(self, number: signal.Signals, seconds: float) -> bool:
        pid = self.pid
        if pid is None:
            return True
        try:
            os.kill(pid, number)
        except ProcessLookupError:
            return True
        deadline = time.monotonic() + seconds
        while self.running:
            if time.monotonic() > deadline:
                return False
            time.sleep(0.02)
        return True

    def log(self) -> str:
        """What it wrote so far."""
        return self.output.read_text(errors="replace") if self.output.exists() else ""
