"""Files of keys and certificates: read whole, made anew, never in place of another unless that is told."""

from __future__ import annotations

import os
import sys
from pathlib import Path

MAX_SIZE = 1 << 26  # octets: the longest CRL is shorter
PRIVATE, PUBLIC = 0o600, 0o644


def read(path: Path | None) -> bytes:
    """A file's octets, or (None) those of the standard input. ValueError that names it."""
    name = "standard input" if path is None else str(path)
    try:
        with sys.stdin.buffer if path is None else path.open("rb") as file:
            data = file.read(MAX_SIZE + 1)
    except OSError as error:
        raise ValueError(f"{name}: can't be read: {error.strerror}") from None
    if len(data) > MAX_SIZE:
        raise ValueError(f"{name}: too long; allowed: at most {MAX_SIZE} octets")
    return data


def write(path: Path, data: bytes, *, private: bool, overwrite: bool = False) -> None:
    """Make a file. `private`: none but its owner may read it. ValueError that names it.

    What is overwritten is another file from then on: who has the old one open goes on with that, and no
    private key gets into a file that others may read. A device or a pipe stays what it is. Nothing is left of
    a file that can't be written whole.
    """
    try:
        if overwrite and path.exists() and not path.is_file():
            path.write_bytes(data)
            return
        made = path.with_name(f".{path.name}.{os.getpid()}") if overwrite else path
        flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC | os.O_NOFOLLOW
        descriptor = os.open(made, flags, PRIVATE if private else PUBLIC)
        try:
            with os.fdopen(descriptor, "wb") as file:
                file.write(data)
            if overwrite:
                made.replace(path)
        except BaseException:
            made.unlink()
            raise
    except FileExistsError:
        raise _is_there(path) from None
    except OSError as error:
        raise ValueError(f"{path}: can't be made: {error.strerror}") from None


def check_new(path: Path) -> None:
    """That there is no such file. ValueError that names it."""
    if os.path.lexists(path):
        raise _is_there(path)


def _is_there(path: Path) -> ValueError:
    return ValueError(f"{path}: is there already: name another file, or give --force")
