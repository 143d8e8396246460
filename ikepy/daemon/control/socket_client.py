"""What every client of a control socket is, whatever protocol it speaks: its task, its limits, its end."""

from __future__ import annotations

import asyncio
import contextlib
import select
import socket
from abc import ABC, abstractmethod
from collections.abc import Coroutine
from typing import Any, TypeVar

MAX_UNREAD = 1 << 20  # octets of progress that a client may leave unread; more is dropped
UNREAD = 10.0  # seconds that it may leave an answer unread
LEAVING = 1.0  # seconds that it has to read the last of it
HANG_UP_CHECK = 0.2  # seconds
T = TypeVar("T")


class SocketClient(ABC):
    """One connected client. `busy`: it waits for something; `since`: loop time when that changed."""

    limit: int  # octets that the reader keeps

    def __init__(self, sock: socket.socket) -> None:
        """`sock` is non-blocking; this object closes it."""
        self._sock = sock
        self._loop = asyncio.get_running_loop()
        self.writer: asyncio.StreamWriter | None = None
        self.busy = False
        self.since = self._loop.time()

    @abstractmethod
    async def talk(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """Answer requests until the client leaves; ConnectionError and TimeoutError end it, too."""

    @abstractmethod
    def say_crowded(self, writer: asyncio.StreamWriter) -> None:
        """Write, to a client that waits, that others need its place."""

    async def serve(self) -> None:
        """Answer requests until the client leaves or is too slow, or the task is cancelled."""
        reader, writer = await asyncio.open_unix_connection(sock=self._sock, limit=self.limit)
        self.writer = writer
        try:
            with contextlib.suppress(ConnectionError, TimeoutError):
                await self.talk(reader, writer)
        finally:
            writer.close()
        with contextlib.suppress(ConnectionError, TimeoutError):
            async with asyncio.timeout(LEAVING):
                await writer.wait_closed()
        self.hang_up()

    def hang_up(self) -> None:
        """Close the connection at once, whatever is unread. Before `serve` has begun this does nothing."""
        if self.writer is not None:
            self.writer.transport.abort()

    def send_away(self) -> None:
        """Close the connection, because others need its place; a client that waits is told so."""
        if self.writer is not None and self.busy:
            self.say_crowded(self.writer)
        self.hang_up()

    def ended(self) -> None:
        """The task of `serve` has ended; perhaps it never began."""
        if self.writer is None:
            self._sock.close()

    def set_busy(self, busy: bool) -> None:
        self.busy = busy
        self.since = self._loop.time()

    @property
    def has_room(self) -> bool:
        """Whether the client has read enough of what it was sent to be sent more that can be left out."""
        return self.writer is not None and self.writer.transport.get_write_buffer_size() < MAX_UNREAD


CROWDED = "too many clients of the control socket: this one is not served further; the command goes on"


async def unless_gone(work: Coroutine[Any, Any, T], writer: asyncio.StreamWriter) -> asyncio.Task[T] | None:
    """`work`, done; None if the client went away meanwhile, with whom the work is cancelled."""
    task = asyncio.ensure_future(work)
    gone = asyncio.ensure_future(_gone(writer))
    try:
        await asyncio.wait((task, gone), return_when=asyncio.FIRST_COMPLETED)
        return task if task.done() else None
    finally:
        for each in (task, gone):
            each.cancel()
        await asyncio.gather(task, gone, return_exceptions=True)


async def _gone(writer: asyncio.StreamWriter) -> None:
    """Wait until the client has closed its socket; one that only ended its sending still wants an answer."""
    poll = select.poll()
    poll.register(writer.get_extra_info("socket").fileno(), 0)  # a hang-up is reported unasked
    # Once we have closed it, its number may be another file's.
    while not (writer.is_closing() or poll.poll(0)):  # noqa: ASYNC110  the stream owns the descriptor's events
        await asyncio.sleep(HANG_UP_CHECK)
