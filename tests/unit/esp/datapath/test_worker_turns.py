"""Which source a worker serves first, and when it leaves the CPU to others."""

from __future__ import annotations

import os
import socket
import time
from collections.abc import Iterator
from itertools import permutations
from unittest.mock import Mock

import pytest

from esp.datapath.devices import Device
from esp.datapath.worker import Worker
from esp.ipc import channel
from esp.ipc.counters import CounterBlock
from esp.ipc.messages import AddDevice, AddSocket
from esp.net.sockets import SocketKind, open_udp
from esp.net.transport import Transport
from tests.unit.esp.bed import LOOPBACK, FakeDevice
from tests.unit.esp.packets import ipv4

DEVICES = (1, 2, 3)


class Served(Worker):
    """Notes whose turn it was."""

    def __init__(self, control: socket.socket, counters: CounterBlock) -> None:
        super().__init__(control, counters, 0, 1, lambda fd, mss4, mss6: FakeDevice(fd, []))
        self.turns: list[int] = []

    def _serve(self, source: Transport | Device, now: float, alone: bool = False) -> None:
        self.turns.append(source.device_id if isinstance(source, Device) else 0)
        super()._serve(source, now, alone)


@pytest.fixture
def worker() -> Iterator[Served]:
    control, theirs = channel.pair()
    theirs.setblocking(False)
    with control, theirs, CounterBlock.create(1) as counters:
        one = Served(theirs, counters)
        yield one
        one._close()


@pytest.fixture
def ends(worker: Served) -> Iterator[list[socket.socket]]:
    """The other ends of its devices."""
    pairs = [socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET) for _ in DEVICES]
    for number, (_, theirs) in zip(DEVICES, pairs, strict=True):
        worker._add_device(AddDevice(number, f"vti{number}", False, 0, 0), theirs.detach())
    yield [ours for ours, _ in pairs]
    for ours, _ in pairs:
        ours.close()


@pytest.mark.parametrize("order", list(permutations(range(len(DEVICES)))), ids=str)
def test_whoever_took_long_last_time_comes_last(
    worker: Served, ends: list[socket.socket], order: tuple[int, ...]
) -> None:
    worker._devices[2].moderation.bulk = True
    for index in order:
        ends[index].send(ipv4())
    worker._serve_once()
    assert sorted(worker.turns) == list(DEVICES)
    assert worker.turns[-1] == 2


@pytest.mark.parametrize("busy", [True, False])
def test_only_a_busy_worker_waits_for_the_rest_of_a_turn(worker: Served, busy: bool) -> None:
    """A peer cuts what it seals together into equal sends, and here only one of them has come."""
    with open_udp(LOOPBACK, 0) as peer:
        sock = open_udp(LOOPBACK, 0)
        port = int(sock.getsockname()[1])
        worker._add_socket(AddSocket(1, 4, SocketKind.UDP, LOOPBACK, port), sock.detach())
        worker._busy_state.busy = busy
        segment = (socket.IPPROTO_UDP, 103, (100).to_bytes(2, "little"))
        peer.sendmsg([b"\1" * 3000], [segment], 0, ("127.0.0.1", port))
        worker._serve_once()
        assert (worker._transports[1].moderation.not_before > 0) is busy


@pytest.mark.parametrize("busy", [True, False])
def test_only_a_busy_worker_waits_for_more_of_what_comes_alone(
    worker: Served, ends: list[socket.socket], busy: bool
) -> None:
    worker._busy_state.busy = busy
    ends[0].send(ipv4())
    worker._serve_once()
    worker._run_deferred()
    assert (worker._devices[1].moderation.not_before > 0) is busy


@pytest.mark.parametrize(("policy", "yields"), [(os.SCHED_RR, True), (os.SCHED_OTHER, False)])
def test_only_a_worker_that_comes_before_others_takes_breaks(
    worker: Served,
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
    worker._busy_state.busy = True
    for _ in range(300):
        for _ in range(40):  # so many that none is left to gather, which would be a pause
            ends[0].send(ipv4())
        worker._serve_once()
    assert bool(slept.count(0.0005)) is yields


@pytest.mark.parametrize("how", ["nothing more comes", "control says something", "it ends"])
def test_what_waits_to_be_counted_is_counted_when_there_is_time(
    worker: Served, monkeypatch: pytest.MonkeyPatch, how: str
) -> None:
    """Control, which reads the memory only, shall not be told less than was carried."""
    quiet = Mock(**{"poll.return_value": []})
    with CounterBlock.attach(os.dup(worker._counters.fd)) as control, monkeypatch.context() as patch:
        worker._counters.count_each_in([0, 0], 100, time.time())
        assert control.sa(0).in_packets == 0
        if how == "nothing more comes":
            patch.setattr(worker, "_poll", quiet)
            worker._serve_once()
            timeout = quiet.poll.call_args.args[0]
            assert timeout is not None
            assert timeout <= 0.001
        elif how == "control says something":
            worker._read_control()
        else:
            worker._close()
        assert control.sa(0).in_packets == 2
