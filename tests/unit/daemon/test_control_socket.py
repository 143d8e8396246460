"""JSON lines over the control socket: answers, progress, bad input, live and dead daemons' sockets."""

import asyncio
import json
import socket
import stat
from collections.abc import Awaitable, Callable, Iterator
from pathlib import Path
from tempfile import TemporaryDirectory

import pytest

from ikepy.daemon.control_socket import MAX_LINE, CommandError, ControlSocket, Progress
from ikepy.daemon.errors import StartError
from ikepy.daemon.status import Json

Stream = tuple[asyncio.StreamReader, asyncio.StreamWriter]
Client = Callable[[asyncio.StreamReader, asyncio.StreamWriter], Awaitable[None]]


@pytest.fixture
def path() -> Iterator[Path]:
    with TemporaryDirectory(prefix="ikepy-t") as name:  # a Unix socket's path is short
        yield Path(name) / "run" / "s"


class Handler:
    """echo, fail, progress, and one that waits until its client is gone."""

    def __init__(self) -> None:
        self.cancelled = asyncio.Event()

    async def handle(self, command: str, arguments: dict[str, Json], progress: Progress) -> Json:
        if command == "wait":
            try:
                await asyncio.sleep(60)
            except asyncio.CancelledError:
                self.cancelled.set()
                raise
        if command == "fail":
            raise CommandError("no such thing")
        if command == "progress":
            progress("one")
            progress("two")
        return arguments


def _run(path: Path, client: Client) -> None:
    async def scenario() -> None:
        control = ControlSocket.open(path)
        await control.start(Handler().handle)
        reader, writer = await asyncio.open_unix_connection(path)
        try:
            await asyncio.wait_for(client(reader, writer), 5)
        finally:
            writer.close()
            await control.close()

    asyncio.run(scenario())


async def _ask(stream: Stream, request: object) -> list[object]:
    reader, writer = stream
    writer.write((request if isinstance(request, bytes) else json.dumps(request).encode()) + b"\n")
    lines: list[object] = []
    while True:
        line = json.loads(await reader.readline())
        lines.append(line)
        if "ok" in line:
            return lines


def test_several_requests_on_one_connection(path: Path) -> None:
    async def client(*stream: *Stream) -> None:
        echo = {"command": "echo", "args": {"a": 1}}
        assert await _ask(stream, echo) == [{"ok": True, "result": {"a": 1}}]
        assert await _ask(stream, {"command": "fail"}) == [{"ok": False, "error": "no such thing"}]
        progress = await _ask(stream, {"command": "progress"})
        assert progress == [{"log": "one"}, {"log": "two"}, {"ok": True, "result": {}}]

    _run(path, client)


@pytest.mark.parametrize(
    "request_line",
    [
        b"nonsense",
        b"[1]",
        b"{}",
        b'{"command": 1}',
        b'{"command": "echo", "args": []}',
        b'{"command": "echo", "more": 1}',
        b"[" * 5000,
        b"\xff\xfe",
    ],
)
def test_bad_input_is_answered_and_the_connection_stays(path: Path, request_line: bytes) -> None:
    async def client(*stream: *Stream) -> None:
        (answer,) = await _ask(stream, request_line)
        assert isinstance(answer, dict)
        assert answer["ok"] is False
        assert await _ask(stream, {"command": "echo"}) == [{"ok": True, "result": {}}]

    _run(path, client)


def test_a_line_without_end_is_cut_off(path: Path) -> None:
    async def client(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(b"x" * (2 * MAX_LINE + 10))
        assert json.loads(await reader.readline())["ok"] is False
        assert await reader.read() == b""

    _run(path, client)


def test_a_client_that_only_ends_its_sending_gets_its_answer(path: Path) -> None:
    async def client(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(b'{"command": "echo"}\n')
        writer.write_eof()
        assert json.loads(await reader.read()) == {"ok": True, "result": {}}

    _run(path, client)


def test_a_client_that_goes_away_is_waited_for_no_more(path: Path) -> None:
    async def scenario() -> None:
        handler = Handler()
        control = ControlSocket.open(path)
        await control.start(handler.handle)
        _, writer = await asyncio.open_unix_connection(path)
        writer.write(b'{"command": "wait"}\n')
        await writer.drain()
        await asyncio.sleep(0.05)
        writer.close()
        await asyncio.wait_for(handler.cancelled.wait(), 5)
        await control.close()

    asyncio.run(scenario())


def test_closing_ends_waiting_clients_and_removes_the_socket(path: Path) -> None:
    async def scenario() -> None:
        control = ControlSocket.open(path)
        await control.start(Handler().handle)
        reader, writer = await asyncio.open_unix_connection(path)
        writer.write(b'{"command": "wait"}\n')
        await writer.drain()
        await asyncio.sleep(0.05)
        await asyncio.wait_for(control.close(), 5)
        assert await reader.read() == b""
        writer.close()

    asyncio.run(scenario())
    assert not path.exists()


def test_only_the_owner_may_open_it(path: Path) -> None:
    async def client(*_: *Stream) -> None:
        modes = [stat.S_IMODE(one.stat().st_mode) for one in (path, path.parent)]
        assert modes == [0o600, 0o700]

    _run(path, client)


def test_a_dead_daemons_socket_is_replaced(path: Path) -> None:
    path.parent.mkdir()
    with socket.socket(socket.AF_UNIX) as dead:
        dead.bind(str(path))

    async def client(*stream: *Stream) -> None:
        assert await _ask(stream, {"command": "echo"}) == [{"ok": True, "result": {}}]

    _run(path, client)


def test_a_living_daemons_socket_is_not(path: Path) -> None:
    async def client(*stream: *Stream) -> None:
        with pytest.raises(StartError, match=r"daemon\.socket: another daemon is running"):
            ControlSocket.open(path)
        assert await _ask(stream, {"command": "echo"}) == [{"ok": True, "result": {}}]

    _run(path, client)


def test_another_file_is_left_alone(path: Path) -> None:
    path.parent.mkdir()
    path.write_text("precious")
    with pytest.raises(StartError, match="is no socket"):
        ControlSocket.open(path)
    assert path.read_text() == "precious"
