"""Whose turn it is when IKE messages come faster than they are worked on: peers before strangers.

Reading ends by time, not by numbers: what one message costs is up to who sent it. What names an IKE_SA of
ours is worked on as it is read; what strangers send waits in a bounded queue, and the event loop has its
round (timers, the control socket, workers, other sockets) between two turns of either kind.
"""

from __future__ import annotations

import asyncio
import time
from collections import deque
from collections.abc import Callable

from esp.limits import RateLimit
from ikepy.daemon import log
from ikepy.sa.path import Endpoint, Path

Receive = Callable[[bytes, Path], None]
Refuse = Callable[[bytes, Endpoint], bytes | None]
Knows = Callable[[bytes], bool]
Clock = Callable[[], float]

READING = 0.004  # seconds that all sockets together may read before the event loop's next round
LEAST = 0.0005  # and one of them at least
SERVING = 0.003  # seconds for strangers in a round; begun work is finished
WAITING = 1024  # messages of strangers that wait; more are lost, the younger ones
WAITING_OCTETS = 4 << 20
COMPLAINTS = (10.0, 1)  # seconds between two log lines; burst
SUBJECT = "net"


def let_in(datagram: bytes, remote: Endpoint) -> bytes | None:
    """Refuses nobody."""
    return None


def knows_nobody(datagram: bytes) -> bool:
    """Everybody is a stranger."""
    return False


class Reception:
    """Takes what all sockets read. `refuse` has an answer for a stranger at once (b"": none), or None."""

    def __init__(
        self,
        receive: Receive,
        refuse: Refuse = let_in,
        knows: Knows = knows_nobody,
        clock: Clock = time.monotonic,
    ) -> None:
        self._receive = receive
        self._refuse = refuse
        self._knows = knows
        self._clock = clock
        self._strangers: deque[tuple[bytes, Path]] = deque()
        self._octets = 0
        self._serving = False
        self._complaints = RateLimit(*COMPLAINTS)
        self.lost = 0  # messages of strangers for which there was no room

    def turn(self, sockets: int) -> Callable[[], bool]:
        """Begins a turn of one socket of so many; what it gives says whether that is over."""
        end = self._clock() + max(READING / sockets, LEAST)
        return lambda: self._clock() >= end

    def take(self, datagram: bytes, path: Path) -> bytes | None:
        """A datagram (without its non-ESP marker) was read; gives what is to be answered at once."""
        if self._knows(datagram):
            self._receive(datagram, path)
            return None
        answer = self._refuse(datagram, path.remote)
        if answer is None:
            self._let_wait(datagram, path)
        return answer or None

    def _let_wait(self, datagram: bytes, path: Path) -> None:
        if len(self._strangers) >= WAITING or self._octets + len(datagram) > WAITING_OCTETS:
            self.lost += 1
            if self._complaints.allow(self._clock()):
                text = f"strangers send more than we have time for, {self.lost} messages are lost so far"
                log.warning(SUBJECT, f"{text}, the last one from {path.remote}")
            return
        self._strangers.append((datagram, path))
        self._octets += len(datagram)
        if not self._serving:
            self._serving = True
            asyncio.get_running_loop().call_soon(self._serve)

    def _serve(self) -> None:
        """Work on what strangers sent, for a while."""
        end = self._clock() + SERVING
        while self._strangers:
            datagram, path = self._strangers.popleft()
            self._octets -= len(datagram)
            self._receive(datagram, path)
            if self._clock() >= end:
                break
        self._serving = bool(self._strangers)
        if self._serving:
            asyncio.get_running_loop().call_soon(self._serve)

    def close(self) -> None:
        """Forget what waits."""
        self._strangers.clear()
        self._octets = 0
