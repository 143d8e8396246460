"""A server on loopback that answers each HTTP connection with what a test says, also with hostile things."""

from __future__ import annotations

import contextlib
import socket
import threading
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field

Serve = Callable[[socket.socket, bytes], None]  # the connection, and the request's octets as far as they came


def answer(body: bytes, *headers: str, status: str = "200 OK") -> Serve:
    """A whole response."""
    head = "\r\n".join((f"HTTP/1.1 {status}", f"Content-Length: {len(body)}", *headers, "", ""))
    return lambda sock, _: sock.sendall(head.encode() + body)


@dataclass
class RawServer:
    """`requests`: what came. `serve`: may be set anew between requests."""

    serve: Serve
    requests: list[bytes] = field(default_factory=list)
    port: int = 0
    ended: threading.Event = field(default_factory=threading.Event)

    def uri(self, path: str = "/") -> str:
        return f"http://127.0.0.1:{self.port}{path}"

    def handle(self, sock: socket.socket) -> None:
        with sock, contextlib.suppress(OSError):
            sock.settimeout(20)
            request = b""
            while b"\r\n\r\n" not in request and (part := sock.recv(65536)):
                request += part
            head, _, body = request.partition(b"\r\n\r\n")
            length = next(
                (int(one[15:]) for one in head.split(b"\r\n") if one.startswith(b"Content-Length:")), 0
            )
            while len(body) < length and (part := sock.recv(65536)):
                body += part
            self.requests.append(head + b"\r\n\r\n" + body)
            self.serve(sock, self.requests[-1])


@contextlib.contextmanager
def serving(serve: Serve) -> Iterator[RawServer]:
    """A server within the block."""
    listener = socket.create_server(("127.0.0.1", 0))
    server = RawServer(serve, port=listener.getsockname()[1])
    threads: list[threading.Thread] = []

    def accept() -> None:
        with contextlib.suppress(OSError):
            while True:
                sock, _ = listener.accept()
                thread = threading.Thread(target=server.handle, args=(sock,), daemon=True)
                threads.append(thread)
                thread.start()

    accepting = threading.Thread(target=accept, daemon=True)
    accepting.start()
    try:
        yield server
    finally:
        server.ended.set()
        listener.shutdown(socket.SHUT_RDWR)
        listener.close()
        for one in (accepting, *threads):
            one.join(20)
