"""Serves one client of the control socket, in JSON lines.

A request is one line, {"command": ..., "args": {...}}. The answer is any number of {"alive": true} lines (one
at once, and one every second while the command is at work) and {"log": text} lines, and then one
{"ok": true, "result": ...} or {"ok": false, "error": text}.
"""

from __future__ import annotations

import asyncio
import json
import socket
from collections.abc import Awaitable, Callable

from ikepy.daemon.control.socket_client import CROWDED, UNREAD, SocketClient, unless_gone
from ikepy.daemon.control.status import Json
from ikepy.daemon.effects.waiting_clients import FAULT
from ikepy.errors import IkeError

MAX_LINE = 65536  # octets of a request
IDLE = 60.0  # seconds that a client may take for a request
HEARTBEAT = 1.0  # seconds
ALIVE: dict[str, Json] = {"alive": True}


class CommandError(IkeError):
    """A request that can't be fulfilled; the text is the answer to the client."""


Progress = Callable[[str], None]
Handle = Callable[[str, dict[str, Json], Progress], Awaitable[Json]]


class ControlClient(SocketClient):
    """One connected client; it is busy while its command is being executed."""

    limit = MAX_LINE

    def __init__(self, sock: socket.socket, handle: Handle) -> None:
        """`sock` is non-blocking; this object closes it."""
        super().__init__(sock)
        self._handle = handle

    def say_crowded(self, writer: asyncio.StreamWriter) -> None:
        _write(writer, {"ok": False, "error": CROWDED})

    async def talk(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        while True:
            try:
                async with asyncio.timeout(IDLE):
                    line = await reader.readline()
            except ValueError:
                _write(writer, {"ok": False, "error": f"a request is one line of at most {MAX_LINE} octets"})
                return
            if not line:
                return
            self.set_busy(True)
            try:
                answer = await self._answer_or_gone(line, writer)
            finally:
                self.set_busy(False)
            if answer is None:
                return
            _write(writer, answer)
            async with asyncio.timeout(UNREAD):
                await writer.drain()

    async def _answer_or_gone(self, line: bytes, writer: asyncio.StreamWriter) -> dict[str, Json] | None:
        """The final line of the answer; None if the client went away meanwhile."""
        answer = await unless_gone(self._answer(line, writer), writer)
        if answer is None:
            return None
        if answer.exception() is not None:
            _write(writer, {"ok": False, "error": FAULT})
        return answer.result()  # or raises it, for the log

    async def _answer(self, line: bytes, writer: asyncio.StreamWriter) -> dict[str, Json]:
        def progress(text: str) -> None:
            tell({"log": text})

        def tell(value: dict[str, Json]) -> None:
            if self.has_room:
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
