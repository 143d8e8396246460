"""Turns end by time, and strangers wait: with a clock that only the work itself moves."""

from __future__ import annotations

import asyncio
import socket
from collections.abc import Callable
from ipaddress import IPv4Address

import pytest

from ikepy.daemon import log
from ikepy.daemon.net.listeners import Listeners
from ikepy.daemon.net.reception import HURRIED, LEAST, READING, SERVING, WAITING, WAITING_OCTETS, Reception
from ikepy.sa.api.path import Endpoint, Path

from .test_listeners import LOOPBACK, free_ports

PATH = Path(Endpoint(IPv4Address("192.0.2.1"), 500), Endpoint(IPv4Address("198.51.100.7"), 500))
SLOW = 0.001  # seconds that each message takes


class Work:
    """What a reception hands on, each message taking `seconds` of its own clock."""

    def __init__(self, seconds: float = SLOW) -> None:
        self.now = 100.0
        self.done: list[bytes] = []
        self.rounds: list[int] = []  # how many were done when the event loop had its round
        self._seconds = seconds
        self.reception = Reception(self.receive, self.refuse, self.knows, self.drops, clock=lambda: self.now)

    def receive(self, data: bytes, path: Path) -> None:
        self.now += self._seconds
        self.done.append(data)

    def refuse(self, data: bytes, remote: Endpoint) -> bytes | None:
        return {b"cookie": b"please", b"away": b""}.get(data)

    def knows(self, data: bytes) -> bool:
        return data.startswith(b"peer")

    def drops(self, data: bytes, path: Path) -> bool:
        return data.endswith(b"forged")

    async def until(self, count: int) -> None:
        async with asyncio.timeout(5):
            while len(self.done) < count:
                self.rounds.append(len(self.done))
                await asyncio.sleep(0)


def test_peers_first() -> None:
    async def scenario() -> None:
        work = Work()
        for n in range(3):
            assert work.reception.take(b"stranger %d" % n, PATH) is None
        work.reception.take(b"peer", PATH)
        assert work.done == [b"peer"]
        await work.until(4)
        assert work.done == [b"peer", b"stranger 0", b"stranger 1", b"stranger 2"]

    asyncio.run(scenario())


def test_a_peer_that_comes_while_strangers_wait() -> None:
    async def scenario() -> None:
        work = Work()
        for n in range(50):
            work.reception.take(b"stranger %d" % n, PATH)
        await asyncio.sleep(0)
        before = len(work.done)
        work.reception.take(b"peer", PATH)
        assert work.done[before] == b"peer"
        assert before < 50

    asyncio.run(scenario())


def test_strangers_have_a_few_milliseconds_of_each_round() -> None:
    """And of work that takes longer than that, one piece."""

    async def scenario(seconds: float, a_round: int) -> None:
        work = Work(seconds)
        for n in range(20):
            work.reception.take(b"stranger %d" % n, PATH)
        await work.until(20)
        steps = [b - a for a, b in zip(work.rounds, work.rounds[1:], strict=False)]
        assert max(steps) == a_round

    asyncio.run(scenario(SERVING / 3.5, 4))
    asyncio.run(scenario(0.2, 1))


def test_strangers_have_less_of_it_while_more_comes_than_is_read() -> None:
    async def scenario() -> None:
        work = Work(HURRIED / 2)
        for n in range(20):
            work.reception.take(b"stranger %d" % n, PATH)
        is_over = work.reception.turn(1)
        work.now += 2 * READING
        assert is_over()
        await work.until(20)
        steps = [b - a for a, b in zip(work.rounds, work.rounds[1:], strict=False)]
        assert steps[:2] == [2, round(2 * SERVING / HURRIED)]

    asyncio.run(scenario())


def test_those_that_are_refused_at_once_do_not_wait() -> None:
    async def scenario() -> None:
        work = Work()
        assert work.reception.take(b"cookie", PATH) == b"please"
        assert work.reception.take(b"away", PATH) is None
        work.reception.take(b"last", PATH)
        await work.until(1)
        assert work.done == [b"last"]

    asyncio.run(scenario())


@pytest.mark.parametrize(
    ("size", "room"), [(200, WAITING), (10_000, WAITING_OCTETS // 10_000)], ids=["many", "large"]
)
def test_a_full_queue(capsys: pytest.CaptureFixture[str], size: int, room: int) -> None:
    """What has no room is lost and counted; the log has one line. Peers are not concerned."""
    warnings: list[str] = []

    async def scenario() -> None:
        work = Work(0.0)
        for n in range(2 * WAITING):
            work.reception.take(b"%06d" % n + bytes(size - 6), PATH)
        assert work.reception.lost == 2 * WAITING - room
        work.reception.take(b"peer", PATH)
        assert work.done == [b"peer"]
        await work.until(room + 1)
        assert [int(data[:6]) for data in work.done[1:]] == list(range(room))
        work.reception.take(b"again", PATH)
        await work.until(room + 2)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(log, "warning", lambda subject, text, *_: warnings.append(text))
        asyncio.run(scenario())
    assert len(warnings) == 1
    assert "198.51.100.7" in warnings[0]


def test_what_is_forged_neither_waits_nor_is_worked_on() -> None:
    async def scenario() -> None:
        work = Work()
        for _ in range(2 * WAITING):
            work.reception.take(b"peer, forged", PATH)
            work.reception.take(b"stranger, forged", PATH)
        assert not work.done
        work.reception.take(b"stranger", PATH)
        await work.until(1)
        assert work.done == [b"stranger"]
        assert not work.reception.lost

    asyncio.run(scenario())


def _under(spi: bytes, number: int) -> bytes:
    """Of a half-open IKE_SA: what follows IKE_SA_INIT."""
    return bytes([7] * 8) + spi + b"\x2e\x20\x23\x08" + number.to_bytes(4, "big") + bytes(4)


def test_one_half_open_ike_sa_does_not_take_the_room_of_others() -> None:
    """Nor does one network with first requests; and whoever comes then has the next turn but one."""

    async def scenario() -> None:
        work = Work()
        for n in range(2 * WAITING):
            work.reception.take(_under(b"attacker", n), PATH)
            work.reception.take(_under(bytes(8), n), PATH)
        newcomer = _under(b"newcomer", 1)
        work.reception.take(newcomer, PATH)
        await work.until(3)
        assert newcomer in work.done[:3]

    asyncio.run(scenario())


def test_nothing_is_worked_on_after_the_end() -> None:
    async def scenario() -> None:
        work = Work()
        work.reception.take(b"stranger", PATH)
        work.reception.close()
        await asyncio.sleep(0.01)
        assert not work.done

    asyncio.run(scenario())


def test_sockets_share_the_time_for_reading() -> None:
    work = Work()
    for sockets, seconds in ((1, READING), (4, READING / 4), (1000, LEAST)):
        is_over = work.reception.turn(sockets)
        work.now += seconds * 0.9
        assert not is_over()
        work.now += seconds * 0.2
        assert is_over()


def throw(count: int, port: int, data: Callable[[int], bytes]) -> None:
    with socket.socket(type=socket.SOCK_DGRAM) as peer:
        for n in range(count):
            peer.sendto(data(n), ("127.0.0.1", port))


def test_a_burst_of_costly_messages_leaves_the_loop_its_rounds() -> None:
    """A hundred at once, which take a second: nothing else waits for more than a few of them."""

    async def scenario() -> None:
        ports = free_ports()
        listeners = Listeners.open([LOOPBACK], ports, 1, raw=False)
        work = Work(0.01)
        listeners.start(work.reception)
        try:
            throw(50, ports[0], lambda n: b"peer %d" % n)
            throw(50, ports[0], lambda n: b"stranger %d" % n)
            await work.until(100)
        finally:
            await listeners.close()
        steps = [b - a for a, b in zip(work.rounds, work.rounds[1:], strict=False)]
        assert max(steps) <= 2  # one of reading, one stranger
        assert [data for data in work.done if data.startswith(b"peer")] == [b"peer %d" % n for n in range(50)]

    asyncio.run(scenario())
