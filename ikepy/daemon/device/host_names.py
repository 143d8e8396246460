"""Looks up a host's addresses by its name, as the system does, without blocking."""

from __future__ import annotations

import asyncio
import socket
import threading
from contextlib import suppress
from ipaddress import ip_address

from ikepy.sa.api.path import Address

TIMEOUT = 20.0  # seconds; libc gives up after about as long
MOST_ADDRESSES = 256  # of one name
FAMILIES = {4: socket.AF_INET, 6: socket.AF_INET6}


async def resolve(name: str, version: int) -> frozenset[Address]:
    """The addresses of an IP version. Raises OSError, and TimeoutError.

    In a thread of its own, which nobody waits for: libc can't be interrupted, and the daemon may end.
    """
    loop = asyncio.get_running_loop()
    answer: asyncio.Future[frozenset[Address]] = loop.create_future()

    def settle(found: frozenset[Address] | OSError) -> None:
        if not answer.done():
            if isinstance(found, OSError):
                answer.set_exception(found)
            else:
                answer.set_result(found)

    def ask() -> None:
        found: frozenset[Address] | OSError
        try:
            found = _look_up(name, version)
        except OSError as error:
            found = error
        with suppress(RuntimeError):  # the loop has ended
            loop.call_soon_threadsafe(settle, found)

    threading.Thread(target=ask, name=f"look up {name}", daemon=True).start()
    async with asyncio.timeout(TIMEOUT):
        return await answer


def _look_up(name: str, version: int) -> frozenset[Address]:
    try:
        found = socket.getaddrinfo(name, None, FAMILIES[version], socket.SOCK_DGRAM)
    except UnicodeError as error:
        raise OSError(f"no name of a host: {error}") from error
    return frozenset(ip_address(str(one[4][0])) for one in found[:MOST_ADDRESSES])
