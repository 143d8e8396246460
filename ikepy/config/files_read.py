"""Notes which files a reading of the configuration opens, so that a change of one of them is noticed."""

from __future__ import annotations

import os
import stat
from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass, field
from pathlib import Path

from ikepy.config import files

MAX_LINKS = 40  # symbolic links on the way to a file: the kernel's limit (path_resolution(7))

Stamp = tuple[int, int, int, int, int]  # device, inode, size, times of modification and of change


@dataclass(slots=True)
class FilesRead:
    """`files`: each with its stamp at the reading, None if it could not be opened. `patterns`: names with
    wildcards, each with what it meant."""

    files: dict[Path, Stamp | None] = field(default_factory=dict)
    patterns: dict[str, tuple[str, ...]] = field(default_factory=dict)

    def changed(self) -> bool:
        """Whether another reading could give something else: a file or a pattern's meaning has changed."""
        return any(_stamp_of(path) != former for path, former in self.files.items()) or any(
            _meaning(pattern) != found for pattern, found in self.patterns.items()
        )

    def directories(self) -> set[Path]:
        """The directories in which such a change is an event (inotify(7)): those of the files, and of every
        symbolic link on the way to them; ConfigMaps and Secrets are mounted as links to `..data/NAME`, and
        an update renames the link `..data`. Raises OSError where one can't be looked at."""
        paths = [*self.files, *map(Path, map(files.literal, self.patterns))]
        return {directory for path in paths for directory in _directories(path.absolute())}


_noting: ContextVar[FilesRead | None] = ContextVar("files read", default=None)


@contextmanager
def noting() -> Iterator[FilesRead]:
    """Note what is read within, in this thread, also if reading fails."""
    read = FilesRead()
    token = _noting.set(read)
    try:
        yield read
    finally:
        _noting.reset(token)


def note_file(path: Path, status: os.stat_result | None) -> None:
    """A file is read. `status`: of the open file; None if it can't be opened."""
    read = _noting.get()
    if read is not None:
        read.files[path] = None if status is None else stamp(status)


def content(path: Path, most: int) -> tuple[bytes, os.stat_result]:
    """What a regular file holds, and its status; the file is noted. `most`: bytes that it may have.

    Raises OSError, and ValueError, whose text does not repeat the name.
    """
    note_file(path, None)
    with files.open_file(path) as file:
        status = os.fstat(file.fileno())
        note_file(path, status)
        if not stat.S_ISREG(status.st_mode):
            raise ValueError("this is not a regular file")
        data = file.read(most + 1)
    if len(data) > most:
        raise ValueError(f"this file is too large; allowed: at most {most} bytes")
    return data, status


def expand(pattern: str) -> tuple[str, ...]:
    """The files that a name means, as sh(1) expands it, in order. Raises OSError."""
    found = expanded(pattern)
    read = _noting.get()
    if read is not None:
        read.patterns[pattern] = found
    return found


def expanded(pattern: str) -> tuple[str, ...]:
    """As `expand`; nothing is noted. Raises OSError."""
    return tuple(files.matching(pattern))


def _meaning(pattern: str) -> tuple[str, ...]:
    try:
        return expanded(pattern)
    except OSError:
        return ()


def stamp(status: os.stat_result) -> Stamp:
    """Another one means that the file is another one, or was written since."""
    return status.st_dev, status.st_ino, status.st_size, status.st_mtime_ns, status.st_ctime_ns


def _stamp_of(path: Path) -> Stamp | None:
    try:
        with files.open_file(path) as file:
            return stamp(os.fstat(file.fileno()))
    except OSError:
        return None


def _directories(path: Path) -> set[Path]:
    """Of a file, which may be absent, and of the links that lead to it. One that is absent counts as the
    nearest that is there; one with a wildcard in its name ends the way."""
    found: set[Path] = set()
    for _ in range(MAX_LINKS):
        link = _first_link(path)
        if link is None:
            break
        found.add(link.parent)
        path = Path(os.path.normpath(link.parent / link.readlink() / path.relative_to(link)))
    directory = path.parent
    while not directory.is_dir():
        directory = directory.parent
    return found | {directory}


def _first_link(path: Path) -> Path | None:
    return next((one for one in (*reversed(path.parents), path) if one.is_symlink()), None)
