"""JSON lines over the control socket: answers, progress, bad input, live and dead daemons' sockets."""

import asyncio
import contextlib
import gc
import json
import os
import resource
import socket
import stat
from collections.abc import Awaitable, Callable, Iterator
from pathlib import Path
from tempfile import TemporaryDirectory

import pytest

from ikepy.config.model import Daemon
from ikepy.daemon.control.client import DEFAULT_SOCKET
from ikepy.daemon.control.control_client import ALIVE, MAX_LINE, CommandError, Progress
from ikepy.daemon.control.control_socket import MAX_CLIENTS, PAUSE, RUNTIME, ControlSocket
from ikepy.daemon.control.status import Json
from ikepy.daemon.effects.waiting_clients import FAULT
from ikepy.daemon.errors import StartError

Stream = tuple[asyncio.StreamReader, asyncio.StreamWriter]
Client = Callable[[asyncio.StreamReader, asyncio.StreamWriter], Awaitable[None]]


@pytest.fixture
def path() -> Iterator[Path]:
    with TemporaryDirectory(prefix="ikepy-t") as name:  # a Unix socket's path is short
        yield Path(name) / "s"


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
        if command == "fault":
            raise ZeroDivisionError("a bug")
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
            await close_all(_opened)

    asyncio.run(scenario())


_opened: list[Stream] = []


async def connect(
    path: Path | None = None, *, sock: socket.socket | None = None, limit: int = 65536
) -> Stream:
    """One more client, which `_run` closes."""
    stream = await asyncio.open_unix_connection(path, sock=sock, limit=limit)
    _opened.append(stream)
    return stream


async def close_all(streams: list[Stream]) -> None:
    for _, writer in tuple(streams):
        writer.transport.abort()
        with contextlib.suppress(ConnectionError):
            await writer.wait_closed()
    streams.clear()


async def _ask(stream: Stream, request: object) -> list[object]:
    """What comes as an answer, without the signs of life."""
    reader, writer = stream
    writer.write((request if isinstance(request, bytes) else json.dumps(request).encode()) + b"\n")
    lines: list[object] = []
    while True:
        line = json.loads(await reader.readline())
        if line == ALIVE:
            continue
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
        assert json.loads(await reader.readline()) == ALIVE
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
        assert json.loads(await reader.readline()) == ALIVE
        assert await reader.read() == b""
        writer.close()

    asyncio.run(scenario())
    assert not path.exists()


def test_a_client_closes_with_its_server_whatever_it_was_doing(path: Path) -> None:
    """Nothing is left to the garbage collector, which would warn of it in some other test."""

    async def scenario() -> None:
        control = ControlSocket.open(path)
        await control.start(Handler().handle)
        idle = await asyncio.open_unix_connection(path)
        await asyncio.sleep(0.05)
        just_come = await asyncio.open_unix_connection(path)
        await control.close()
        for reader, writer in (idle, just_come):
            with contextlib.suppress(ConnectionResetError):
                assert await reader.read() == b""
            writer.close()

    asyncio.run(scenario())
    gc.collect()


def test_idle_clients_keep_nobody_out(path: Path, caplog: pytest.LogCaptureFixture) -> None:
    async def client(*stream: *Stream) -> None:
        idle = [await connect(path) for _ in range(3 * MAX_CLIENTS)]
        late = await connect(path)
        assert await _ask(late, {"command": "echo"}) == [{"ok": True, "result": {}}]
        left = [one for one in idle if not one[0].at_eof()]
        assert len(left) == MAX_CLIENTS - 1
        assert left == idle[-len(left) :]
        assert await stream[0].read() == b""

    with caplog.at_level("WARNING", "ikepy"):
        _run(path, client)
    assert len(caplog.records) == 1


def test_those_that_wait_for_an_outcome_go_last(path: Path) -> None:
    async def client(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(b'{"command": "wait"}\n')
        assert json.loads(await reader.readline()) == ALIVE
        others = [await connect(path) for _ in range(2 * MAX_CLIENTS)]
        assert await _ask(others[-1], {"command": "echo"}) == [{"ok": True, "result": {}}]
        assert not reader.at_eof()
        await close_all(others)
        for _ in range(MAX_CLIENTS):
            one = await connect(path)
            one[1].write(b'{"command": "wait"}\n')
            assert json.loads(await one[0].readline()) == ALIVE
        last = (await reader.read()).splitlines()[-1]  # it has waited longest
        assert "too many clients" in json.loads(last)["error"]
        assert await _ask(await connect(path), {"command": "echo"})

    _run(path, client)


def test_a_command_at_work_gives_signs_of_life(path: Path) -> None:
    async def client(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(b'{"command": "wait"}\n')
        for _ in range(3):
            assert json.loads(await reader.readline()) == ALIVE

    _run(path, client)


def test_idle_clients_and_those_that_never_read_are_sent_away(
    path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("ikepy.daemon.control.control_client.IDLE", 0.1)
    monkeypatch.setattr("ikepy.daemon.control.control_client.UNREAD", 0.1)
    monkeypatch.setattr("ikepy.daemon.control.socket_client.LEAVING", 0.1)

    async def client(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        _, deaf_writer = await connect(path, limit=1024)
        for _ in range(100):
            deaf_writer.write(json.dumps({"command": "echo", "args": {"a": "x" * 60000}}).encode() + b"\n")
        writer.write(b'{"command": ')
        assert await reader.read() == b""
        with pytest.raises(ConnectionError):
            await deaf_writer.drain()
            while True:
                deaf_writer.write(b"x")
                await deaf_writer.drain()
                await asyncio.sleep(0.01)

    _run(path, client)


def test_without_descriptors_it_says_so_once_and_recovers(
    path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    async def client(*stream: *Stream) -> None:
        stream[1].write(b'{"command": "wait"}\n')
        assert json.loads(await stream[0].readline()) == ALIVE
        soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
        with socket.socket(socket.AF_UNIX) as waiting:
            resource.setrlimit(resource.RLIMIT_NOFILE, (waiting.fileno(), hard))
            try:
                waiting.connect(str(path))
                await asyncio.sleep(3 * PAUSE)
                waiting.setblocking(False)
                with pytest.raises(BlockingIOError):
                    waiting.recv(1)
            finally:
                resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))
            late = await connect(sock=waiting)
            assert await _ask(late, {"command": "echo"}) == [{"ok": True, "result": {}}]

    with caplog.at_level("INFO", "ikepy"):
        _run(path, client)
    assert [record.levelname for record in caplog.records] == ["ERROR", "INFO"]
    assert "Too many open files" in caplog.messages[0]


def test_without_descriptors_an_idle_client_gives_way(path: Path) -> None:
    async def client(*stream: *Stream) -> None:
        assert await _ask(stream, {"command": "echo"})
        soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
        with socket.socket(socket.AF_UNIX) as waiting:
            resource.setrlimit(resource.RLIMIT_NOFILE, (waiting.fileno(), hard))
            try:
                waiting.connect(str(path))
                late = await connect(sock=waiting)
                assert await _ask(late, {"command": "echo"}) == [{"ok": True, "result": {}}]
                assert await stream[0].read() == b""
                assert await _ask(late, {"command": "echo"}) == [{"ok": True, "result": {}}]
            finally:
                resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))

    _run(path, client)


def test_only_the_owner_may_open_it(path: Path) -> None:
    async def client(*_: *Stream) -> None:
        modes = [stat.S_IMODE(one.stat().st_mode) for one in (path, path.parent)]
        assert modes == [0o600, 0o700]

    _run(path, client)


def test_a_dead_daemons_socket_is_replaced(path: Path) -> None:
    with socket.socket(socket.AF_UNIX) as dead:
        dead.bind(str(path))

    async def client(*stream: *Stream) -> None:
        assert await _ask(stream, {"command": "echo"}) == [{"ok": True, "result": {}}]

    _run(path, client)


def test_a_living_daemons_socket_is_not(path: Path) -> None:
    async def client(*stream: *Stream) -> None:
        with pytest.raises(StartError, match=rf"^already running \(pid {os.getpid()}, socket "):
            ControlSocket.open(path)
        assert await _ask(stream, {"command": "echo"}) == [{"ok": True, "result": {}}]

    _run(path, client)


def test_another_file_is_left_alone(path: Path) -> None:
    path.write_text("precious")
    with pytest.raises(StartError, match="is no socket"):
        ControlSocket.open(path)
    assert path.read_text() == "precious"


def test_a_fault_of_ours_is_told_and_its_client_let_go(path: Path, caplog: pytest.LogCaptureFixture) -> None:
    async def client(*stream: *Stream) -> None:
        assert await _ask(stream, {"command": "fault"}) == [{"ok": False, "error": FAULT}]
        assert await stream[0].read() == b""

    _run(path, client)
    assert "a client's request failed" in caplog.text


def test_only_the_runtime_directory_is_made(path: Path) -> None:
    """A typing error in --socket makes no directories."""
    directory = path.parent / "typo"
    with pytest.raises(StartError, match=f"there is no directory {directory}: make it, or name another"):
        ControlSocket.open(directory / "x")
    with pytest.raises(StartError, match="there is no directory"):
        ControlSocket.open(directory / "deeper" / "x", directory)
    assert not directory.exists()

    async def scenario() -> None:
        await ControlSocket.open(directory / "x", directory).close()

    asyncio.run(scenario())
    assert stat.S_IMODE(directory.stat().st_mode) == 0o700


def test_the_default_socket_is_in_the_runtime_directory() -> None:
    assert Daemon().socket.parent == DEFAULT_SOCKET.parent == RUNTIME
