"""Servers of CRLs and OCSP responses that never end, are slow, lie about lengths, or are none."""

from __future__ import annotations

import contextlib
import socket
import threading
from time import monotonic, sleep

import pytest

from ikepy.daemon.credentials import fetcher
from ikepy.daemon.credentials.fetch_error import FetchError
from ikepy.daemon.credentials.fetcher import Fetcher, Places
from tests.raw_http import RawServer, Serve, serving

SECONDS = 0.5  # that a fetch may take here
HEAD = b"HTTP/1.1 200 OK\r\n"


def without_end(*parts: bytes) -> Serve:
    def serve(sock: socket.socket, _: bytes) -> None:
        with contextlib.suppress(OSError):
            sock.sendall(parts[0])
            while True:
                sock.sendall(parts[1])

    return serve


def fails(serve: Serve, why: str, seconds: float = 20.0) -> RawServer:
    with serving(serve) as server:
        with pytest.raises(FetchError, match=why) as caught:
            Fetcher(seconds=seconds).get(server.uri(), 100_000)
        assert len(str(caught.value)) < 200
    return server


def test_a_body_without_end() -> None:
    fails(without_end(HEAD + b"\r\n", bytes(65536)), "longer than 100000 octets")
    chunk = b"8000\r\n" + bytes(0x8000) + b"\r\n"
    fails(without_end(HEAD + b"Transfer-Encoding: chunked\r\n\r\n", chunk), "longer than 100000 octets")


def test_a_length_that_is_announced() -> None:
    fails(lambda sock, _: sock.sendall(HEAD + b"Content-Length: 50000000000\r\n\r\n"), "longer than 100000")


def test_a_body_that_is_compressed() -> None:
    fails(lambda sock, _: sock.sendall(HEAD + b"Content-Encoding: gzip\r\n\r\nx"), "it is compressed")


def test_headers_without_end() -> None:
    fails(without_end(HEAD, b"X-Y: " + b"z" * 1000 + b"\r\n"), "no HTTP")
    fails(without_end(HEAD + b"X: ", b"z" * 1000), "no HTTP")


@pytest.mark.parametrize("text", [b"", b"\0" * 100, b"SSH-2.0-x\r\n", HEAD + b"Content-Length: 9\r\n\r\nabc"])
def test_no_http_or_cut_off(text: bytes) -> None:
    fails(lambda sock, _: sock.sendall(text), "no HTTP|ended early")


def test_drop_by_drop() -> None:
    """Each octet comes before a read would time out, the whole never."""

    def serve(sock: socket.socket, _: bytes) -> None:
        with contextlib.suppress(OSError):
            for octet in HEAD + b"X: " + b"y" * 10_000:
                sock.sendall(bytes([octet]))
                if server_ended.wait(0.05):
                    return

    server_ended = threading.Event()
    began = monotonic()
    try:
        fails(serve, "no answer in time", SECONDS)
        assert monotonic() - began < 15
    finally:
        server_ended.set()


def test_silence() -> None:
    def serve(sock: socket.socket, _: bytes) -> None:
        sock.recv(1)  # until the client gives up

    fails(serve, "no answer in time", SECONDS)


def test_a_name_server_that_hangs() -> None:
    """Threads that wait for it are bounded, and those that fetch are free again."""
    go_on = threading.Event()

    def hangs(host: str, port: int) -> Places:
        go_on.wait(30)
        raise OSError

    slow = Fetcher(hangs, 0.05)
    try:
        before = threading.active_count()
        for number in range(fetcher.LOOK_UPS + 4):
            why = "in time" if number < fetcher.LOOK_UPS else "enough look-ups wait"
            with pytest.raises(FetchError, match=why):
                slow.get("http://a.example/", 1)
        assert threading.active_count() - before <= fetcher.LOOK_UPS
        go_on.set()
        while threading.active_count() > before:  # those that waited have ended
            sleep(0.01)
        with pytest.raises(FetchError, match=r"no address|in time"):
            slow.get("http://a.example/", 1)
    finally:
        go_on.set()


def test_few_at_once() -> None:
    most, now, lock, go_on = [0], [0], threading.Lock(), threading.Event()

    def serve(sock: socket.socket, _: bytes) -> None:
        with lock:
            now[0] += 1
            most[0] = max(most[0], now[0])
            if now[0] == fetcher.AT_ONCE:
                go_on.set()
        go_on.wait(20)
        with lock:
            now[0] -= 1
        sock.sendall(HEAD + b"Content-Length: 1\r\n\r\nx")

    with serving(serve) as server:
        one = Fetcher(seconds=30)
        threads = [threading.Thread(target=one.get, args=(server.uri(), 9)) for _ in range(12)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join(40)
    assert most[0] == fetcher.AT_ONCE
    assert len(server.requests) == 12
