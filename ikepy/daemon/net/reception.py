"""Schedules IKE messages that come faster than they are processed: peers' before strangers'.

A socket's turn of reading is limited in time, not in messages, for the sender decides what one message costs.
A message of an IKE_SA of ours is processed as soon as it is read, and a forged one is dropped. Messages of
strangers (peers that are not authenticated) wait in a bounded queue that serves senders round robin. Between
two turns the event loop does its other work: timers, the control socket, workers, other sockets.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable

from esp.datapath.limits import RateLimit
from ikepy.daemon import log
from ikepy.daemon.net.round_robin import RoundRobin
from ikepy.sa.api.log_source import prefix_of
from ikepy.sa.api.path import Endpoint, Path
from ikepy.sa.driver.forged_messages import local_spi

Receive = Callable[[bytes, Path], None]
Refuse = Callable[[bytes, Endpoint], bytes | None]
Knows = Callable[[bytes], bool]
Drops = Callable[[bytes, Path], bool]
Clock = Callable[[], float]

READING = 0.004  # seconds that all sockets together may read before the event loop's next round
LEAST = 0.0005  # and one of them at least
SERVING = 0.003  # seconds for strangers' messages in a round; the last one is finished
HURRIED = 0.001  # the same while sockets are not read empty: what overflows their buffers is lost, peers' too
WAITING = 1024  # messages of strangers that wait; the newest are lost when there are more
WAITING_EACH = WAITING // 2  # for one IKE_SA, or from one prefix for none yet
WAITING_OCTETS = 4 << 20
LOG_RATE = (10.0, 1)  # seconds between two log lines; burst
SUBJECT = "net"


def let_in(datagram: bytes, remote: Endpoint) -> bytes | None:
    """A `refuse` that refuses nobody."""
    return None


def knows_nobody(datagram: bytes) -> bool:
    """A `knows` for which everybody is a stranger."""
    return False


def drops_nothing(datagram: bytes, path: Path) -> bool:
    """A `drops` that drops nothing."""
    return False


class Reception:
    """Takes the messages that all sockets read, and gives them to `receive` in their turn.

    `drops`: whether a message can be dropped unread; `knows`: whether it belongs to an IKE_SA; `refuse`: what
    a stranger's message is answered with at once (b"": nothing), None if it is to be received.
    """

    def __init__(
        self,
        receive: Receive,
        refuse: Refuse = let_in,
        knows: Knows = knows_nobody,
        drops: Drops = drops_nothing,
        clock: Clock = time.monotonic,
    ) -> None:
        self._receive = receive
        self._refuse = refuse
        self._knows = knows
        self._drops = drops
        self._clock = clock
        self._strangers = RoundRobin(WAITING, WAITING_EACH, WAITING_OCTETS)
        self._serving = False
        self._behind = False  # a turn ended before its socket was empty
        self._log_rate = RateLimit(*LOG_RATE)
        self.lost = 0  # messages of strangers for which there was no room

    def turn(self, sockets: int) -> Callable[[], bool]:
        """Begin the turn of one of so many sockets. Returns a function that says whether the turn is over."""
        end = self._clock() + max(READING / sockets, LEAST)

        def is_over() -> bool:
            if self._clock() < end:
                return False
            self._behind = True
            return True

        return is_over

    def take(self, datagram: bytes, path: Path) -> bytes | None:
        """Receive a datagram without its non-ESP marker. Returns what is to be answered at once, or None."""
        if self._drops(datagram, path):
            return None
        if self._knows(datagram):
            self._receive(datagram, path)
            return None
        answer = self._refuse(datagram, path.remote)
        if answer is None:
            self._let_wait(datagram, path)
        return answer or None

    def _let_wait(self, datagram: bytes, path: Path) -> None:
        spi = local_spi(datagram)  # a first request carries no SPI of ours yet
        owner = spi if any(spi) else prefix_of(path.remote.address)
        if not self._strangers.put(owner, datagram, path):
            self.lost += 1
            if self._log_rate.allow(self._clock()):
                text = f"strangers send more than we have time for, {self.lost} messages are lost so far"
                log.warning(SUBJECT, f"{text}, the last one from {path.remote}", "net")
            return
        if not self._serving:
            self._serving = True
            asyncio.get_running_loop().call_soon(self._serve)

    def _serve(self) -> None:
        """Process strangers' messages for a while."""
        end = self._clock() + (HURRIED if self._behind else SERVING)
        self._behind = False
        while len(self._strangers):
            datagram, path = self._strangers.take()
            self._receive(datagram, path)
            if self._clock() >= end:
                break
        self._serving = bool(len(self._strangers))
        if self._serving:
            asyncio.get_running_loop().call_soon(self._serve)

    def close(self) -> None:
        """Drop the messages that wait."""
        self._strangers.clear()
