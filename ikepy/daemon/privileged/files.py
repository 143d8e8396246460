"""Which files the privileged process opens for control, which reads its configuration again: few."""

from __future__ import annotations

import errno
import glob
import itertools
import os
import pwd
import stat
from collections.abc import Sequence
from pathlib import Path, PurePath

from ikepy.config.files import is_literal, literal

SHALLOW = 3  # parts of a path: "/", "etc" and a name; /etc itself holds others' secrets


class Files:
    """Those that the configuration was read from at the start, and regular files that one of its patterns
    means now, or in the directory of its own file, unless that is a system's or a user's own.

    Where symbolic links lead is what counts: a ConfigMap's file is a link into its directory.
    """

    def __init__(self, paths: Sequence[str], patterns: Sequence[str] = ()) -> None:
        """`paths`: what was read; the first is the configuration's own file. `patterns`: names of files with
        wildcards (glob(7)) that the reading looked for: what is included, and directories of credentials."""
        self._named = frozenset(paths)
        self._patterns = frozenset(patterns)
        self._directory: Path | None = None
        if paths:
            directory = Path(os.path.realpath(Path(paths[0]).parent))
            homes = {os.path.realpath(one.pw_dir) for one in pwd.getpwall()}
            if len(directory.parts) >= SHALLOW and str(directory) not in homes:
                self._directory = directory

    def open(self, path: str) -> int:
        """A descriptor to read from, the caller's to close. Raises OSError: PermissionError for others."""
        if path not in self._named and not self.is_meant(path, os.path.realpath(path)):
            raise self._refusal(path)
        fd = os.open(path, os.O_RDONLY | os.O_CLOEXEC | os.O_NONBLOCK | os.O_NOCTTY)
        try:
            if not stat.S_ISREG(os.fstat(fd).st_mode):
                raise OSError(errno.EINVAL, "no regular file")
            # The links may be others by now: what was opened decides.
            opened = str(Path(f"/proc/self/fd/{fd}").readlink())
            if path not in self._named and not self.is_meant(path, opened):
                raise self._refusal(path)
        except BaseException:
            os.close(fd)
            raise
        return fd

    def matching(self, pattern: str) -> list[str]:
        """The names that a pattern of the start means, or one in the configuration's directory, sorted.

        Raises OSError for another one.
        """
        if pattern in self._patterns:
            return sorted(glob.glob(pattern))  # noqa: PTH207
        directory = os.path.dirname(pattern)  # noqa: PTH120
        if not is_literal(directory) or not self._is_beneath(os.path.realpath(literal(directory))):
            if literal(pattern) in self._named:
                return [literal(pattern)]
            raise self._refusal(pattern)
        return sorted(glob.glob(pattern))  # noqa: PTH207

    def is_meant(self, path: str, real: str) -> bool:
        """`real`: where the links of `path` lead."""
        return self._is_beneath(real) or any(_means(pattern, path, real) for pattern in self._patterns)

    def _is_beneath(self, real: str) -> bool:
        return self._directory is not None and Path(real).is_relative_to(self._directory)

    def _refusal(self, path: str) -> PermissionError:
        where = "" if self._directory is None else f", or a file in {self._directory}"
        text = f"not one of the files that the start has read{where}: restart the daemon to use another one"
        return PermissionError(errno.EACCES, text, path)


def _means(pattern: str, path: str, real: str) -> bool:
    """Whether a path is one of those that a pattern means, and its links stay beneath where that begins."""
    fixed = itertools.takewhile(is_literal, Path(pattern).parent.parts)
    within = os.path.realpath(os.path.join(*map(literal, fixed)))  # noqa: PTH118
    lexical = os.path.normpath(path) == path and PurePath(path).match(pattern)
    return lexical and Path(real).is_relative_to(within)


def to_name(paths: Sequence[str], patterns: Sequence[str]) -> list[str]:
    """Those of the files read, of which the first is the configuration's own, that `Files` has to be told of
    beside the patterns."""
    meant = Files((), patterns)
    return [*paths[:1], *(path for path in paths[1:] if not meant.is_meant(path, os.path.realpath(path)))]
