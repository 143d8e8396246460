"""Asks for a reload when a file of the configuration changes (`ikepy run --watch`).

The kernel tells what happens in the directories of the files (inotify(7)); then the files' stamps are
compared with those of the last reading, so that other files there don't matter. Which files it has opened,
each reading says.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Protocol

from asyncinotify import Inotify, Mask

from ikepy.config.files_read import FilesRead
from ikepy.daemon import log
from ikepy.daemon.bus.daemon_events import ConfigRefused, ConfigReloaded
from ikepy.daemon.bus.event_bus import EventBus
from ikepy.daemon.in_thread import in_thread
from ikepy.daemon.supervision import supervise

SUBJECT = "configuration"
QUIET = 0.25  # seconds without a further event: whoever changes several files is done
LONGEST = 2.0  # seconds that events which don't end are waited for
POLL = 5.0  # seconds
EVENTS = (
    Mask.CREATE
    | Mask.MOVED_TO
    | Mask.MOVED_FROM
    | Mask.DELETE
    | Mask.CLOSE_WRITE
    | Mask.ATTRIB
    | Mask.DELETE_SELF
    | Mask.MOVE_SELF
    | Mask.ONLYDIR
)


Identified = dict[Path, tuple[int, int]]


class WatchedFile(Protocol):
    """`ikepy.config.sources.config_file.ConfigFile`."""

    @property
    def files_read(self) -> FilesRead:
        """Those of the last reading."""


class ConfigWatch:
    """Watches from `start` to `stop`. What the kernel can't watch is looked at every POLL seconds."""

    def __init__(self, file: WatchedFile, changed: Callable[[], None], bus: EventBus) -> None:
        """`changed`: asks for a reload, the end of which `bus` tells."""
        self._file = file
        self._changed = changed
        self._look = asyncio.Event()
        self._inotify: Inotify | None = None
        self._watched: Identified = {}
        self._blind = False
        self._following: asyncio.Task[None] | None = None
        self._listening: asyncio.Task[None] | None = None
        bus.listen((ConfigReloaded, ConfigRefused), lambda _: self._look.set())

    def start(self) -> None:
        self._look.set()  # the file may have changed since it was read
        self._following = supervise(self._follow, "watch the configuration's files", "config", self._look.set)

    async def stop(self) -> None:
        if self._following is not None:
            self._following.cancel()
            await asyncio.gather(self._following, return_exceptions=True)
        await self._close()

    async def _follow(self) -> None:
        while True:
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(POLL if self._blind else None):
                    await self._look.wait()
            await self._settle()
            read = self._file.files_read
            await self._watch(*await in_thread(_identified, read))
            if await in_thread(read.changed) and read is self._file.files_read:
                self._changed()

    async def _settle(self) -> None:
        """Wait until the events have ended, for LONGEST at most."""
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(LONGEST):
                while self._look.is_set():
                    self._look.clear()
                    await asyncio.sleep(QUIET)
        self._look.clear()

    async def _watch(self, directories: Identified, refused: OSError | None) -> None:
        """Watch these from now on. Whoever compares stamps afterwards misses nothing.

        `refused`: why not all of them are known.
        """
        if directories == self._watched and refused is None:
            return
        await self._close()
        try:
            self._inotify = Inotify()
            for path in directories:
                self._inotify.add_watch(path, EVENTS)
        except OSError as error:
            refused = error
        if self._inotify is not None:
            listen = partial(self._listen, self._inotify)
            self._listening = supervise(listen, "hear of the configuration's files", "config", self._look.set)
        if refused is not None and not self._blind:
            text = f"the kernel can't watch its files ({refused}): they are looked at every {POLL:.0f} s"
            log.warning(SUBJECT, text, "config")
        self._blind, self._watched = refused is not None, directories

    async def _listen(self, inotify: Inotify) -> None:
        async for _ in inotify:
            self._look.set()

    async def _close(self) -> None:
        if self._listening is not None:
            self._listening.cancel()
            await asyncio.gather(self._listening, return_exceptions=True)
            self._listening = None
        if self._inotify is not None:
            self._inotify.close()
            self._inotify = None


def _identified(read: FilesRead) -> tuple[Identified, OSError | None]:
    """The directories to watch, each with device and inode: one that was replaced is another one.

    And why they can't be found, as where root alone may look.
    """
    found: Identified = {}
    try:
        directories = read.directories()
    except OSError as error:
        return found, error
    for path in sorted(directories):
        with contextlib.suppress(OSError):
            status = path.stat()
            found[path] = status.st_dev, status.st_ino
    return found, None
