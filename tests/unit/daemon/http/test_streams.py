"""What is posted, and answers that come bit by bit."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, Awaitable, Callable
from ipaddress import ip_address

import pytest

from ikepy.daemon.http import client
from ikepy.daemon.http.answers import Answer, Stream
from ikepy.daemon.http.server import HttpServer

Scenario = Callable[["Served"], Awaitable[None]]


class Served:
    """A server whose /events say what `told` is given, and that echoes what is posted."""

    def __init__(self) -> None:
        self.server = HttpServer.open(ip_address("127.0.0.1"), 0)
        self.told: asyncio.Queue[bytes | None] = asyncio.Queue()
        self.ended = asyncio.Event()
        self.server.start(self._get, self._post)

    async def _events(self) -> AsyncGenerator[bytes, None]:
        try:
            while (part := await self.told.get()) is not None:
                yield part
        finally:
            self.ended.set()

    async def _get(self, path: str) -> Answer | Stream:
        if path == "/events":
            return Stream("text/event-stream", self._events(), ((b"X-Told", b"yes"),))
        return Answer.text(200, "a page")

    async def _post(self, path: str, body: bytes) -> Answer:
        return Answer(200, "text/plain", path.encode() + b" " + body)

    async def connect(self, request: str) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
        reader, writer = await asyncio.open_connection("127.0.0.1", self.server.port)
        writer.write(request.encode())
        return reader, writer

    async def ask(self, request: str) -> bytes:
        """The whole answer."""
        reader, writer = await self.connect(request)
        answer = await reader.read(-1)
        writer.close()
        return answer


def run(scenario: Scenario) -> None:
    async def inside() -> None:
        served = Served()
        try:
            async with asyncio.timeout(20):
                await scenario(served)
        finally:
            await served.server.close()

    asyncio.run(inside())


def request(path: str, method: str = "GET", more: str = "", body: str = "") -> str:
    return f"{method} {path} HTTP/1.1\r\nHost: x\r\n{more}\r\n{body}"


def test_posted() -> None:
    async def scenario(served: Served) -> None:
        answer = await served.ask(request("/do?x=1", "POST", "Content-Length: 4\r\n", "abcd"))
        assert answer.startswith(b"HTTP/1.1 200 ")
        assert answer.endswith(b"/do abcd")
        chunked = await served.ask(
            request("/do", "POST", "Transfer-Encoding: chunked\r\n", "2\r\nab\r\n2\r\ncd\r\n0\r\n\r\n")
        )
        assert chunked.endswith(b"/do abcd")

    run(scenario)


@pytest.mark.parametrize(
    ("more", "body", "status"),
    [
        (f"Content-Length: {client.MAX_BODY + 1}\r\n", "x" * (client.MAX_BODY + 1), b"413"),
        ("Transfer-Encoding: chunked\r\n", "zz\r\n", b"400"),
        ("Content-Length: -1\r\n", "", b"400"),
    ],
)
def test_posted_badly(more: str, body: str, status: bytes) -> None:
    async def scenario(served: Served) -> None:
        answer = await served.ask(request("/do", "POST", more, body))
        assert answer.startswith(b"HTTP/1.1 " + status)

    run(scenario)


def test_other_methods() -> None:
    async def scenario(served: Served) -> None:
        answer = await served.ask(request("/do", "PUT", "Content-Length: 0\r\n"))
        assert answer.startswith(b"HTTP/1.1 405 ")
        assert b"allow: get, head, post" in answer.lower()

    run(scenario)


def test_a_stream_lasts_longer_than_an_answer_may(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(client, "SECONDS", 0.2)

    async def scenario(served: Served) -> None:
        reader, writer = await served.connect(request("/events"))
        head = await reader.readuntil(b"\r\n\r\n")
        assert b"content-type: text/event-stream" in head.lower()
        assert b"x-told: yes" in head.lower()
        for text in (b"one", b"two"):
            await asyncio.sleep(0.3)
            served.told.put_nowait(text)
            assert text in await reader.readuntil(text)
        served.told.put_nowait(None)
        assert (await reader.read(-1)).endswith(b"0\r\n\r\n")
        writer.close()

    run(scenario)


def test_a_client_that_went_ends_the_stream() -> None:
    async def scenario(served: Served) -> None:
        reader, writer = await served.connect(request("/events"))
        await reader.readuntil(b"\r\n\r\n")
        writer.transport.abort()
        while not served.ended.is_set():
            served.told.put_nowait(b"is anybody there?")
            await asyncio.sleep(0.01)

    run(scenario)


def test_a_client_that_reads_nothing_is_sent_away(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(client, "SECONDS", 0.2)

    async def scenario(served: Served) -> None:
        _, writer = await served.connect(request("/events"))
        while not served.ended.is_set():
            served.told.put_nowait(bytes(1 << 20))
            await asyncio.sleep(0.01)
        writer.close()

    run(scenario)


def test_head_of_a_stream() -> None:
    async def scenario(served: Served) -> None:
        answer = await served.ask(request("/events", "HEAD"))
        assert answer.startswith(b"HTTP/1.1 200 ")
        assert answer.endswith(b"\r\n\r\n")

    run(scenario)
