"""The listening control socket: how many clients, who goes first, live and dead daemons' sockets.

Its clients speak a protocol of words here: what VICI's clients may cost has tests of its own.
"""

import asyncio
import contextlib
import gc
import os
import resource
import socket
import stat
import subprocess
import sys
from collections.abc import Awaitable, Callable, Iterator
from pathlib import Path
from tempfile import TemporaryDirectory

import pytest

from ikepy.config.model import Daemon
from ikepy.control.client import DEFAULT_SOCKET
from ikepy.daemon.control.access import Access, Peer
from ikepy.daemon.control.control_socket import MAX_CLIENTS, PAUSE, RUNTIME, ControlSocket
from ikepy.daemon.control.socket_client import CROWDED, SocketClient, unless_gone
from ikepy.daemon.errors import StartError

Stream = tuple[asyncio.StreamReader, asyncio.StreamWriter]
Client = Callable[[asyncio.StreamReader, asyncio.StreamWriter], Awaitable[None]]


@pytest.fixture
def path() -> Iterator[Path]:
    with TemporaryDirectory(prefix="ikepy-t") as name:  # a Unix socket's path is short
        yield Path(name) / "s"


class WordClient(SocketClient):
    """Answers each line with itself, but for "fault", and "wait", which never gets one."""

    limit = 1024

    async def talk(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        while line := await reader.readline():
            if line == b"fault\n":
                raise ZeroDivisionError("a bug")
            if line == b"wait\n":
                self.set_busy(True)
                writer.write(b"waiting\n")
                await unless_gone(asyncio.sleep(60), writer)
                self.set_busy(False)
                return
            writer.write(line)

    def say_crowded(self, writer: asyncio.StreamWriter) -> None:
        writer.write(CROWDED.encode())


def _run(path: Path, client: Client) -> None:
    async def scenario() -> None:
        control = ControlSocket.open(path)
        control.start(WordClient)
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


async def served(stream: Stream) -> bool:
    """Whether it is answered."""
    reader, writer = stream
    writer.write(b"echo\n")
    return await reader.readline() == b"echo\n"


async def waits(stream: Stream) -> None:
    """Its command is at work."""
    reader, writer = stream
    writer.write(b"wait\n")
    assert await reader.readline() == b"waiting\n"


def test_a_client_whose_connection_is_closed_is_gone_though_its_number_is_in_use_again(path: Path) -> None:
    async def scenario() -> None:
        ours, theirs = socket.socketpair(socket.AF_UNIX)
        _, writer = await asyncio.open_unix_connection(sock=ours)
        number = writer.get_extra_info("socket").fileno()
        async with asyncio.timeout(20):
            work = asyncio.create_task(unless_gone(asyncio.sleep(60), writer))
            await asyncio.sleep(0)
            writer.transport.abort()
            with contextlib.suppress(ConnectionError):
                await writer.wait_closed()
            with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as other:
                assert other.fileno() == number
                assert await work is None
        theirs.close()

    asyncio.run(scenario())


def test_closing_ends_waiting_clients_and_removes_the_socket(path: Path) -> None:
    async def scenario() -> None:
        control = ControlSocket.open(path)
        control.start(WordClient)
        reader, writer = await asyncio.open_unix_connection(path)
        await waits((reader, writer))
        await asyncio.wait_for(control.close(), 5)
        assert await reader.read() == b""
        writer.close()

    asyncio.run(scenario())
    assert not path.exists()


def test_a_client_closes_with_its_server_whatever_it_was_doing(path: Path) -> None:
    """Nothing is left to the garbage collector, which would warn of it in some other test."""

    async def scenario() -> None:
        control = ControlSocket.open(path)
        control.start(WordClient)
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
        assert await served(late)
        left = [one for one in idle if not one[0].at_eof()]
        assert len(left) == MAX_CLIENTS - 1
        assert left == idle[-len(left) :]
        assert await stream[0].read() == b""

    with caplog.at_level("WARNING", "ikepy"):
        _run(path, client)
    assert len(caplog.records) == 1


def test_those_that_wait_for_an_outcome_go_last(path: Path) -> None:
    async def client(*stream: *Stream) -> None:
        reader, _ = stream
        await waits(stream)
        others = [await connect(path) for _ in range(2 * MAX_CLIENTS)]
        assert await served(others[-1])
        assert not reader.at_eof()
        await close_all(others)
        for _ in range(MAX_CLIENTS):
            await waits(await connect(path))
        assert b"too many clients" in await reader.read()  # it has waited longest
        assert await served(await connect(path))

    _run(path, client)


def test_without_descriptors_it_says_so_once_and_recovers(
    path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    async def client(*stream: *Stream) -> None:
        await waits(stream)
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
            assert await served(late)

    with caplog.at_level("INFO", "ikepy"):
        _run(path, client)
    assert [record.levelname for record in caplog.records] == ["ERROR", "INFO"]
    assert "Too many open files" in caplog.messages[0]


def test_without_descriptors_an_idle_client_gives_way(path: Path) -> None:
    async def client(*stream: *Stream) -> None:
        assert await served(stream)
        soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
        with socket.socket(socket.AF_UNIX) as waiting:
            resource.setrlimit(resource.RLIMIT_NOFILE, (waiting.fileno(), hard))
            try:
                waiting.connect(str(path))
                late = await connect(sock=waiting)
                assert await served(late)
                assert await stream[0].read() == b""
                assert await served(late)
            finally:
                resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))

    _run(path, client)


def test_only_the_owner_may_open_it(path: Path) -> None:
    async def client(*_: *Stream) -> None:
        modes = [stat.S_IMODE(one.stat().st_mode) for one in (path, path.parent)]
        assert modes == [0o600, 0o700]

    _run(path, client)


def test_a_group_may_open_it(path: Path) -> None:
    """The socket, and the directory if it is ours."""

    async def scenario() -> None:
        runtime = path.parent / "runtime"
        control = ControlSocket.open(runtime / "s", runtime, group=str(os.getegid()))
        control.start(WordClient)
        found = [(stat.S_IMODE(one.stat().st_mode), one.stat().st_gid) for one in (runtime / "s", runtime)]
        assert found == [(0o660, os.getegid()), (0o750, os.getegid())]
        await control.close()
        other = ControlSocket.open(path, group=str(os.getegid()))
        assert stat.S_IMODE(path.parent.stat().st_mode) == 0o700, "not ours to change"
        await other.close()

    asyncio.run(scenario())


@pytest.mark.root
def test_a_groups_members_where_root_may_not_change_owners(tmp_path: Path) -> None:
    (tmp_path / "s").touch()
    code = (
        "import sys, os, pathlib; from ikepy.daemon.control.access import Access;"
        "before = os.getgroups(); Access.of('7').give(pathlib.Path(sys.argv[1]), 0o660);"
        "assert os.getgroups() == before"
    )
    bounded = ["setpriv", "--bounding-set=-chown,-fsetid,-fowner"]
    subprocess.run([*bounded, sys.executable, "-c", code, str(tmp_path / "s")], check=True)
    found = (tmp_path / "s").stat()
    assert (found.st_gid, stat.S_IMODE(found.st_mode)) == (7, 0o660)
    bounded[1] += ",-setgid"
    refused = [*bounded, sys.executable, "-c", code.replace("'7'", "'8'"), str(tmp_path / "s")]
    done = subprocess.run(refused, capture_output=True, text=True, check=False)
    assert "daemon.socket_group: " in done.stderr
    assert "can't be given to the group 8: that needs CAP_CHOWN or CAP_SETGID" in done.stderr


def test_a_group_that_there_is_not(path: Path) -> None:
    with pytest.raises(
        StartError, match=r"daemon\.socket_group: there is no group 'nobodys' on this machine"
    ):
        ControlSocket.open(path, group="nobodys")
    assert not path.exists()


def test_who_may_use_it() -> None:
    mine, with_group = Access(owner=1000), Access(owner=1000, group=50)
    root, owner = Peer(1, 0, frozenset({0})), Peer(1, 1000, frozenset({1000}))
    member, other = Peer(1, 7, frozenset({7, 50})), Peer(1, 7, frozenset({7}))
    assert [mine.permits(one) for one in (root, owner, member, other)] == [True, True, False, False]
    assert [with_group.permits(one) for one in (root, owner, member, other)] == [True, True, True, False]


def test_a_peer_is_what_the_kernel_says() -> None:
    one, other = socket.socketpair()
    with one, other:
        assert Peer.of(one) == Peer(os.getpid(), os.geteuid(), frozenset({os.getegid(), *os.getgroups()}))


def test_others_are_refused_whatever_the_files_mode_is(
    path: Path, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Each user is told once."""
    stranger = Peer(4711, 12345, frozenset({12345}))

    async def client(*stream: *Stream) -> None:
        assert await served(stream)
        monkeypatch.setattr(Peer, "of", lambda sock: stranger)
        for _ in range(3):
            refused = await connect(path)
            with contextlib.suppress(ConnectionError):
                assert await refused[0].read() == b""
        monkeypatch.undo()
        assert await served(await connect(path))

    with caplog.at_level("WARNING", "ikepy"):
        _run(path, client)
    (line,) = caplog.messages
    assert "a client of user 12345 (pid 4711) is refused" in line


def test_a_dead_daemons_socket_is_replaced(path: Path) -> None:
    with socket.socket(socket.AF_UNIX) as dead:
        dead.bind(str(path))

    async def client(*stream: *Stream) -> None:
        assert await served(stream)

    _run(path, client)


def test_a_living_daemons_socket_is_not(path: Path) -> None:
    async def client(*stream: *Stream) -> None:
        with pytest.raises(StartError, match=rf"^already running \(pid {os.getpid()}, socket "):
            ControlSocket.open(path)
        assert await served(stream)

    _run(path, client)


def test_another_file_is_left_alone(path: Path) -> None:
    path.write_text("precious")
    with pytest.raises(StartError, match="is no socket"):
        ControlSocket.open(path)
    assert path.read_text() == "precious"


def test_a_fault_of_ours_costs_its_client_alone(path: Path, caplog: pytest.LogCaptureFixture) -> None:
    async def client(*stream: *Stream) -> None:
        stream[1].write(b"fault\n")
        assert await stream[0].read() == b""
        assert await served(await connect(path))

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
