"""The server on the loopback: requests good and bad, and clients that are slow, silent or too many."""

from __future__ import annotations

import asyncio
import contextlib
import errno
import socket
import time
from collections.abc import Awaitable, Callable
from ipaddress import ip_address

import pytest

from ikepy.daemon.errors import StartError
from ikepy.daemon.http import client, server
from ikepy.daemon.http.answers import Answer
from ikepy.daemon.http.server import HttpServer

Stream = tuple[asyncio.StreamReader, asyncio.StreamWriter]
LOOPBACK = ip_address("127.0.0.1")
LONG = 4 << 20  # octets, more than socket buffers hold


class Bed:
    """A server with three pages."""

    def __init__(self, sock: socket.socket | None = None) -> None:
        if sock is None:
            with socket.socket() as one:
                one.bind(("127.0.0.1", 0))
                self.port: int = one.getsockname()[1]
            self.server = HttpServer.open(LOOPBACK, self.port)
        else:
            self.port = sock.getsockname()[1]
            self.server = HttpServer(sock)
        self.asked: list[str] = []
        self.server.start(self._get)
        self._opened: list[asyncio.StreamWriter] = []

    async def _get(self, path: str) -> Answer:
        self.asked.append(path)
        if path == "/long":
            return Answer(200, "text/plain", bytes(LONG))
        return Answer.text(200 if path == "/" else 404, f"this is {path}")

    async def connect(self) -> Stream:
        stream = await asyncio.open_connection("127.0.0.1", self.port)
        self._opened.append(stream[1])
        return stream

    async def ask(self, request: bytes) -> tuple[bytes, bytes]:
        """Head and body of the answer, to its end."""
        reader, writer = await self.connect()
        writer.write(request)
        head, _, body = (await reader.read(-1)).partition(b"\r\n\r\n")
        return head, body

    async def close(self) -> None:
        await self.server.close()
        for writer in self._opened:
            writer.transport.abort()
            with contextlib.suppress(ConnectionError):
                await writer.wait_closed()


def run(scenario: Callable[[Bed], Awaitable[None]], sock: socket.socket | None = None) -> None:
    async def inside() -> None:
        bed = Bed(sock)
        try:
            async with asyncio.timeout(20):
                await scenario(bed)
        finally:
            await bed.close()

    asyncio.run(inside())


def get(path: str = "/", method: str = "GET", more: str = "") -> bytes:
    return f"{method} {path} HTTP/1.1\r\nHost: x\r\n{more}\r\n".encode()


def test_get() -> None:
    async def scenario(bed: Bed) -> None:
        head, body = await bed.ask(get("/?format=x"))
        assert head.startswith(b"HTTP/1.1 200 ")
        assert body == b"this is /"
        for line in (b"Content-Length: 9", b"Connection: close", b"Content-Type: text/plain; charset=utf-8"):
            assert line.lower() in head.lower().splitlines()

    run(scenario)


def test_head_has_the_length_and_no_body() -> None:
    async def scenario(bed: Bed) -> None:
        head, body = await bed.ask(get(method="HEAD"))
        assert b"content-length: 9" in head.lower()
        assert body == b""

    run(scenario)


def test_another_path() -> None:
    async def scenario(bed: Bed) -> None:
        head, _ = await bed.ask(get("/../etc/passwd"))
        assert head.startswith(b"HTTP/1.1 404 ")

    run(scenario)


@pytest.mark.parametrize("method", ["POST", "PUT", "DELETE", "OPTIONS", "CONNECT", "TRACE", "get"])
def test_nothing_but_reading(method: str) -> None:
    async def scenario(bed: Bed) -> None:
        head, _ = await bed.ask(get(method=method, more="Content-Length: 5\r\n"))
        assert head.startswith(b"HTTP/1.1 405 ")
        assert b"allow: get, head" in head.lower()
        assert not bed.asked

    run(scenario)


@pytest.mark.parametrize(
    ("request_", "status"),
    [
        (b"nonsense\r\n\r\n", b"400"),
        (b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03\r\n\r\n", b"400"),  # TLS
        (b"GET /\xff HTTP/1.1\r\nHost: x\r\n\r\n", b"400"),
        (b"GET / HTTP/1.1\r\n\r\n", b"400"),  # no Host (RFC 9112 3.2)
        (b"GET / HTTP/1.1\r\nHost: x\r\nContent-Length: 1\r\nContent-Length: 2\r\n\r\n", b"400"),
        (b"GET /" + b"a" * client.MAX_REQUEST * 2, b"431"),
        (b"GET / HTTP/1.1\r\n" + b"X: y\r\n" * client.MAX_REQUEST, b"431"),
    ],
    ids=["nonsense", "tls", "octets", "host", "lengths", "target", "headers"],
)
def test_bad_requests(request_: bytes, status: bytes) -> None:
    async def scenario(bed: Bed) -> None:
        reader, writer = await bed.connect()
        writer.write(request_)
        try:
            answer = await reader.read(100)
            assert answer.split()[1] == status
        except ConnectionResetError:  # what it sent is more than was read
            pass
        assert not bed.asked
        assert (await bed.ask(get()))[1] == b"this is /"

    run(scenario)


def test_a_slow_one_is_disconnected_and_nobody_waits(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(client, "SECONDS", 2.0)

    async def scenario(bed: Bed) -> None:
        silent, _ = await bed.connect()
        dripping, drip = await bed.connect()
        deaf, shout = await bed.connect()
        shout.write(get("/long"))
        for _ in range(3):
            drip.write(b"G")
            assert (await bed.ask(get()))[1] == b"this is /"
        assert not silent.at_eof()
        assert await silent.read() == b""
        assert await dripping.read() == b""
        await asyncio.sleep(2.0)
        with pytest.raises((asyncio.IncompleteReadError, ConnectionResetError)):
            await deaf.readexactly(LONG)

    run(scenario)


def test_silent_ones_make_room_for_who_comes(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(server, "PACE", 10_000)

    async def scenario(bed: Bed) -> None:
        first, _ = await bed.connect()
        for _ in range(server.MAX_CLIENTS + 5):
            await bed.connect()
        assert (await bed.ask(get()))[1] == b"this is /"
        assert await first.read() == b""  # the longest silent one made room

    run(scenario)


def test_a_flood_is_taken_at_a_pace() -> None:
    async def scenario(bed: Bed) -> None:
        begin, asked = time.monotonic(), 0

        async def flood() -> None:
            nonlocal asked
            while time.monotonic() < begin + 1.0:
                await bed.ask(get())
                asked += 1

        await asyncio.gather(*(flood() for _ in range(20)))
        assert asked == len(bed.asked)
        assert 20 <= asked <= server.PACE * (time.monotonic() - begin) + server.TURN

    run(scenario)


def test_the_loop_rests_while_no_descriptor_is_left(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(server, "PAUSE", 0.1)
    tries: list[float] = []

    class Exhausted(socket.socket):
        """A listening socket for which there is no descriptor for a while."""

        def accept(self) -> tuple[socket.socket, object]:
            tries.append(time.monotonic())
            if len(tries) <= 3:
                raise OSError(errno.EMFILE, "Too many open files")
            return super().accept()

    async def scenario(bed: Bed) -> None:
        assert (await bed.ask(get()))[1] == b"this is /"
        assert len(tries) == 4
        assert tries[3] - tries[0] > 0.25

    sock = Exhausted()
    sock.setblocking(False)
    sock.bind(("127.0.0.1", 0))
    sock.listen()
    run(scenario, sock)


def test_who_does_not_read_holds_little_of_the_kernels_memory(monkeypatch: pytest.MonkeyPatch) -> None:
    """Else each holds megabytes (tcp_wmem, tcp(7))."""
    monkeypatch.setattr(client, "SECONDS", 0.5)

    async def scenario(bed: Bed) -> None:
        loop, received = asyncio.get_running_loop(), 0
        with socket.socket() as deaf:
            deaf.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, server.BUFFER)
            deaf.setblocking(False)
            await loop.sock_connect(deaf, ("127.0.0.1", bed.port))
            await loop.sock_sendall(deaf, get("/long"))
            await asyncio.sleep(1.5)
            while data := await loop.sock_recv(deaf, 1 << 20):
                received += len(data)
        assert 0 < received < 8 * server.BUFFER  # of both ends; the kernel doubles what is asked for

    run(scenario)


def test_a_port_in_use() -> None:
    async def scenario(bed: Bed) -> None:
        with pytest.raises(StartError, match=rf"daemon.http.listen: 127.0.0.1:{bed.port}: Address already"):
            HttpServer.open(LOOPBACK, bed.port)

    run(scenario)


def test_clients_end_with_the_server() -> None:
    async def scenario(bed: Bed) -> None:
        reader, _ = await bed.connect()
        await bed.ask(get())
        await bed.server.close()
        assert await reader.read() == b""

    run(scenario)
