"""Serves one client of the control socket, in JSON lines.

A request is one line, {"command": ..., "args": {...}}. The answer is any number of {"alive": true} lines (one
at once, and one every second while the command is at work) and {"log": text} lines, and then one
{"ok": true, "result": ...} or {"ok": false, "error": text}.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import select
import socket
from collections.abc import Awaitable, Callable

from ikepy.daemon.control.status import Json
from ikepy.daemon.effects.waiting_clients import FAULT
from ikepy.errors import IkeError

MAX_LINE = 65536  # octets of a request
MAX_UNREAD = 1 << 20  # octets of progress that a client may leave unread; more is dropped
IDLE = 60.0  # seconds that a client may take for a request
UNREAD = 10.0  # seconds that it may leave an answer unread
LEAVING = 1.0  # seconds that it has to read the last lines
HEARTBEAT = 1.0  # seconds
HANG_UP_CHECK = 0.2  # seconds
ALIVE: dict[str, Json] = {"alive": True}


class CommandError(IkeError):
    """A request that can't be fulfilled; the text is the answer to the client."""


Progress = Callable[[str], None]
Handle = Callable[[str, dict[str, Json], Progress], Awaitable[Json]]


class ControlClient:
    """One connected client. `busy`: its command is being executed; `since`: loop time when that changed."""

    def __init__(self, sock: socket.socket, handle: Handle) -> None:
        """`sock` is non-blocking; this object closes it."""
        self._sock = sock
        self._handle = handle
        self._loop = asyncio.get_running_loop()
        self._writer: asyncio.StreamWriter | None = None
        self.busy = False
        self.since = self._loop.time()

    async def serve(self) -> None:
        """Answer requests until the client leaves or is too slow, or the task is cancelled."""
        reader, writer = await asyncio.open_unix_connection(sock=self._sock, limit=MAX_LINE)
        self._writer = writer
        try:
            with contextlib.suppress(ConnectionError, TimeoutError):
                await self._serve(reader, writer)
        finally:
            writer.close()
        with contextlib.suppress(ConnectionError, TimeoutError):
            async with asyncio.timeout(LEAVING):
                await writer.wait_closed()
        self.hang_up()

    def hang_up(self) -> None:
        """Close the connection at once, whatever is unread. Before `serve` has begun this does nothing."""
        if self._writer is not None:
            self._writer.transport.abort()

    def send_away(self) -> None:
        """Close the connection, because others need its place; a client that waits is told so."""
        if self._writer is not None and self.busy:
            text = (
                "too many clients of the control socket: this one is not served further; the command goes on"
            )
            _write(self._writer, {"ok": False, "error": text})
        self.hang_up()

    def ended(self) -> None:
        """The task of `serve` has ended; perhaps it never began."""
        if self._writer is None:
            self._sock.close()

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        while True:
            try:
                async with asyncio.timeout(IDLE):
                    line = await reader.readline()
            except ValueError:
                _write(writer, {"ok": False, "error": f"a request is one line of at most {MAX_LINE} octets"})
                return
            if not line:
                return
            self._set_busy(True)
            try:
                answer = await self._answer_or_gone(line, writer)
            finally:
                self._set_busy(False)
            if answer is None:
                return
            _write(writer, answer)
            async with asyncio.timeout(UNREAD):
                await writer.drain()

    def _set_busy(self, busy: bool) -> None:
        self.busy = busy
        self.since = self._loop.time()

    async def _answer_or_gone(self, line: bytes, writer: asyncio.StreamWriter) -> dict[str, Json] | None:
        """The final line of the answer; None if the client went away meanwhile."""
        answer = asyncio.ensure_future(self._answer(line, writer))
        gone = asyncio.ensure_future(_gone(writer))
        try:
            await asyncio.wait((answer, gone), return_when=asyncio.FIRST_COMPLETED)
            if not answer.done():
                return None
            if answer.exception() is not None:
                _write(writer, {"ok": False, "error": FAULT})
            return answer.result()  # or raises it, for the log
        finally:
            for task in (answer, gone):
                task.cancel()
            await asyncio.gather(answer, gone, return_exceptions=True)

    async def _answer(self, line: bytes, writer: asyncio.StreamWriter) -> dict[str, Json]:
        def progress(text: str) -> None:
            tell({"log": text})

        def tell(value: dict[str, Json]) -> None:
            if writer.transport.get_write_buffer_size() < MAX_UNREAD:
                _write(writer, value)

        async def show_life() -> None:
            while True:
                await asyncio.sleep(HEARTBEAT)
                tell(ALIVE)

        life = asyncio.create_task(show_life())
        try:
            command, arguments = _request(line)
            tell(ALIVE)
            return {"ok": True, "result": await self._handle(command, arguments, progress)}
        except CommandError as error:
            return {"ok": False, "error": str(error)}
        finally:
            life.cancel()


def _request(line: bytes) -> tuple[str, dict[str, Json]]:
    try:
        request = json.loads(line)
    except (ValueError, RecursionError):
        raise CommandError("a request is one line of JSON") from None
    if not isinstance(request, dict) or not request.keys() <= {"command", "args"}:
        raise CommandError('a request is an object with "command" and "args"')
    command, arguments = request.get("command"), request.get("args", {})
    if not isinstance(command, str) or not isinstance(arguments, dict):
        raise CommandError('"command" is text and "args" an object')
    return command, arguments


def _write(writer: asyncio.StreamWriter, value: dict[str, Json]) -> None:
    writer.write(json.dumps(value).encode() + b"\n")


async def _gone(writer: asyncio.StreamWriter) -> None:
    """Wait until the client has closed its socket; one that only ended its sending still wants an answer."""
    poll = select.poll()
    poll.register(writer.get_extra_info("socket").fileno(), 0)  # a hang-up is reported unasked
    while not poll.poll(0):  # noqa: ASYNC110  the stream owns the descriptor's events
        await asyncio.sleep(HANG_UP_CHECK)
