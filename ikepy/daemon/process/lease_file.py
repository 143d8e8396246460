"""The file that keeps who has which virtual address: open from the start on, as control can't open it later.

Two files, written in turn, so that a crash while one is written leaves the other. What is in them is believed
as far as it fits the pools (`ikepy.sa.state.address_pools`): it holds no secrets.
"""

from __future__ import annotations

import asyncio
import hashlib
import json
import os
import stat
from collections.abc import Callable, Iterator, Sequence
from ipaddress import ip_address
from typing import Self

from ikepy.config.identity import MAX_LENGTH, Identity
from ikepy.config.model import Daemon
from ikepy.daemon import log
from ikepy.daemon.errors import StartError
from ikepy.daemon.in_thread import in_thread
from ikepy.sa.api.leases import Lease

NAMES = ("leases.0", "leases.1")
KEY = "daemon.state_dir"
MOST_BYTES = 64 << 20  # of a file
PAUSE = 1.0  # seconds from a change to the writing, in which further ones may come
AGAIN = 60.0  # seconds from a writing that failed to the next try
SUBJECT = "leases"
_MAGIC = b"ikepy1leases"
_NUMBER = 8  # octets of the writing's number, behind the magic
_HEAD = len(_MAGIC) + _NUMBER + hashlib.sha256().digest_size


class LeaseFile:
    """The pair of files, from `open` to `close`; without a directory nothing is kept."""

    def __init__(self, fds: Sequence[int]) -> None:
        self._fds = fds
        self._writings = 0
        self._written = b""
        self._leases: Callable[[], Sequence[Lease]] = tuple
        self._timer: asyncio.TimerHandle | None = None
        self._writing: asyncio.Task[None] | None = None
        self._again = False
        self._failed = False

    @classmethod
    def open(cls, settings: Daemon) -> Self:
        """Make the files and their directory if they are not there. Raises StartError."""
        directory = settings.state_dir
        if directory is None:
            return cls(())
        fds: list[int] = []
        try:
            directory.mkdir(mode=0o700, exist_ok=True)
            for name in NAMES:
                flags = os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW | os.O_CLOEXEC | os.O_NONBLOCK
                fds.append(os.open(directory / name, flags, 0o600))
                if not stat.S_ISREG(os.fstat(fds[-1]).st_mode):
                    raise StartError(f"{directory / name} is no regular file", key=KEY)
        except OSError as error:
            _close(fds)
            raise StartError(f"{directory}: {error.strerror}", key=KEY) from None
        except StartError:
            _close(fds)
            raise
        return cls(fds)

    def read(self) -> list[Lease]:
        """What was written last; nothing if there is nothing, or nothing that is whole."""
        found = [one for one in map(_read, self._fds) if one is not None]
        if not found:
            return []
        self._writings, self._written = max(found, key=lambda one: one[0])
        leases = list(decoded(self._written))
        if leases:
            log.info(SUBJECT, f"{len(leases)} leases of virtual addresses are kept from before")
        return leases

    def start(self, leases: Callable[[], Sequence[Lease]]) -> None:
        """From now on `changed` has what `leases` gives written. Needs a running loop."""
        self._leases = leases

    def changed(self) -> None:
        """Write soon."""
        self._write_in(AGAIN if self._failed else PAUSE)

    def _write_in(self, seconds: float) -> None:
        if self._fds and self._timer is None:
            self._timer = asyncio.get_running_loop().call_later(seconds, self._begin)

    def _begin(self) -> None:
        self._timer = None
        if self._writing is not None and not self._writing.done():
            self._again = True
            return
        self._writing = asyncio.get_running_loop().create_task(self._write_aside(self._leases()))

    async def _write_aside(self, leases: Sequence[Lease]) -> None:
        try:
            await in_thread(self._write, leases)  # also their encoding: there may be tens of thousands
        except OSError as error:
            self._fail(error)
        if self._again or self._failed:
            self._again = False
            self.changed()

    def _write(self, leases: Sequence[Lease]) -> None:
        """It is tried again if it fails, and one failure is told."""
        data = encoded(leases)
        if data == self._written:
            return
        fd = self._fds[(self._writings + 1) % len(self._fds)]
        try:
            whole = _framed(self._writings + 1, data)
            os.ftruncate(fd, 0)
            done = 0
            while done < len(whole):
                done += os.pwrite(fd, whole[done:], done)
            os.fsync(fd)
        except OSError as error:
            self._fail(error)
            return
        self._writings, self._written, self._failed = self._writings + 1, data, False

    def _fail(self, error: OSError) -> None:
        if not self._failed:
            log.error(SUBJECT, f"leases of virtual addresses can't be kept over a restart: {error}")
        self._failed = True

    async def close(self) -> None:
        """Write what is not written yet."""
        if self._timer is not None:
            self._timer.cancel()
        if self._writing is not None:
            await asyncio.gather(self._writing, return_exceptions=True)
        if self._fds and (self._timer is not None or self._again):
            self._write(self._leases())
        _close(self._fds)
        self._fds = ()


def _close(fds: Sequence[int]) -> None:
    for fd in fds:
        os.close(fd)


def _framed(number: int, data: bytes) -> bytes:
    head = _MAGIC + number.to_bytes(_NUMBER, "big")
    return head + hashlib.sha256(head + data).digest() + data


def _read(fd: int) -> tuple[int, bytes] | None:
    """The number of the writing and what was written; None if a file is empty or not whole."""
    if os.fstat(fd).st_size > MOST_BYTES:
        return None
    parts: list[bytes] = []
    at = 0
    while part := os.pread(fd, 1 << 20, at):
        parts.append(part)
        at += len(part)
        if at > MOST_BYTES:
            return None
    whole = b"".join(parts)
    if len(whole) < _HEAD or not whole.startswith(_MAGIC):
        return None
    number = int.from_bytes(whole[len(_MAGIC) : len(_MAGIC) + _NUMBER], "big")
    data = whole[_HEAD:]
    return (number, data) if _framed(number, data) == whole else None


def encoded(leases: Sequence[Lease]) -> bytes:
    rows = [[one.pool, str(one.address), one.identity.id_type, one.identity.data.hex()] for one in leases]
    return json.dumps(rows, separators=(",", ":")).encode()


def decoded(data: bytes) -> Iterator[Lease]:
    """Rows that are none are left out."""
    try:
        rows = json.loads(data)
    except (ValueError, RecursionError):
        return
    for row in rows if isinstance(rows, list) else ():
        try:
            pool, address, id_type, identity = row
            name = bytes.fromhex(identity)
            if isinstance(pool, str) and isinstance(id_type, int) and len(name) <= MAX_LENGTH:
                yield Lease(pool, ip_address(str(address)), Identity(id_type, name))
        except (ValueError, TypeError):
            continue
