"""Which source a worker serves first, and when it leaves the CPU to others."""

from __future__ import annotations

import os
import socket
import time
from collections.abc import Iterator
from itertools import permutations

import pytest

from esp.datapath.worker import Worker
from esp.ipc import channel
from esp.ipc.counters import CounterBlock
from esp.ipc.messages import AddDevice, AddSocket, Ping
from esp.net.sockets import SocketKind, open_udp
from tests.unit.esp.bed import LOOPBACK, FakeDevice
from tests.unit.esp.packets import ipv4

DEVICES = (1, 2, 3)


class Noted(FakeDevice):
    """Notes when it is read."""

    def __init__(self, fd: int, number: int, turns: list[int]) -> None:
        super().__init__(fd, [])
        self._number, self._turns = number, turns

    def read_batch(self, limit: int) -> list[bytes]:
        self._turns.append(self._number)
        return super().read_batch(limit)


@pytest.fixture
def turns() -> list[int]:
    """The devices that were read, in order; they are numbered as they were added."""
    return []


@pytest.fixture
def counters() -> Iterator[CounterBlock]:
    with CounterBlock.create(1) as block:
        yield block


@pytest.fixture
def control() -> Iterator[tuple[socket.socket, socket.socket]]:
    """Control's end of the pair, and the worker's."""
    ours, theirs = channel.pair()
    theirs.setblocking(False)
    with ours, theirs:
        yield ours, theirs


@pytest.fixture
def worker(
    control: tuple[socket.socket, socket.socket], counters: CounterBlock, turns: list[int]
) -> Iterator[Worker]:
    """One that does nothing by itself."""
    numbers = iter(DEVICES)
    one = Worker(control[1], counters, 0, 1, lambda fd, mss4, mss6: Noted(fd, next(numbers), turns))
    yield one
    one.close()


@pytest.fixture
def ends(worker: Worker, control: tuple[socket.socket, socket.socket]) -> Iterator[list[socket.socket]]:
    """The other ends of its devices."""
    found = []
    for number in DEVICES:
        ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        with theirs:
            channel.send(control[0], AddDevice(number, f"vti{number}", False, 0, 0), theirs.fileno())
        found.append(ours)
    worker.serve_once()
    yield found
    for ours in found:
        ours.close()


@pytest.mark.parametrize("order", list(permutations(range(len(DEVICES)))), ids=str)
def test_whoever_took_long_last_time_comes_last(
    worker: Worker, ends: list[socket.socket], turns: list[int], order: tuple[int, ...]
) -> None:
    worker.context.devices[2].moderation.bulk = True
    for index in order:
        ends[index].send(ipv4())
    worker.serve_once()
    assert sorted(turns) == list(DEVICES)
    assert turns[-1] == 2


@pytest.mark.parametrize("busy", [True, False])
def test_only_a_busy_worker_waits_for_the_rest_of_a_turn(
    worker: Worker, control: tuple[socket.socket, socket.socket], busy: bool
) -> None:
    """A peer cuts what it seals together into equal sends, and here only one of them has come."""
    with open_udp(LOOPBACK, 0) as peer:
        with open_udp(LOOPBACK, 0) as sock:
            port = int(sock.getsockname()[1])
            channel.send(control[0], AddSocket(1, 4, SocketKind.UDP, LOOPBACK, port), sock.fileno())
        worker.serve_once()
        worker.busy_state.busy = busy
        segment = (socket.IPPROTO_UDP, 103, (100).to_bytes(2, "little"))
        peer.sendmsg([b"\1" * 3000], [segment], 0, ("127.0.0.1", port))
        worker.serve_once()
        assert (worker.transports[1].moderation.not_before > 0) is busy


@pytest.mark.parametrize("busy", [True, False])
def test_only_a_busy_worker_waits_for_more_of_what_comes_alone(
    worker: Worker, ends: list[socket.socket], busy: bool
) -> None:
    worker.busy_state.busy = busy
    ends[0].send(ipv4())
    worker.serve_once()
    if worker.context.deferred:
        worker.serve_once()
    assert (worker.context.devices[1].moderation.not_before > 0) is busy


@pytest.mark.parametrize(("policy", "yields"), [(os.SCHED_RR, True), (os.SCHED_OTHER, False)])
def test_only_a_worker_that_comes_before_others_takes_breaks(
    worker: Worker,
    ends: list[socket.socket],
    monkeypatch: pytest.MonkeyPatch,
    policy: int,
    yields: bool,
) -> None:
    slept: list[float] = []
    clock = iter(step * 0.00001 for step in range(10**9))  # no look at it takes long
    monkeypatch.setattr(time, "monotonic", lambda: next(clock))
    monkeypatch.setattr(time, "sleep", slept.append)
    monkeypatch.setattr(os, "sched_getscheduler", lambda pid: policy | os.SCHED_RESET_ON_FORK)
    worker.busy_state.busy = True
    for _ in range(300):
        for _ in range(40):  # so many that none is left to gather, which would be a pause
            ends[0].send(ipv4())
        worker.serve_once()
    assert bool(slept.count(0.0005)) is yields


@pytest.mark.parametrize("how", ["nothing more comes", "control says something", "it ends"])
def test_what_waits_to_be_counted_is_counted_when_there_is_time(
    worker: Worker, control: tuple[socket.socket, socket.socket], counters: CounterBlock, how: str
) -> None:
    """Control, which reads the memory only, shall not be told less than was carried."""
    with CounterBlock.attach(os.dup(counters.fd)) as seen:
        counters.count_each_in([0, 0], 100, time.monotonic())
        assert seen.sa(0).in_packets == 0
        if how == "it ends":
            worker.close()
        else:
            if how == "control says something":
                channel.send(control[0], Ping())
            worker.serve_once()
        assert seen.sa(0).in_packets == 2
