"""The control socket: JSON lines over a Unix socket that only its owner may open.

A request is one line, {"command": ..., "args": {...}}. The answer is any number of {"log": text} lines and
then one {"ok": true, "result": ...} or {"ok": false, "error": text}.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import select
import socket
import stat
from collections.abc import Awaitable, Callable
from pathlib import Path

from ikepy.daemon import log
from ikepy.daemon.errors import StartError
from ikepy.daemon.status import Json
from ikepy.errors import IkeError

MAX_LINE = 65536  # octets of a request
MAX_CLIENTS = 64
MAX_UNREAD = 1 << 20  # octets of progress a client may leave unread; more is left out
HANG_UP_CHECK = 0.2  # seconds
SUBJECT = "control"


class CommandError(IkeError):
    """A request that can't be fulfilled: the text is the client's answer."""


Progress = Callable[[str], None]
Handle = Callable[[str, dict[str, Json], Progress], Awaitable[Json]]


class ControlSocket:
    """The listening socket and its clients."""

    def __init__(self, path: Path, sock: socket.socket) -> None:
        self._path = path
        self._sock = sock
        self._inode = path.stat().st_ino
        self._server: asyncio.Server | None = None
        self._clients: set[asyncio.Task[None]] = set()
        self._handle: Handle | None = None

    @classmethod
    def open(cls, path: Path) -> ControlSocket:
        """Bind `path`, in a directory made if need be. Raises StartError.

        A dead daemon's socket is replaced.
        """
        try:
            path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
            refuse_living(path)
            with contextlib.suppress(FileNotFoundError):
                path.unlink()
            sock = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM | socket.SOCK_NONBLOCK)
            try:
                mask = os.umask(0o177)
                try:
                    sock.bind(str(path))
                finally:
                    os.umask(mask)
                sock.listen(MAX_CLIENTS)
                return cls(path, sock)
            except BaseException:
                sock.close()
                raise
        except OSError as error:
            raise StartError(f"{path}: {error.strerror or error}", key="daemon.socket") from error

    async def start(self, handle: Handle) -> None:
        self._handle = handle
        self._server = await asyncio.start_unix_server(self._accept, sock=self._sock, limit=MAX_LINE)

    async def close(self) -> None:
        """Close the socket and its clients, and remove the file if it is still ours."""
        if self._server is not None:
            self._server.close()
        for client in tuple(self._clients):
            client.cancel()
        await asyncio.gather(*self._clients, return_exceptions=True)
        if self._server is not None:
            await self._server.wait_closed()
        self._sock.close()
        with contextlib.suppress(OSError):
            if self._path.stat().st_ino == self._inode:
                self._path.unlink()

    async def _accept(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        if len(self._clients) >= MAX_CLIENTS:
            log.warning(SUBJECT, f"more than {MAX_CLIENTS} clients: one is turned away")
            writer.close()
            return
        self._clients.add(task)
        try:
            await self._serve(reader, writer)
        except (ConnectionError, asyncio.CancelledError):
            pass  # the client is gone, or the daemon ends
        finally:
            self._clients.discard(task)
            writer.close()

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        while True:
            try:
                line = await reader.readline()
            except ValueError:
                _write(writer, {"ok": False, "error": f"a request is one line of at most {MAX_LINE} octets"})
                return
            if not line:
                return
            answer = await self._answer_or_gone(line, writer)
            if answer is None:
                return
            _write(writer, answer)
            await writer.drain()

    async def _answer_or_gone(self, line: bytes, writer: asyncio.StreamWriter) -> dict[str, Json] | None:
        """The final line, or None for a client that went away meanwhile."""
        answer = asyncio.ensure_future(self._answer(line, writer))
        gone = asyncio.ensure_future(_gone(writer))
        try:
            await asyncio.wait((answer, gone), return_when=asyncio.FIRST_COMPLETED)
            return answer.result() if answer.done() else None
        finally:
            for task in (answer, gone):
                task.cancel()
            await asyncio.gather(answer, gone, return_exceptions=True)

    async def _answer(self, line: bytes, writer: asyncio.StreamWriter) -> dict[str, Json]:
        def progress(text: str) -> None:
            if writer.transport.get_write_buffer_size() < MAX_UNREAD:
                _write(writer, {"log": text})

        try:
            command, arguments = _request(line)
            assert self._handle is not None
            return {"ok": True, "result": await self._handle(command, arguments, progress)}
        except CommandError as error:
            return {"ok": False, "error": str(error)}


def refuse_living(path: Path) -> None:
    """Raise StartError if a daemon listens on `path`, or if something else than a socket lies there."""
    try:
        if not stat.S_ISSOCK(path.lstat().st_mode):
            raise StartError(f"{path} exists and is no socket", key="daemon.socket")
    except FileNotFoundError:
        return
    except OSError as error:
        raise StartError(f"{path}: {error.strerror or error}", key="daemon.socket") from error
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as probe:
        probe.settimeout(1.0)
        try:
            probe.connect(str(path))
        except ConnectionRefusedError:
            return  # its daemon is dead
        except TimeoutError:
            pass  # it listens, but is busy
        except OSError as error:
            raise StartError(f"{path}: {error.strerror or error}", key="daemon.socket") from error
    raise StartError(f"another daemon is running: it answers on {path}", key="daemon.socket")


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
