"""Opens the files of a configuration.

A daemon that has given up its rights reads them again through somebody who has them: `open_by`.
"""

from __future__ import annotations

import glob
import os
import re
from pathlib import Path
from typing import BinaryIO, Protocol

_ESCAPED = re.compile(r"\[([*?[])\]")


class Files(Protocol):
    """Opens files to be read, by absolute paths."""

    def open(self, path: str) -> int:
        """A descriptor, the caller's to close. Raises OSError."""

    def matching(self, pattern: str) -> list[str]:
        """The names of files that a pattern means (glob(7)). Raises OSError."""


class Own:
    """Opens them with this process's rights."""

    def open(self, path: str) -> int:
        # A FIFO without a writer is not waited for here; what a shell's <(...) gives is read to its end.
        fd = os.open(path, os.O_RDONLY | os.O_CLOEXEC | os.O_NONBLOCK | os.O_NOCTTY)
        os.set_blocking(fd, True)
        return fd

    def matching(self, pattern: str) -> list[str]:
        return glob.glob(pattern)  # noqa: PTH207


_files: list[Files] = [Own()]


def open_by(files: Files) -> None:
    """Have files opened by `files` from now on."""
    _files[:] = [files]


def open_file(path: Path) -> BinaryIO:
    """Open a file to be read. Raises OSError."""
    return os.fdopen(_files[0].open(str(path.absolute())), "rb")


def in_directory(directory: Path, name: str) -> str:
    """The pattern of a name with wildcards that is looked for in a directory: what would be wildcards in the
    directory's own path stands for itself. An absolute name is looked for where it says."""
    return os.path.join(glob.escape(str(directory)), name)  # noqa: PTH118  as sh(1)


def literal(pattern: str) -> str:
    """A pattern with what `in_directory` has escaped in it as it stands in the path."""
    return _ESCAPED.sub(r"\1", pattern)


def is_literal(pattern: str) -> bool:
    """Whether it means one path, with what may be escaped in it."""
    return glob.escape(literal(pattern)) == pattern


def matching(pattern: str) -> list[str]:
    """The names of files that a pattern means, sorted. Raises OSError."""
    return sorted(_files[0].matching(os.path.abspath(pattern)))  # noqa: PTH100
