"""Remembers how far the learner is, in a small file of the learner's own."""

from __future__ import annotations

import json
import os
from pathlib import Path


def default_file() -> Path:
    """Where it stands (XDG Base Directory Specification)."""
    state = os.environ.get("XDG_STATE_HOME") or Path.home() / ".local/state"
    return Path(state) / "ikepy" / "course.json"


class Progress:
    """For each lab the number of commands that were run. A file that can't be read is an empty one."""

    def __init__(self, file: Path) -> None:
        self._file = file
        self._done: dict[str, int] = {}
        try:
            found = json.loads(file.read_text())
        except (OSError, ValueError):
            return
        if isinstance(found, dict):
            self._done = {key: value for key, value in found.items() if isinstance(value, int)}

    def __getitem__(self, lab: int) -> int:
        return self._done.get(str(lab), 0)

    def reach(self, lab: int, commands: int) -> None:
        """So many commands of a lab were run. OSError: the file can't be written."""
        self._done[str(lab)] = commands
        self._file.parent.mkdir(parents=True, exist_ok=True)
        self._file.write_text(json.dumps(self._done) + "\n")
