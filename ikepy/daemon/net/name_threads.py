"""Asks libc for the addresses of DNS names, in threads: /etc/hosts, search domains and all (getaddrinfo(3)).

A look-up can't be cancelled: when its time is over, its thread goes on until libc gives up. So names that
hung lately, and threads that hang, have a bound of their own beside that of the others, and each name has one
thread at most: whoever asks for it meanwhile gets the same answer. No thread keeps the process from its end.
"""

from __future__ import annotations

import asyncio
import contextlib
import socket
import threading
from collections import deque
from collections.abc import Callable
from ipaddress import IPv6Address, ip_address

from ikepy.config.model import DnsName
from ikepy.daemon.in_thread import NO_ROOM
from ikepy.sa.api.path import Address

THREADS = 32  # at once, for names that hang, and as many for the others
LIMIT = 10.0  # seconds that a look-up is waited for, its time in the queue included
SILENCE = f"no name server answers within {LIMIT:g} s"
WORDS = {
    socket.EAI_NONAME: "no such name",
    socket.EAI_NODATA: "the name has no address",
    socket.EAI_AGAIN: "no name server answers",
    socket.EAI_FAIL: "the name server refuses to answer",
}
GONE = frozenset({socket.EAI_NONAME, socket.EAI_NODATA})

Ask = Callable[[str], list[Address]]  # raises OSError


class LookUpError(Exception):
    """A name has no address now. `gone`: a name server or the hosts file says so."""

    def __init__(self, text: str, *, gone: bool = False) -> None:
        super().__init__(text)
        self.gone = gone


def ask_libc(name: str) -> list[Address]:
    """The addresses that may be a host's, in the order of RFC 6724. Blocks; raises OSError."""
    found = socket.getaddrinfo(name.encode("ascii"), None, type=socket.SOCK_DGRAM)
    return [address for *_, place in found if (address := _address(str(place[0]))) is not None]


def _address(text: str) -> Address | None:
    address = ip_address(text.partition("%")[0])
    if isinstance(address, IPv6Address) and address.ipv4_mapped is not None:
        address = address.ipv4_mapped
    unusable = address.is_unspecified or address.is_multicast or text == "255.255.255.255"
    return None if unusable or (address.version == 6 and address.is_link_local) else address


class NameThreads:
    """Looks names up. To be used in the event loop."""

    def __init__(self, ask: Ask = ask_libc, limit: float = LIMIT) -> None:
        self._ask = ask
        self._limit = limit
        self._under_way: dict[DnsName, asyncio.Future[list[Address]]] = {}
        self._queues: dict[bool, deque[DnsName]] = {False: deque(), True: deque()}
        self._working: dict[DnsName, bool] = {}  # names that have a thread: whether it counts as a slow one
        self._slow: set[DnsName] = set()  # those that hung when they were asked for last

    async def look_up(self, name: DnsName) -> list[Address]:
        """The name's addresses, at least one. Raises LookUpError."""
        answer = self._under_way.get(name)
        if answer is None:
            answer = self._under_way[name] = asyncio.get_running_loop().create_future()
            answer.add_done_callback(_retrieved)
            slow = name in self._slow
            self._queues[slow].append(name)
            self._start(slow)
        try:
            async with asyncio.timeout(self._limit):
                await asyncio.wait([answer])
        except TimeoutError:
            self._slow.add(name)
            raise LookUpError(SILENCE) from None
        self._slow.discard(name)
        return answer.result()

    def forget(self, names: frozenset[DnsName]) -> None:
        """Only these names are configured now."""
        self._slow &= names

    def _has_room(self, slow: bool) -> bool:
        return sum(one is slow for one in self._working.values()) < THREADS

    def _start(self, slow: bool) -> None:
        loop = asyncio.get_running_loop()
        while self._queues[slow] and self._has_room(slow):
            name = self._queues[slow].popleft()
            self._working[name] = slow
            thread = threading.Thread(target=self._work, args=(loop, name), name="look up", daemon=True)
            try:
                thread.start()
            except RuntimeError:
                self._finish(name, LookUpError(NO_ROOM))
            else:
                loop.call_later(self._limit, self._hangs, name)

    def _hangs(self, name: DnsName) -> None:
        """A look-up may take too long: from now on its thread keeps no other name from being looked up."""
        if self._working.get(name) is False and self._has_room(True):
            self._working[name] = True
            self._start(False)

    def _work(self, loop: asyncio.AbstractEventLoop, name: DnsName) -> None:
        found: list[Address] | LookUpError
        try:
            found = self._ask(name.text) or LookUpError(WORDS[socket.EAI_NODATA], gone=True)
        except socket.gaierror as error:
            code = error.errno or 0
            found = LookUpError(WORDS.get(code, error.strerror or str(error)), gone=code in GONE)
        except (OSError, ValueError) as error:
            found = LookUpError(str(error))
        with contextlib.suppress(RuntimeError):  # the loop is closed
            loop.call_soon_threadsafe(self._done, name, found)

    def _done(self, name: DnsName, found: list[Address] | LookUpError) -> None:
        self._start(self._finish(name, found))

    def _finish(self, name: DnsName, found: list[Address] | LookUpError) -> bool:
        """Tell who waits for the name. Whether it counted as a slow one."""
        slow = self._working.pop(name)
        answer = self._under_way.pop(name)
        if isinstance(found, LookUpError):
            answer.set_exception(found)
        else:
            answer.set_result(found)
        return slow


def _retrieved(answer: asyncio.Future[list[Address]]) -> None:
    """Whoever waited may have given up: asyncio is not to complain that nobody looked."""
    if not answer.cancelled():
        answer.exception()
