"""Fetches CRLs, OCSP responses and certificates by HTTP (RFC 5280 4.2.1.13, RFC 6960 A), in waiting threads.

Whoever answers may be hostile: there are bounds on time, in all and for DNS, on octets, and on how many are
fetched at once. Redirects are not followed, and no other scheme than http is used.
"""

from __future__ import annotations

import socket
import threading
from collections.abc import Callable
from dataclasses import dataclass
from math import inf
from queue import Empty, SimpleQueue
from time import monotonic
from urllib.parse import SplitResult, urlsplit

from ikepy.daemon.credentials.fetch_error import FetchError

SECONDS = 10.0  # for one fetch, its wait for a place included
AT_ONCE = 4  # fetches
LOOK_UPS = 8  # threads that wait for DNS, hung ones among them
MAX_ADDRESSES = 4  # of one name, that are tried
MAX_URI = 1024  # characters

Places = list[tuple[socket.AddressFamily, tuple[str, int]]]


@dataclass(frozen=True, slots=True)
class _Deadline:
    at: float

    @property
    def left(self) -> float:
        left = self.at - monotonic()
        if left <= 0:
            raise FetchError("no answer in time")
        return left


def ask_libc(host: str, port: int) -> Places:
    """Addresses of a host (getaddrinfo(3)). Blocks; raises OSError."""
    found = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)
    return [(family, (str(place[0]), port)) for family, _, _, _, place in found]


class Fetcher:
    """To be used from any thread. `resolve`: as `ask_libc`; `seconds`: for one fetch."""

    def __init__(self, resolve: Callable[[str, int], Places] = ask_libc, seconds: float = SECONDS) -> None:
        self._resolve = resolve
        self._seconds = seconds
        self._places = threading.BoundedSemaphore(AT_ONCE)
        self._look_ups = threading.BoundedSemaphore(LOOK_UPS)

    def get(self, uri: str, most: int) -> bytes:
        """The body of what an address gives, `most` octets at most. Raises FetchError."""
        return self._fetch(uri, most, None, "")

    def post(self, uri: str, body: bytes, kind: str, most: int, seconds: float = inf) -> bytes:
        """As `get`, in answer to a body of a media type; `seconds`: if it may take less than others."""
        return self._fetch(uri, most, body, kind, seconds)

    def _fetch(self, uri: str, most: int, body: bytes | None, kind: str, seconds: float = inf) -> bytes:
        parts = check_uri(uri)
        seconds = min(seconds, self._seconds)
        deadline = _Deadline(monotonic() + seconds)
        if not self._places.acquire(timeout=seconds):
            raise FetchError("too many fetches are under way")
        try:
            with self._connect(parts.hostname or "", parts.port or 80, deadline) as sock:
                # Its library is loaded only where something is fetched.
                from ikepy.daemon.credentials import http_exchange

                return http_exchange.exchange(sock, parts, body, kind, most, lambda: deadline.left)
        except TimeoutError:
            raise FetchError("no answer in time") from None
        except OSError as error:
            raise FetchError(error.strerror or "the connection failed") from None
        finally:
            self._places.release()

    def _connect(self, host: str, port: int, deadline: _Deadline) -> socket.socket:
        problem: OSError = OSError("no address")
        for family, place in self._addresses(host, port, deadline)[:MAX_ADDRESSES]:
            sock = socket.socket(family, socket.SOCK_STREAM | socket.SOCK_CLOEXEC)
            try:
                sock.settimeout(deadline.left)
                sock.connect(place)
                return sock
            except OSError as error:
                sock.close()
                problem = error
            except BaseException:
                sock.close()
                raise
        raise problem

    def _addresses(self, host: str, port: int, deadline: _Deadline) -> Places:
        """In a thread of its own, as libc may take its time."""
        if not self._look_ups.acquire(blocking=False):
            raise FetchError("no name server answers, and enough look-ups wait")
        found: SimpleQueue[Places | OSError] = SimpleQueue()
        thread = threading.Thread(target=self._look_up, args=(host, port, found), name="look up", daemon=True)
        try:
            thread.start()
        except RuntimeError:
            self._look_ups.release()
            raise FetchError("there is no room for another thread") from None
        try:
            answer = found.get(timeout=deadline.left)
        except Empty:
            raise FetchError("no name server answers in time") from None
        if isinstance(answer, OSError):
            raise FetchError("its name has no address")
        return answer

    def _look_up(self, host: str, port: int, found: SimpleQueue[Places | OSError]) -> None:
        try:
            found.put(self._resolve(host, port))
        except (OSError, ValueError) as error:
            found.put(OSError(str(error)))
        finally:
            self._look_ups.release()


def check_uri(uri: str) -> SplitResult:
    """The parts of an address that may be fetched. Raises FetchError."""
    try:
        parts = urlsplit(uri)
        port, host = parts.port, parts.hostname
    except ValueError:
        raise FetchError("its address is malformed") from None
    if parts.scheme != "http":
        raise FetchError("its address is not one of http")
    plain = uri.isascii() and uri.isprintable() and " " not in uri and len(uri) <= MAX_URI
    if not plain or not host or port == 0 or parts.username is not None:
        raise FetchError("its address is malformed")
    return parts
