"""The file that keeps the keys of restarts: open from the start on, as control can't open it later.

Two slots, written in turn, so that a crash while one is written leaves the other. The file is locked: were it
shared, one daemon would tell the tokens of IKE_SAs that another has (RFC 6290 9.2).
"""

from __future__ import annotations

import errno
import fcntl
import hashlib
import os
import stat
import struct
from dataclasses import dataclass
from pathlib import Path
from typing import Self

from ikepy.crypto.secret import Secret
from ikepy.daemon.errors import StartError
from ikepy.daemon.process.own_files import check_own

NAME = "restart.keys"
KEY = "daemon.state_dir"
SLOT = 1024  # octets
KEY_SIZE = 32
MOST_TICKET_KEYS = 8
_MAGIC = b"ikepy1rk"
_HEAD = struct.Struct("!8sQ32sB")  # magic, number of the writing, key of tokens, number of ticket keys
_TICKET_KEY = struct.Struct("!4sQ32s")  # its ID, when it was made (Unix time), the key


@dataclass(frozen=True, slots=True)
class DatedKey:
    """A ticket key. `made_at`: Unix time in seconds."""

    key_id: bytes
    made_at: int
    secret: Secret


@dataclass(frozen=True, slots=True)
class StoredKeys:
    """`crash`: of tokens. `tickets`: the newest first."""

    crash: Secret
    tickets: tuple[DatedKey, ...] = ()


class KeyFile:
    """An open file; whoever has it reads it once and writes it whenever keys change."""

    def __init__(self, fd: int) -> None:
        self._fd = fd
        self._writings = 0

    @classmethod
    def open(cls, directory: Path) -> Self:
        """Make the file and its directory if they are not there. Raises StartError."""
        path = directory / NAME
        try:
            directory.mkdir(mode=0o700, exist_ok=True)
            check_own(directory.stat(), directory, 0o022, "write to", KEY)
            flags = os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW | os.O_CLOEXEC | os.O_NONBLOCK
            fd = os.open(path, flags, 0o600)
        except OSError as error:
            raise StartError(f"{path}: {error.strerror}", key=KEY) from None
        try:
            found = os.fstat(fd)
            if not stat.S_ISREG(found.st_mode):
                raise StartError(f"{path} is no regular file", key=KEY)
            check_own(found, path, 0o077, "read or write", KEY)
            fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            os.close(fd)
            raise StartError(f"another daemon uses {path}: each needs its own directory", key=KEY) from None
        except (OSError, StartError):
            os.close(fd)
            raise
        return cls(fd)

    def read(self) -> StoredKeys | None:
        """The keys that were written last; None if there are none, or none that are whole."""
        slots = [_decode(os.pread(self._fd, SLOT, at)) for at in (0, SLOT)]
        found = [one for one in slots if one is not None]
        if not found:
            return None
        self._writings, keys = max(found, key=lambda one: one[0])
        return keys

    def write(self, keys: StoredKeys) -> None:
        """Keep these in place of the others. Raises OSError."""
        number = self._writings + 1
        data = _encode(number, keys).ljust(SLOT, b"\0")
        if os.pwrite(self._fd, data, SLOT * (number % 2)) < len(data):
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        os.fsync(self._fd)
        self._writings = number  # not before: the next try must leave the slot that is whole

    def close(self) -> None:
        os.close(self._fd)


def _encode(number: int, keys: StoredKeys) -> bytes:
    tickets = keys.tickets[:MOST_TICKET_KEYS]
    data = _HEAD.pack(_MAGIC, number, keys.crash.expose(), len(tickets))
    for one in tickets:
        data += _TICKET_KEY.pack(one.key_id, one.made_at, one.secret.expose())
    return data + hashlib.sha256(data).digest()


def _decode(data: bytes) -> tuple[int, StoredKeys] | None:
    """The number of the writing and the keys; None if a slot is empty or not whole."""
    if len(data) < _HEAD.size or not data.startswith(_MAGIC):
        return None
    _, number, crash, count = _HEAD.unpack_from(data)
    end = _HEAD.size + count * _TICKET_KEY.size
    if count > MOST_TICKET_KEYS or data[end : end + 32] != hashlib.sha256(data[:end]).digest():
        return None
    rows = [_TICKET_KEY.unpack_from(data, _HEAD.size + row * _TICKET_KEY.size) for row in range(count)]
    tickets = tuple(DatedKey(key_id, made_at, Secret(secret)) for key_id, made_at, secret in rows)
    return number, StoredKeys(Secret(crash), tickets)
