"""HTTP fetches: what comes back, and what is refused."""

from __future__ import annotations

import socket
import threading

import pytest

from ikepy.daemon.credentials.fetch_error import FetchError
from ikepy.daemon.credentials.fetcher import LOOK_UPS, Fetcher, Places
from tests.raw_http import answer, serving


def test_a_body() -> None:
    with serving(answer(b"list")) as server:
        assert Fetcher().get(server.uri("/ca.crl?x=1"), 100) == b"list"
    head = server.requests[0].decode()
    assert head.startswith("GET /ca.crl?x=1 HTTP/1.1\r\n")
    assert f"Host: 127.0.0.1:{server.port}\r\n" in head


def test_a_post() -> None:
    with serving(answer(b"said")) as server:
        assert Fetcher().post(server.uri(), b"asked", "application/ocsp-request", 100) == b"said"
    assert server.requests[0].startswith(b"POST / HTTP/1.1\r\n")
    assert server.requests[0].endswith(b"\r\n\r\nasked")
    assert b"Content-Type: application/ocsp-request" in server.requests[0]


def test_a_body_in_chunks_and_one_that_ends_with_the_connection() -> None:
    chunks = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n4\r\nlist\r\n0\r\n\r\n"
    with serving(lambda sock, _: sock.sendall(chunks)) as server:
        assert Fetcher().get(server.uri(), 100) == b"list"
    with serving(lambda sock, _: sock.sendall(b"HTTP/1.0 200 OK\r\n\r\nlist")) as server:
        assert Fetcher().get(server.uri(), 100) == b"list"


def test_a_name() -> None:
    def resolve(host: str, port: int) -> Places:
        assert host == "crl.example.org"
        with socket.create_server(("127.0.0.1", 0)) as gone:
            refused = gone.getsockname()
        return [(socket.AF_INET, refused), (socket.AF_INET, ("127.0.0.1", port))]

    with serving(answer(b"list")) as server:
        uri = f"http://crl.example.org:{server.port}/"
        assert Fetcher(resolve).get(uri, 100) == b"list"


def test_no_room_for_a_thread(monkeypatch: pytest.MonkeyPatch) -> None:
    """Whoever comes later, when there is some, is served."""

    def full(_: threading.Thread) -> None:
        raise RuntimeError("can't start new thread")

    fetcher = Fetcher(lambda host, port: [(socket.AF_INET, ("127.0.0.1", port))])
    with serving(answer(b"list")) as server:
        uri = f"http://crl.example.org:{server.port}/"
        with monkeypatch.context() as patched:
            patched.setattr(threading.Thread, "start", full)
            for _ in range(LOOK_UPS + 1):
                with pytest.raises(FetchError, match="no room"):
                    fetcher.get(uri, 100)
        assert fetcher.get(uri, 100) == b"list"


@pytest.mark.parametrize(
    ("status", "why"),
    [("404 Not Found", "answers 404"), ("301 Moved", "redirects elsewhere"), ("500 Oh", "answers 500")],
)
def test_a_status(status: str, why: str) -> None:
    with serving(answer(b"", "Location: http://127.0.0.1/", status=status)) as server:
        with pytest.raises(FetchError, match=why):
            Fetcher().get(server.uri(), 100)
        assert len(server.requests) == 1


@pytest.mark.parametrize(
    "uri",
    [
        "file:///etc/passwd",
        "https://example.org/",
        "ldap://example.org/",
        "ftp://example.org/",
        "//example.org/",
        "http://",
        "http:///x",
        "http://user:word@example.org/",
        "http://example.org:0/",
        "http://example.org:99999/",
        "http://exa mple.org/",
        "http://example.org/\r\nX: y",
        "http://example.org/\u00fc",
        "http://[::1/",
        "http://example.org/" + "x" * 1024,
        "",
    ],
)
def test_an_address_that_is_not_fetched(uri: str) -> None:
    def resolve(host: str, port: int) -> Places:
        raise AssertionError("asked")

    with pytest.raises(FetchError, match="its address is"):
        Fetcher(resolve).get(uri, 100)


def test_nobody_there() -> None:
    with socket.create_server(("127.0.0.1", 0)) as gone:
        port = gone.getsockname()[1]
    with pytest.raises(FetchError, match="refused"):
        Fetcher().get(f"http://127.0.0.1:{port}/", 100)

    def nothing(host: str, port: int) -> Places:
        raise OSError

    with pytest.raises(FetchError, match="its name has no address"):
        Fetcher(nothing).get("http://a.example/", 100)
