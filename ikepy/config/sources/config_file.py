"""The configuration file of a daemon, which is read at its start and at every reload."""

from __future__ import annotations

from pathlib import Path

from ikepy.config import wiped_variables
from ikepy.config.sources import recognise
from ikepy.config.toml_source import Reading


class ConfigFile:
    """A file of any format, with the files that it names. A relative path is one of the start's directory."""

    def __init__(self, path: Path) -> None:
        self.path = path.absolute()
        self.name = str(path)

    def read(self) -> Reading:
        """What it says now. Raises ConfigError with every mistake."""
        reading = recognise.read(self.path)
        wiped_variables.wipe()
        return reading
