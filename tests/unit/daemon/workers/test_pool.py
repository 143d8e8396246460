"""Real worker processes behind real sockets on the loopback; the TUN devices are socket pairs."""

from __future__ import annotations

import asyncio
import errno
import os
import signal
import socket
import struct
from collections.abc import Awaitable, Callable
from ipaddress import IPv4Address
from pathlib import Path

import pytest

from esp.ipc import messages
from esp.net.sockets import PROMPT_BUFFER
from esp.packet.selectors import Selector
from ikepy.config.model import Config
from ikepy.daemon.device.devices import DeviceTable
from ikepy.daemon.net.listeners import Listeners
from ikepy.daemon.process.launcher import WorkerLauncher
from ikepy.daemon.process.priority import ORDINARY
from ikepy.daemon.workers.pool import WorkerDown, WorkerPool
from tests.unit.daemon.fakes import SUITE, FakeNetwork, FakeTun, connection

LOOPBACK = IPv4Address("127.0.0.1")
PEERS = {"a": "192.0.2.2", "b": "192.0.2.3"}
EVERYTHING = (Selector.of("0.0.0.0/0"),)


def packet(text: bytes) -> bytes:
    """An IPv4 packet with `text` behind its header."""
    source, destination = IPv4Address("10.1.0.1").packed, IPv4Address("10.2.0.1").packed
    return struct.pack("!BBHHHBBH4s4s", 0x45, 0, 20 + len(text), 0, 0, 64, 253, 0, source, destination) + text


class Bed:
    """Two workers: connection "a" on slot 0 sends to connection "b" on slot 1, both on one port."""

    def __init__(self, priority: int) -> None:
        with socket.socket(type=socket.SOCK_DGRAM) as one, socket.socket(type=socket.SOCK_DGRAM) as other:
            one.bind(("127.0.0.1", 0))
            other.bind(("127.0.0.1", 0))
            self.ports = one.getsockname()[1], other.getsockname()[1]
        self.tuns: dict[str, FakeTun] = {}
        config = Config.model_validate(
            {"connections": {one: connection(one, remote_addrs=[peer]) for one, peer in PEERS.items()}}
        )
        self.devices = DeviceTable(config, 2, self._create, FakeNetwork())
        self.devices.open()
        self.listeners = Listeners.open([LOOPBACK], self.ports, 2, raw=False)
        self.said: list[tuple[int, messages.Message]] = []
        self.dead: asyncio.Queue[int] = asyncio.Queue()
        self.pool = WorkerPool(
            2, self.listeners.of_slot, WorkerLauncher(priority=priority), hurries=priority > 0
        )
        self.served: list[tuple[int, bool]] = []
        self.pool.report_to(
            lambda slot, message: self.said.append((slot, message)),
            self.dead.put_nowait,
            lambda slot, running: self.served.append((slot, running)),
        )

    def _create(self, name: str) -> FakeTun:
        self.tuns[name] = tun = FakeTun(name)
        tun.wire.settimeout(5)
        return tun

    def start(self) -> None:
        for device in self.devices:
            self.pool.add_device(device)

    def install(self, spi: int, child_id: int = 1) -> None:
        port = self.ports[1]
        keys = bytes([child_id]) * SUITE.key_length
        inbound = messages.AddInboundSa(
            child_id=child_id,
            device_id=2,
            slot=0,
            spi=spi,
            suite=SUITE,
            keys=keys,
            esn=True,
            replay_window=64,
            ts_local=EVERYTHING,
            ts_remote=EVERYTHING,
            encap=True,
            local_address=LOOPBACK,
            local_port=port,
            remote_address=LOOPBACK,
            remote_port=port,
        )
        outbound = messages.AddOutboundSa(
            child_id=child_id + 100,
            device_id=1,
            slot=0,
            spi=spi,
            suite=SUITE,
            keys=keys,
            esn=True,
            ts_local=EVERYTHING,
            ts_remote=EVERYTHING,
            encap=True,
            local_address=LOOPBACK,
            local_port=port,
            remote_address=LOOPBACK,
            remote_port=port,
            standby=False,
        )
        self.pool.send(1, inbound)
        self.pool.send(0, outbound)

    async def carry(self, text: bytes) -> bytes:
        """What comes out of b's device for a packet into a's."""
        self.tuns["vti-a"].wire.send(packet(text))
        data = await asyncio.to_thread(self.tuns["vti-b"].wire.recv, 65536)
        return data[20:]

    async def heard(self, kind: type[messages.Message], slot: int, times: int = 1) -> None:
        while [(one, type(message)) for one, message in self.said].count((slot, kind)) < times:  # noqa: ASYNC110
            await asyncio.sleep(0.01)

    async def close(self) -> None:
        await self.pool.close()
        self.devices.close()
        await self.listeners.close()


def _run(scenario: Callable[[Bed], Awaitable[None]], priority: int = ORDINARY) -> None:
    async def inside() -> None:
        bed = Bed(priority)
        try:
            async with asyncio.timeout(20):
                await scenario(bed)
        finally:
            await bed.close()

    asyncio.run(inside())


def test_a_packet_goes_from_device_to_device() -> None:
    async def scenario(bed: Bed) -> None:
        bed.start()
        bed.install(spi=0x10001)
        assert await bed.carry(b"hello") == b"hello"
        counters = bed.pool.counters(1)
        assert counters is not None
        while counters.sa(0).in_packets != 1:  # noqa: ASYNC110  counted after it is written
            await asyncio.sleep(0.01)

    _run(scenario)


def test_a_process_is_started_with_its_first_device() -> None:
    async def scenario(bed: Bed) -> None:
        assert (bed.pool.pid(0), bed.pool.pid(1), bed.pool.counters(0)) == (None, None, None)
        with pytest.raises(WorkerDown):
            bed.pool.send(0, messages.RemoveSaPair(1))
        first, _ = bed.devices
        bed.pool.add_device(first)
        assert bed.pool.pid(0) is not None
        assert bed.pool.pid(1) is None
        await bed.heard(messages.Ready, 0)

    _run(scenario)


def test_a_dead_worker_is_replaced_and_its_sas_are_gone() -> None:
    async def scenario(bed: Bed) -> None:
        bed.start()
        bed.install(spi=0x10001)
        await bed.carry(b"before")
        old = bed.pool.pid(1)
        assert old is not None
        os.kill(old, signal.SIGKILL)
        assert await bed.dead.get() == 1
        bed.tuns["vti-a"].wire.send(packet(b"queued for the next process, which knows no SA"))
        await bed.heard(messages.UnknownSpi, 1)
        bed.pool.send(0, messages.RemoveSaPair(101))
        bed.install(spi=0x10003, child_id=2)
        assert await bed.carry(b"after") == b"after"
        assert bed.pool.pid(1) != old
        assert bed.dead.empty()

    _run(scenario)


def _policy(pid: int | None) -> int:
    assert pid is not None
    return os.sched_getscheduler(pid) & ~os.SCHED_RESET_ON_FORK


def _queues(bed: Bed) -> set[int]:
    return {one.sock.getsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF) for one in bed.listeners.of_slot(0)}


@pytest.mark.root
def test_a_worker_runs_before_ordinary_processes_while_it_is_busy() -> None:
    async def scenario(bed: Bed) -> None:
        bed.start()
        await bed.heard(messages.Ready, 0)
        assert _policy(bed.pool.pid(0)) == os.SCHED_OTHER
        long = _queues(bed)
        bed.pool.hurry(0, True)
        assert _policy(bed.pool.pid(0)) == os.SCHED_RR
        assert _queues(bed) == {2 * PROMPT_BUFFER}  # the kernel doubles
        bed.pool.hurry(0, False)
        assert _policy(bed.pool.pid(0)) == os.SCHED_OTHER
        assert _queues(bed) == long

    _run(scenario, priority=1)


@pytest.mark.root
def test_a_worker_that_is_to_stay_ordinary_stays_so() -> None:
    async def scenario(bed: Bed) -> None:
        bed.start()
        await bed.heard(messages.Ready, 0)
        bed.pool.hurry(0, True)
        assert _policy(bed.pool.pid(0)) == os.SCHED_OTHER
        assert min(_queues(bed)) > 2 * PROMPT_BUFFER

    _run(scenario)


def test_a_worker_has_no_capabilities_and_no_environment_of_ours(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("IKEPY_TEST_SECRET", "s3cr3t")

    async def scenario(bed: Bed) -> None:
        bed.start()
        await bed.heard(messages.Ready, 0)
        with open(f"/proc/{bed.pool.pid(0)}/environ", "rb") as file:  # noqa: ASYNC230, PTH123
            assert b"s3cr3t" not in file.read()
        with open(f"/proc/{bed.pool.pid(0)}/status") as file:  # noqa: ASYNC230, PTH123
            status = dict(line.split(":", 1) for line in file)
        assert {int(status[key], 16) for key in ("CapEff", "CapPrm", "CapInh")} == {0}
        assert status["NoNewPrivs"].strip() == "1"

    _run(scenario)


def test_what_is_said_to_a_worker_that_is_being_replaced_reaches_its_successor() -> None:
    async def scenario(bed: Bed) -> None:
        bed.start()
        pid = bed.pool.pid(1)
        assert pid is not None
        os.kill(pid, signal.SIGKILL)
        assert await bed.dead.get() == 1
        assert bed.pool.pid(1) is None  # it lived too shortly to be replaced at once
        bed.install(spi=0x10001)
        assert await bed.carry(b"hello") == b"hello"

    _run(scenario)


def test_signals_of_the_terminal_do_not_end_a_worker() -> None:
    async def scenario(bed: Bed) -> None:
        bed.start()
        await bed.heard(messages.Ready, 1)
        pid = bed.pool.pid(1)
        assert pid is not None
        for number in (signal.SIGINT, signal.SIGTERM):
            os.kill(pid, number)
        bed.install(spi=0x10001)
        assert await bed.carry(b"still there") == b"still there"

    _run(scenario)


def test_control_never_waits_for_a_worker_that_stands_still() -> None:
    async def scenario(bed: Bed) -> None:
        bed.start()
        await bed.heard(messages.Ready, 0)
        pid = bed.pool.pid(0)
        assert pid is not None
        os.kill(pid, signal.SIGSTOP)
        for number in range(20_000):  # more than its socket takes
            bed.pool.send(0, messages.RemoveSaPair(number))
            await asyncio.sleep(0)
            if not bed.dead.empty():
                break
        assert await bed.dead.get() == 0

    _run(scenario)


def test_packets_for_a_worker_that_stands_still_are_lost_and_it_is_not_ended_for_them() -> None:
    """They may come from strangers; what else is said to it goes on."""

    async def scenario(bed: Bed) -> None:
        bed.start()
        await bed.pool.ready(5)
        pid = bed.pool.pid(1)
        assert pid is not None
        esp = messages.ForwardEsp(True, 0, LOOPBACK, 4500, LOOPBACK, 4500, b"\0\0\x10\x01" + bytes(1400))
        assert bed.pool.offer(1, esp)
        os.kill(pid, signal.SIGSTOP)
        taken = [bed.pool.offer(1, esp) for _ in range(5000)]
        assert not taken[-1]
        assert bed.pool.lost == taken.count(False)
        bed.install(0x1001)
        assert not bed.pool.offer(1, esp), "nothing overtakes what waits"
        os.kill(pid, signal.SIGCONT)
        while not bed.pool.offer(1, esp):  # noqa: ASYNC110
            await asyncio.sleep(0.01)
        assert await bed.carry(b"goes on") == b"goes on"
        assert bed.pool.pid(1) == pid

    _run(scenario)


def test_packets_for_a_worker_that_does_not_run_are_lost() -> None:
    async def scenario(bed: Bed) -> None:
        assert not bed.pool.offer(1, messages.ForwardEsp(True, 0, LOOPBACK, 1, LOOPBACK, 1, bytes(8)))
        assert bed.pool.lost == 1

    _run(scenario)


def test_a_worker_that_is_stopped_is_replaced_and_the_others_are_left_alone() -> None:
    async def scenario(bed: Bed) -> None:
        bed.start()
        for slot in (0, 1):
            await bed.heard(messages.Ready, slot)
        pid, other = bed.pool.pid(0), bed.pool.pid(1)
        assert pid is not None
        await asyncio.sleep(2.5)  # all answer all the time
        assert bed.dead.empty()
        os.kill(pid, signal.SIGSTOP)
        assert await asyncio.wait_for(bed.dead.get(), 4) == 0
        assert bed.pool.pid(0) not in (None, pid)
        assert bed.pool.pid(1) == other

    _run(scenario)


@pytest.mark.parametrize("missing", ["socketpair", "pidfd_open"])
def test_a_worker_that_cannot_be_started_is_tried_again_and_told_once(
    missing: str, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """No descriptors before the process is there, or just after it: then it is not left behind either."""
    monkeypatch.setattr("ikepy.daemon.workers.pool.LIFETIME", 0.05)

    def fail(*_: object) -> int:
        raise OSError(errno.EMFILE, "Too many open files")

    async def scenario(bed: Bed) -> None:
        bed.start()
        for slot in (0, 1):
            await bed.heard(messages.Ready, slot)
        pid, others = bed.pool.pid(0), children()
        assert pid is not None
        with monkeypatch.context() as patch:
            patch.setattr(socket if missing == "socketpair" else os, missing, fail)
            os.kill(pid, signal.SIGKILL)
            assert await bed.dead.get() == 0
            await asyncio.sleep(0.5)
            assert bed.pool.pid(0) is None
            assert bed.served == [(0, False)]
            assert children() == others - {pid}
        bed.install(spi=0x10000)  # it waits for the next one
        await bed.heard(messages.Ready, 0, times=2)
        assert bed.served == [(0, False), (0, True)]

    with caplog.at_level("ERROR", "ikepy"):
        _run(scenario)
    (told,) = (message for message in caplog.messages if "can't be started" in message)
    assert told.startswith("can't be started: [Errno 24] Too many open files; it is tried again")


def test_a_device_that_comes_while_there_is_no_process_is_not_served(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("ikepy.daemon.workers.pool.LIFETIME", 0.3)

    def fail(*_: object) -> int:
        raise OSError(errno.EMFILE, "Too many open files")

    async def scenario(bed: Bed) -> None:
        with monkeypatch.context() as patch:
            patch.setattr(socket, "socketpair", fail)
            assert not bed.pool.add_device_later(bed.devices.of("a"))  # the first of its slot
            assert bed.served == [(0, False)]
            assert not bed.pool.add_device_later(bed.devices.of("a"))  # while the slot waits
            assert bed.served == [(0, False)]
        await bed.heard(messages.Ready, 0)
        assert bed.served == [(0, False), (0, True)]
        assert bed.pool.add_device_later(bed.devices.of("b"))
        await bed.heard(messages.Ready, 1)

    _run(scenario)


def children() -> set[int]:
    """The processes that this one has started, those that have ended but were not waited for too."""
    found = set()
    for path in Path("/proc/self/task").glob("*/children"):
        found |= {int(word) for word in path.read_text().split()}
    return found


def test_closing_ends_the_processes() -> None:
    async def inside() -> list[int]:
        bed = Bed(ORDINARY)
        bed.start()
        pids = [pid for slot in (0, 1) if (pid := bed.pool.pid(slot)) is not None]
        os.kill(pids[1], signal.SIGSTOP)  # this one won't take the hint
        await bed.close()
        return pids

    for pid in asyncio.run(inside()):
        with pytest.raises(ProcessLookupError):
            os.kill(pid, 0)
