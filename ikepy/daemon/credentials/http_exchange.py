"""One HTTP exchange over a connection, as client (RFC 9112). Used by `ikepy.daemon.credentials.fetcher`."""

from __future__ import annotations

import socket
from collections.abc import Callable
from urllib.parse import SplitResult

import h11

from ikepy import __version__
from ikepy.daemon.credentials.fetch_error import FetchError

MAX_HEAD = 16384  # octets of a response's head
READ = 65536


def exchange(
    sock: socket.socket,
    parts: SplitResult,
    body: bytes | None,
    kind: str,
    most: int,
    left: Callable[[], float],
) -> bytes:
    """The body of the response, `most` octets at most; `left`: seconds that there are, or FetchError.

    `body`: of the request, of this media type; None: there is none. Raises FetchError, OSError.
    """
    try:
        return _exchange(sock, parts, body, kind, most, left)
    except h11.ProtocolError:
        raise FetchError("the answer is no HTTP") from None


def _exchange(
    sock: socket.socket,
    parts: SplitResult,
    body: bytes | None,
    kind: str,
    most: int,
    left: Callable[[], float],
) -> bytes:
    connection = h11.Connection(h11.CLIENT, max_incomplete_event_size=MAX_HEAD)
    sending = [connection.send(_request(parts, body, kind)) or b""]
    if body:
        sending.append(connection.send(h11.Data(data=body)) or b"")
    sending.append(connection.send(h11.EndOfMessage()) or b"")
    sock.settimeout(left())
    sock.sendall(b"".join(sending))
    found = bytearray()
    while True:
        event = connection.next_event()
        if event is h11.NEED_DATA:
            sock.settimeout(left())
            connection.receive_data(sock.recv(READ))
        elif isinstance(event, h11.Response):
            _check(event, most)
        elif isinstance(event, h11.Data):
            found += event.data
            if len(found) > most:
                raise FetchError(f"it is longer than {most} octets")
        elif isinstance(event, h11.EndOfMessage):
            return bytes(found)
        elif not isinstance(event, h11.InformationalResponse):
            raise FetchError("the connection ended early")


def _request(parts: SplitResult, body: bytes | None, kind: str) -> h11.Request:
    target = (parts.path or "/") + (f"?{parts.query}" if parts.query else "")
    headers = [
        ("Host", parts.netloc),
        ("User-Agent", f"ikepy/{__version__}"),
        ("Accept-Encoding", "identity"),
        ("Connection", "close"),
    ]
    if body is not None:
        headers += [("Content-Type", kind), ("Content-Length", str(len(body)))]
    return h11.Request(method="GET" if body is None else "POST", target=target, headers=headers)


def _check(response: h11.Response, most: int) -> None:
    if 300 <= response.status_code < 400:
        raise FetchError(f"it redirects elsewhere ({response.status_code}), which is not followed")
    if response.status_code != 200:
        raise FetchError(f"the server answers {response.status_code}")
    for name, value in response.headers:
        if name == b"content-length" and int(value) > most:
            raise FetchError(f"it is longer than {most} octets")
        if name == b"content-encoding" and value.lower() != b"identity":
            raise FetchError("it is compressed")
