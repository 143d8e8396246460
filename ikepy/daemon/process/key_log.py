"""The key log: writes all keys of IKE and ESP into a directory, in Wireshark's tables and in our own file.

For labs and for debugging: who reads these files reads everything that the tunnels carry. The files are open
from the start on, as control can't open them later; several daemons may write into one directory.
"""

from __future__ import annotations

import errno
import os
import stat
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path
from typing import Self

from ikepy.crypto.key_schedule import KeySchedule
from ikepy.crypto.secret import Secret
from ikepy.daemon import log
from ikepy.daemon.errors import StartError
from ikepy.daemon.process.own_files import check_own
from ikepy.dissect import keyfile, keytables, told
from ikepy.sa.api.effects import InstallInbound, InstallOutbound

KEY = "daemon.keylog_dir"
SUBJECT = "keys"
MOST = 64 << 20  # octets of a file
_FLAGS = os.O_WRONLY | os.O_APPEND | os.O_CREAT | os.O_NOFOLLOW | os.O_CLOEXEC | os.O_NONBLOCK


class KeyLogFiles:
    """The three files. A `KeyLog` of the machine; `installed` takes the keys of ESP."""

    def __init__(self, directory: Path, files: dict[str, int]) -> None:
        self.directory = directory
        self._files = files
        self._failed = False

    @classmethod
    def open(cls, directory: Path) -> Self:
        """Make the files if they are not there. Raises StartError."""
        files: dict[str, int] = {}
        try:
            directory.mkdir(mode=0o700, exist_ok=True)
            check_own(directory.stat(), directory, 0o022, "write to", KEY)
            for name in (keytables.IKE_TABLE, keytables.ESP_TABLE, keyfile.NAME):
                files[name] = _open(directory / name)
        except (OSError, StartError) as error:
            for fd in files.values():
                os.close(fd)
            if isinstance(error, StartError):
                raise
            raise StartError(f"{directory}: {error.strerror}", key=KEY) from None
        log.warning(SUBJECT, f"ALL KEYS ARE WRITTEN to {directory}: who reads them reads what tunnels carry")
        return cls(directory, files)

    @property
    def own_file(self) -> Path:
        """The one that has everything, for `ikepy.dissect`."""
        return self.directory / keyfile.NAME

    def close(self) -> None:
        for fd in self._files.values():
            os.close(fd)
        self._files.clear()

    # -- what is told: nothing here may fail for its caller ----------------------------------------

    def shared_secret(self, public_i: bytes, public_r: bytes, secret: Secret) -> None:
        self._write(lambda: self._lines_of_secret(public_i, public_r, secret))

    def ike_keys(self, spi_i: bytes, spi_r: bytes, schedule: KeySchedule) -> None:
        self._write(lambda: self._lines_of_ike(spi_i, spi_r, schedule))

    def installed(self, effect: InstallInbound | InstallOutbound) -> None:
        """An ESP SA is installed."""
        self._write(lambda: self._lines_of_esp(effect))

    def _lines_of_secret(self, public_i: bytes, public_r: bytes, secret: Secret) -> Iterator[tuple[str, str]]:
        yield keyfile.NAME, keyfile.secret_line(public_i, public_r, secret.expose())

    def _lines_of_ike(self, spi_i: bytes, spi_r: bytes, schedule: KeySchedule) -> Iterator[tuple[str, str]]:
        keys = told.of_schedule(spi_i, spi_r, schedule)
        yield keyfile.NAME, keyfile.ike_line(keys)
        with suppress(keytables.Unwritable):
            yield keytables.IKE_TABLE, keytables.ike_line(keys)

    def _lines_of_esp(self, effect: InstallInbound | InstallOutbound) -> Iterator[tuple[str, str]]:
        keys = told.of_effect(effect)
        yield keyfile.NAME, keyfile.esp_line(keys)
        with suppress(keytables.Unwritable):
            yield keytables.ESP_TABLE, keytables.esp_line(keys)

    def _write(self, lines: Callable[[], Iterator[tuple[str, str]]]) -> None:
        """One failure is told; the tunnels go on without the log."""
        try:
            for name, line in lines():
                _append(self._files[name], line)
        except (OSError, KeyError, ValueError) as error:
            if not self._failed:
                why = error.strerror if isinstance(error, OSError) else type(error).__name__
                log.error(SUBJECT, f"keys can't be written to {self.directory}: {why}")
            self._failed = True


def _open(path: Path) -> int:
    """Append to a file that we alone may read. Raises OSError, StartError."""
    fd = os.open(path, _FLAGS, 0o600)
    try:
        found = os.fstat(fd)
        if not stat.S_ISREG(found.st_mode) or found.st_nlink != 1:
            raise StartError(f"{path} is no regular file, or has another name, too", key=KEY)
        check_own(found, path, 0o077, "read or write", KEY)
    except StartError:
        os.close(fd)
        raise
    return fd


def _append(fd: int, line: str) -> None:
    """A whole line in one call, which no other daemon's can split; none of it where the disk is full, as half
    a line would spoil the file for its readers."""
    data = f"{line}\n".encode()
    size = os.fstat(fd).st_size
    if size + len(data) > MOST:
        raise OSError(errno.EFBIG, f"the file has {MOST} octets: move it away, and restart the daemon")
    written = os.write(fd, data)
    if written < len(data):
        if os.fstat(fd).st_size == size + written:
            os.ftruncate(fd, size)
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
