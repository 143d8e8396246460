"""Where something stands in a configuration, and the reading of its files."""

from __future__ import annotations

import os
import re
from dataclasses import dataclass
from pathlib import Path

from ikepy.config import files, files_read
from ikepy.config.credentials import secrecy
from ikepy.errors import ConfigError

_ESCAPED = re.compile(r"\\(\r?\n|[\s\S])")
_MEANING = {"n": "\n", "r": "\r", "t": "\t"}
_WILDCARDS = re.compile(r"[*?\[]")
MAX_FILE = 16 * 1024 * 1024  # bytes


@dataclass(frozen=True, slots=True)
class Place:
    """A line of a file. Line 0: the whole file, or nothing that lines are counted in."""

    file: str
    line: int

    def __str__(self) -> str:
        return f"{self.file}:{self.line}" if self.line else self.file


@dataclass(frozen=True, slots=True)
class Value:
    """A setting's value, and where it stands. Text None: an empty assignment, which clears a value."""

    text: str | None
    place: Place


def failure(place: Place, key: str, text: str) -> ConfigError:
    """The error for one mistake at a place."""
    return ConfigError(place.file, [(key, text)], {key: str(place)})


def read_file(path: Path, where: Place | None = None) -> tuple[str, str | None]:
    """The text of a file in UTF-8, and who may read it other than its owner and root (None: nobody).

    ConfigError if it can't be read. `where`: the line that names the file.
    """
    said = "" if where is None else f" (named at {where})"
    try:
        with files.open_file(path) as file:
            status = os.fstat(file.fileno())
            files_read.note_file(path, status)
            exposed = secrecy.exposure(status)
            data = file.read(MAX_FILE + 1)
    except OSError as error:
        files_read.note_file(path, None)
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


def included(path: Path, pattern: str, place: Place) -> list[Path]:
    """The files that a statement `include PATTERN` in the file `path` means, as sh(1) expands it.

    ConfigError if a name without wildcards is no file's.
    """
    try:
        found = files_read.expand(files.in_directory(path.parent, pattern))
    except OSError as error:
        raise failure(place, "include", f"can't be looked up: {error.strerror}") from None
    if not found and not _WILDCARDS.search(pattern):
        raise failure(place, "include", "there is no such file; correct its name, or remove the line")
    return [Path(name) for name in found]


def unescape(text: str) -> str:
    """What stands between two quotes, without backslashes; one at a line's end joins it with the next."""

    def meant(match: re.Match[str]) -> str:
        escaped = match[1]
        return "" if escaped.endswith("\n") else _MEANING.get(escaped, escaped)

    return _ESCAPED.sub(meant, text)
