"""The listening socket (tcp(7)) and its clients: few at a time, and few in a second.

Control answers IKE in the same event loop. A flood of connections waits in the kernel's queue, of which PACE
are taken a second; a client that connects always gets in, in place of the one that has kept its request back
for longest. One exchange takes at most `client.SECONDS`.
"""

from __future__ import annotations

import asyncio
import logging
import socket

from ikepy.daemon import log
from ikepy.daemon.control.accepting import accept_waiting
from ikepy.daemon.errors import StartError
from ikepy.daemon.http.client import GetAnswer, HttpClient, PostAnswer
from ikepy.daemon.http.origin import Guard, from_everywhere
from ikepy.sa.api.path import Address

MAX_CLIENTS = 32
BACKLOG = 128  # clients that wait in the kernel to be accepted (listen(2))
PACE = 100  # clients accepted in a second
TURN = 5  # at once
BUFFER = 1 << 16  # octets of the kernel's memory for a client, each way
PAUSE = 1.0  # seconds until the next attempt to accept, where the system has no descriptor or memory for it
SUBJECT = "http"
KEY = "daemon.http.listen"


class HttpServer:
    """Serves clients from `start` to `close`."""

    def __init__(self, sock: socket.socket) -> None:
        self._sock = sock
        self._loop = asyncio.get_running_loop()
        self._clients: dict[HttpClient, asyncio.Task[None]] = {}
        self._get: GetAnswer | None = None
        self._post: PostAnswer | None = None
        self._guard: Guard = from_everywhere
        self._again: asyncio.TimerHandle | None = None
        self._exhausted = False

    @classmethod
    def open(cls, address: Address, port: int) -> HttpServer:
        """Bind the address; clients wait until `start`. Raises StartError."""
        family = socket.AF_INET if address.version == 4 else socket.AF_INET6
        sock = socket.socket(family, socket.SOCK_STREAM | socket.SOCK_NONBLOCK)
        try:
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            for option in (socket.SO_RCVBUF, socket.SO_SNDBUF):  # clients' sockets inherit them (tcp(7))
                sock.setsockopt(socket.SOL_SOCKET, option, BUFFER)
            sock.bind((str(address), port))
            sock.listen(BACKLOG)
        except OSError as error:
            sock.close()
            where = f"[{address}]:{port}" if address.version == 6 else f"{address}:{port}"
            raise StartError(f"{where}: {error.strerror or error}", key=KEY) from error
        return cls(sock)

    @property
    def port(self) -> int:
        """The port, also where the kernel has chosen it."""
        return int(self._sock.getsockname()[1])

    def start(self, get: GetAnswer, post: PostAnswer | None = None, guard: Guard = from_everywhere) -> None:
        """Serve clients from now on; `get` answers a path, `post` a path and what is posted there, unless
        `guard` refuses the request."""
        self._get, self._post, self._guard = get, post, guard
        self._loop.add_reader(self._sock, self._accept)

    async def close(self) -> None:
        """Close the socket and its clients. A second call does nothing."""
        if self._sock.fileno() >= 0:
            self._loop.remove_reader(self._sock)
        if self._again is not None:
            self._again.cancel()
        self._sock.close()
        tasks = list(self._clients.values())
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    def _accept(self) -> None:
        """Accept a few of those that wait, and look again after a pause that keeps the pace."""
        error = accept_waiting(self._sock, TURN, self._take)
        if error is not None:
            self._tell_exhausted(error)
        self._loop.remove_reader(self._sock)
        pause = TURN / PACE if error is None else PAUSE
        self._again = self._loop.call_later(pause, self._loop.add_reader, self._sock, self._accept)

    def _take(self, sock: socket.socket) -> None:
        self._exhausted = False
        self._add(sock)

    def _tell_exhausted(self, error: OSError) -> None:
        if not self._exhausted:
            self._exhausted = True
            log.error(SUBJECT, f"no new clients for now: {error.strerror}; it is tried again", "http")

    def _add(self, sock: socket.socket) -> None:
        assert self._get is not None
        if len(self._clients) >= MAX_CLIENTS:
            client = min(self._clients, key=lambda one: (one.asked, one.since))
            self._clients.pop(client).cancel()
        sock.setblocking(False)
        client = HttpClient(sock, self._get, self._post, self._guard)
        task = self._loop.create_task(client.serve())
        self._clients[client] = task
        task.add_done_callback(lambda task: self._ended(client, task))

    def _ended(self, client: HttpClient, task: asyncio.Task[None]) -> None:
        client.close()
        self._clients.pop(client, None)
        if not task.cancelled() and (error := task.exception()) is not None:
            log.log(logging.ERROR, SUBJECT, "a client's request failed", "http", traceback=error)
