"""A UDP socket to one port of the host that is probed, and the limits on what goes over it.

Only the address that was named gets datagrams (the socket is connected to it), at most `rate` connections a
second, `most` in all, until `deadline`. A connection is one IKE_SA_INIT with an SPI of its own, or one odd
datagram.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from ipaddress import IPv4Address, IPv6Address, ip_address

from ikepy.probe.discovery.offers import Ends
from ikepy.wire.constants import NON_ESP_MARKER

_QUEUE = 32  # datagrams that wait to be read; what comes beyond is dropped
_STRAYS = 64  # datagrams that are read while waiting for one


class LimitReachedError(Exception):
    """No more datagrams may be sent: says which limit it is."""


class ClosedPortError(Exception):
    """The host answered by ICMP that nothing listens."""


@dataclass
class Pace:
    """`rate`: connections a second; `most`: in all; `seconds`: for all of it."""

    rate: float
    most: int
    seconds: float
    used: int = 0
    begun: float = field(default_factory=time.monotonic)
    next_turn: float = 0.0

    async def turn(self) -> None:
        """Wait until the next connection may begin. Raises LimitReachedError."""
        if self.used >= self.most:
            raise LimitReachedError(f"{self.most} requests were sent (--max-requests)")
        self.used += 1
        now = time.monotonic()
        wait = max(0.0, self.next_turn - now)
        self.next_turn = max(now, self.next_turn) + 1 / self.rate
        if now + wait - self.begun > self.seconds:
            raise LimitReachedError(f"{self.seconds:.0f} s are over (--max-time)")
        await asyncio.sleep(wait)


class _Protocol(asyncio.DatagramProtocol):
    def __init__(self) -> None:
        self.received: asyncio.Queue[tuple[float, bytes] | None] = asyncio.Queue(_QUEUE)

    def datagram_received(self, data: bytes, addr: object) -> None:
        if not self.received.full():
            self.received.put_nowait((time.monotonic(), data))

    def error_received(self, exc: Exception) -> None:
        if isinstance(exc, ConnectionRefusedError) and not self.received.full():
            self.received.put_nowait(None)


class Line:
    """The socket. `marker`: the non-ESP marker stands in front of IKE, as on port 4500 (RFC 3948 2.2)."""

    def __init__(
        self, transport: asyncio.DatagramTransport, protocol: _Protocol, ends: Ends, *, marker: bool
    ) -> None:
        self.ends = ends
        self._transport, self._protocol = transport, protocol
        self._marker = NON_ESP_MARKER if marker else b""

    async def ask(
        self,
        datagram: bytes,
        answers: Callable[[bytes], bool],
        seconds: float,
        tries: int = 1,
        *,
        raw: bool = False,
    ) -> tuple[bytes, float] | None:
        """Send it, again after that many `seconds`, `tries` times in all, twice as long each time.

        Gives the first datagram that `answers` takes, without marker, and the seconds since the last sending;
        None if none came. `raw`: without marker, as it is. Raises ClosedPortError.
        """
        while not self._protocol.received.empty():
            self._protocol.received.get_nowait()
        for attempt in range(tries):
            sent = time.monotonic()
            self._transport.sendto(datagram if raw else self._marker + datagram)
            found = await self._wait(answers, sent + seconds * 2**attempt)
            if found is not None:
                came, answer = found
                return answer, came - sent
        return None

    async def listen(self, seconds: float) -> list[tuple[float, bytes]]:
        """All that comes within that time, without marker, with its moment (monotonic)."""
        found: list[tuple[float, bytes]] = []
        deadline = time.monotonic() + seconds
        while len(found) < _STRAYS:
            one = await self._wait(lambda _: True, deadline)
            if one is None:
                break
            found.append(one)
        return found

    async def _wait(self, answers: Callable[[bytes], bool], deadline: float) -> tuple[float, bytes] | None:
        for _ in range(_STRAYS):
            left = deadline - time.monotonic()
            try:
                item = await asyncio.wait_for(self._protocol.received.get(), max(left, 0.0))
            except TimeoutError:
                return None
            if item is None:
                raise ClosedPortError
            came, answer = item
            if self._marker and answer.startswith(self._marker):
                answer = answer[len(self._marker) :]
            if answers(answer):
                return came, answer
        return None


@asynccontextmanager
async def line(
    address: IPv4Address | IPv6Address, port: int, source_port: int = 0, *, marker: bool = False
) -> AsyncIterator[Line]:
    """A Line to that address; `source_port` 0: any. OSError if there is no way or the port is taken."""
    loop = asyncio.get_running_loop()
    anywhere = "0.0.0.0" if address.version == 4 else "::"
    transport, protocol = await loop.create_datagram_endpoint(
        _Protocol, local_addr=(anywhere, source_port), remote_addr=(str(address), port)
    )
    try:
        local, local_port, *_ = transport.get_extra_info("sockname")
        ends = Ends(ip_address(local.partition("%")[0]), local_port, address, port)
        yield Line(transport, protocol, ends, marker=marker)
    finally:
        transport.close()
