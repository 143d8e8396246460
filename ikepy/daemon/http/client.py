"""One client: reads one request (RFC 9112), writes one response, and closes the connection."""

from __future__ import annotations

import asyncio
import contextlib
import socket
from collections.abc import Awaitable, Callable

import h11

from ikepy import __version__
from ikepy.daemon.http.answers import Answer

MAX_REQUEST = 8192  # octets of a request's head; more is refused (431)
READ = 4096  # octets at once
SECONDS = 10.0  # for the whole exchange; whoever is slower is disconnected
METHODS = (b"GET", b"HEAD")

GetAnswer = Callable[[str], Awaitable[Answer]]


class HttpClient:
    """A connection. `asked`: its request is there; `since`: when it connected, on the loop's clock."""

    def __init__(self, sock: socket.socket, get: GetAnswer) -> None:
        self._sock = sock
        self._get = get
        self._loop = asyncio.get_running_loop()
        self.since = self._loop.time()
        self.asked = False

    async def serve(self) -> None:
        """Answer the request. What goes wrong is the client's, and ends its connection alone."""
        with contextlib.suppress(OSError, h11.ProtocolError, TimeoutError):
            async with asyncio.timeout(SECONDS):
                await self._exchange()

    def close(self) -> None:
        self._sock.close()

    async def _exchange(self) -> None:
        connection = h11.Connection(h11.SERVER, max_incomplete_event_size=MAX_REQUEST)
        try:
            request = await self._read(connection)
        except h11.RemoteProtocolError as error:
            await self._write(connection, Answer.text(error.error_status_hint, f"{error}\n"))
            return
        if request is None:
            return
        self.asked = True
        if request.method not in METHODS:
            await self._write(connection, Answer.text(405, "GET and HEAD only\n"), (b"Allow", b"GET, HEAD"))
            return
        path = request.target.partition(b"?")[0].decode("ascii")  # h11 lets nothing else through
        answer = await self._get(path)
        await self._write(connection, answer, with_body=request.method != b"HEAD")

    async def _read(self, connection: h11.Connection) -> h11.Request | None:
        """The request's head; None if the client says nothing. Its body is not read."""
        while True:
            event = connection.next_event()
            if isinstance(event, h11.Request):
                return event
            if event is not h11.NEED_DATA:
                return None
            connection.receive_data(await self._loop.sock_recv(self._sock, READ))

    async def _write(
        self,
        connection: h11.Connection,
        answer: Answer,
        *headers: tuple[bytes, bytes],
        with_body: bool = True,
    ) -> None:
        head = h11.Response(
            status_code=answer.status,
            headers=[
                (b"Server", f"ikepy/{__version__}".encode()),
                (b"Content-Type", answer.kind.encode()),
                (b"Content-Length", str(len(answer.body)).encode()),
                (b"Cache-Control", b"no-store"),
                (b"Connection", b"close"),
                *headers,
            ],
        )
        await self._loop.sock_sendall(self._sock, connection.send(head) or b"")
        if with_body:
            await self._loop.sock_sendall(self._sock, answer.body)  # as it is: all clients share it
        self._sock.shutdown(socket.SHUT_WR)
