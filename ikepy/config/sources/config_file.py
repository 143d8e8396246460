"""The configuration file of a daemon, which is read at its start and at every reload."""

from __future__ import annotations

from pathlib import Path

from ikepy.config import files_read
from ikepy.config.credentials import wiped_variables
from ikepy.config.files_read import FilesRead
from ikepy.config.sources import recognise
from ikepy.config.toml_source import Reading


class ConfigFile:
    """A file of any format, with the files that it names. `files_read`: what the last reading opened."""

    def __init__(self, path: Path) -> None:
        self._path = path.absolute()
        self.name = str(path)
        self.files_read = FilesRead()

    def read(self) -> Reading:
        """What it says now. Raises ConfigError with every mistake."""
        with files_read.noting() as read:
            try:
                reading = recognise.read(self._path)
            finally:  # not before: others look through it in other threads
                self.files_read = read
        wiped_variables.wipe()
        return reading
