"""One client: reads one request (RFC 9112), writes one response, and closes the connection.

A stream lasts as long as its client reads on; all else ends within SECONDS.
"""

from __future__ import annotations

import asyncio
import contextlib
import socket
from collections.abc import Awaitable, Callable, Sequence

import h11

from ikepy import __version__
from ikepy.daemon.http.answers import Answer, Stream
from ikepy.daemon.http.origin import Guard, from_everywhere

MAX_REQUEST = 8192  # octets of a request's head; more is refused (431)
MAX_BODY = 8192  # octets of what is posted; more is refused (413)
READ = 4096  # octets at once
SECONDS = 10.0  # for the whole exchange; whoever is slower is disconnected
METHODS = (b"GET", b"HEAD")

GetAnswer = Callable[[str], Awaitable[Answer | Stream]]
PostAnswer = Callable[[str, bytes], Awaitable[Answer]]


class HttpClient:
    """A connection. `asked`: its request is there; `since`: when it connected, on the loop's clock.

    `get` answers a path, `post` a path and what is posted there; None: nothing may be posted. `guard`
    refuses what neither is asked.
    """

    def __init__(
        self,
        sock: socket.socket,
        get: GetAnswer,
        post: PostAnswer | None = None,
        guard: Guard = from_everywhere,
    ) -> None:
        self._sock = sock
        self._guard = guard
        self._get = get
        self._post = post
        self._loop = asyncio.get_running_loop()
        self.since = self._loop.time()
        self.asked = False

    async def serve(self) -> None:
        """Answer the request. What goes wrong is the client's, and ends its connection alone."""
        with contextlib.suppress(OSError, h11.ProtocolError, TimeoutError):
            async with asyncio.timeout(SECONDS) as limit:
                await self._exchange(limit)

    def close(self) -> None:
        self._sock.close()

    async def _exchange(self, limit: asyncio.Timeout) -> None:
        connection = h11.Connection(h11.SERVER, max_incomplete_event_size=MAX_REQUEST)
        try:
            request = await self._read(connection)
            if request is None:
                return
            self.asked = True
            answer = await self._answer(connection, request)
        except h11.RemoteProtocolError as error:
            await self._write(connection, Answer.text(error.error_status_hint, f"{error}\n"))
            return
        with_body = request.method != b"HEAD"
        if isinstance(answer, Stream):
            await self._stream(connection, answer, limit, with_body)
        else:
            await self._write(connection, answer, with_body=with_body)

    async def _answer(self, connection: h11.Connection, request: h11.Request) -> Answer | Stream:
        path = request.target.partition(b"?")[0].decode("ascii")  # h11 lets nothing else through
        refusal = self._guard(path, request.headers)
        if refusal is not None:
            return refusal
        if request.method in METHODS:
            return await self._get(path)
        if self._post is None:
            return Answer(405, "text/plain", b"GET and HEAD only\n", ((b"Allow", b"GET, HEAD"),))
        if request.method != b"POST":
            return Answer(405, "text/plain", b"GET, HEAD, POST only\n", ((b"Allow", b"GET, HEAD, POST"),))
        return await self._post(path, await self._body(connection))

    async def _read(self, connection: h11.Connection) -> h11.Request | None:
        """The request's head; None if the client says nothing."""
        while True:
            event = connection.next_event()
            if isinstance(event, h11.Request):
                return event
            if event is not h11.NEED_DATA:
                return None
            connection.receive_data(await self._loop.sock_recv(self._sock, READ))

    async def _body(self, connection: h11.Connection) -> bytes:
        """What is posted. Raises h11.RemoteProtocolError where it is too long, or ends early."""
        body = b""
        while not isinstance(event := connection.next_event(), h11.EndOfMessage):
            if isinstance(event, h11.Data):
                body += event.data
                if len(body) > MAX_BODY:
                    raise h11.RemoteProtocolError(f"more than {MAX_BODY} octets", 413)
            elif event is h11.NEED_DATA:
                connection.receive_data(await self._loop.sock_recv(self._sock, READ))
            else:
                raise h11.RemoteProtocolError("the request ends early")
        return body

    async def _write(self, connection: h11.Connection, answer: Answer, with_body: bool = True) -> None:
        length = (b"Content-Length", str(len(answer.body)).encode())
        await self._head(connection, answer.status, answer.kind, (length, *answer.headers))
        if with_body:
            await self._loop.sock_sendall(self._sock, answer.body)  # as it is: all clients share it
        self._sock.shutdown(socket.SHUT_WR)

    async def _stream(
        self, connection: h11.Connection, stream: Stream, limit: asyncio.Timeout, with_body: bool
    ) -> None:
        """Write the parts as they come. A client that does not take one for SECONDS is disconnected."""
        await self._head(connection, 200, stream.kind, stream.headers)
        if not with_body:
            return
        limit.reschedule(None)
        async with contextlib.aclosing(stream.parts) as parts:
            async for part in parts:
                limit.reschedule(self._loop.time() + SECONDS)
                await self._loop.sock_sendall(self._sock, connection.send(h11.Data(part)) or b"")
                limit.reschedule(None)
        await self._loop.sock_sendall(self._sock, connection.send(h11.EndOfMessage()) or b"")
        self._sock.shutdown(socket.SHUT_WR)

    async def _head(
        self, connection: h11.Connection, status: int, kind: str, more: Sequence[tuple[bytes, bytes]]
    ) -> None:
        head = h11.Response(
            status_code=status,
            headers=[
                (b"Server", f"ikepy/{__version__}".encode()),
                (b"Content-Type", kind.encode()),
                (b"Cache-Control", b"no-store"),
                (b"Connection", b"close"),
                *more,
            ],
        )
        await self._loop.sock_sendall(self._sock, connection.send(head) or b"")
