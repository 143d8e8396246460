"""Where something stands in a configuration, and the reading of its files."""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path

from ikepy.config import secrecy
from ikepy.errors import ConfigError

MAX_FILE = 16 * 1024 * 1024  # bytes


@dataclass(frozen=True, slots=True)
class Place:
    """A line of a file. Line 0: the whole file, or nothing that lines are counted in."""

    file: str
    line: int

    def __str__(self) -> str:
        return f"{self.file}:{self.line}" if self.line else self.file


def failure(place: Place, key: str, text: str) -> ConfigError:
    """The error for one mistake at a place."""
    return ConfigError(place.file, [(key, text)], {key: str(place)})


def read_file(path: Path, where: Place | None = None) -> tuple[str, str | None]:
    """The text of a file in UTF-8, and who may read it other than its owner and root (None: nobody).

    ConfigError if it can't be read. `where`: the line that names the file.
    """
    said = "" if where is None else f" (named at {where})"
    try:
        with path.open("rb") as file:
            exposed = secrecy.exposure(os.fstat(file.fileno()))
            data = file.read(MAX_FILE + 1)
    except OSError as error:
        raise ConfigError(path, [("", f"can't be read: {error.strerror}{said}")]) from None
    if len(data) > MAX_FILE:
        raise ConfigError(path, [("", f"is too large; allowed: at most {MAX_FILE} bytes")])
    if data.startswith(secrecy.UTF_16):
        raise ConfigError(path, [("", "is UTF-16 text; allowed: UTF-8")])
    try:
        return data.removeprefix(secrecy.BYTE_ORDER_MARK).decode(), exposed
    except UnicodeDecodeError as error:
        line = data.count(b"\n", 0, error.start) + 1
        raise ConfigError(path, [("", f"is not UTF-8 text (line {line})")]) from None
