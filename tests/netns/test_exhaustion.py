"""A daemon without descriptors, or with a crowded control socket: told once, and over when there are some."""

from __future__ import annotations

import os
import re
import resource
import signal
import socket
import time
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest

from tests.netns.gateways import LEFT, RIGHT, Gateway, Pair, configuration, has_carrier, ping
from tests.netns.namespaces import wait_until

pytestmark = pytest.mark.root

START = 'start_action = "start"'
# The limits of a process of another user are not root's to set without CAP_SYS_RESOURCE.
ONE_PROCESS = '\n[daemon]\nuser = ""\n'
IDLE_CLIENTS = 1000


@pytest.fixture
def many_descriptors() -> Iterator[None]:
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
    yield
    resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))


def lines(gateway: Gateway, pattern: str) -> list[str]:
    return [line for line in gateway.log().splitlines() if re.search(pattern, line)]


def test_a_thousand_idle_clients_keep_nobody_out(pair: Pair, many_descriptors: None) -> None:
    pair.left.start(configuration(LEFT, RIGHT))
    with ExitStack() as stack:
        for number in range(IDLE_CLIENTS):
            client = stack.enter_context(socket.socket(socket.AF_UNIX))
            client.settimeout(5)
            client.connect(str(pair.left.socket))
            if number % 3 == 0:
                client.sendall(b'{"command": "list-')  # that never ends
        begin = time.monotonic()
        assert pair.left.list_sas() == []
        assert time.monotonic() - begin < 5
        assert len(lines(pair.left, "more than 64 clients")) == 1


def leave_descriptors(pid: int, free: int) -> tuple[int, int]:
    """Let a process have so many more, in the lowest places; the limits before."""
    before = resource.prlimit(pid, resource.RLIMIT_NOFILE)
    used = {int(path.name) for path in Path(f"/proc/{pid}/fd").iterdir()}
    places = [number for number in range(len(used) + free + 1) if number not in used]
    resource.prlimit(pid, resource.RLIMIT_NOFILE, (places[free], before[1]))
    return before


@pytest.mark.parametrize("action", ["start", "trap"])
def test_without_its_worker_a_tunnel_shows_no_child_and_no_carrier(pair: Pair, action: str) -> None:
    """Enough descriptors to answer with, too few for a process: the peer asks in vain until there is one."""
    pair.right.start(configuration(RIGHT, LEFT, child=START))
    pair.left.start(configuration(LEFT, RIGHT, child=f'start_action = "{action}"') + ONE_PROCESS)
    wait_until(pair.left.children, "the child is installed")
    left, process = pair.left.namespace, pair.left.process
    assert process is not None
    wait_until(lambda: ping(left, LEFT, RIGHT), "traffic: the peer has its child, too")
    time.sleep(1.0)
    (worker,) = (pid for pid in pair.left.workers() if f"pid {pid}" in pair.left.log())
    before = leave_descriptors(process.pid, 1)
    try:
        os.kill(worker, signal.SIGKILL)
        wait_until(lambda: lines(pair.left, "vti0 carry nothing and have no carrier"), "it is told")
        wait_until(lambda: not has_carrier(left), "no carrier")
        for _ in range(10):
            assert not pair.left.children()
            assert not has_carrier(left)
            time.sleep(0.2)
        assert len(lines(pair.left, "can't be started: ")) == 1
    finally:
        resource.prlimit(process.pid, resource.RLIMIT_NOFILE, before)
    wait_until(lambda: lines(pair.left, "is there again, for vti0"), "a worker", timeout=10)
    wait_until(lambda: ping(left, LEFT, RIGHT), "traffic", timeout=10)
    assert has_carrier(left)
    assert pair.left.children()


def test_without_descriptors_the_tunnel_stays_and_all_is_well_when_there_are_some(pair: Pair) -> None:
    pair.right.start(configuration(RIGHT, LEFT))
    pair.left.start(configuration(LEFT, RIGHT, child=START) + ONE_PROCESS)
    wait_until(pair.left.children, "the child is installed")
    left, process = pair.left.namespace, pair.left.process
    assert process is not None
    (old,) = pair.left.children()
    time.sleep(1.0)  # a worker that dies at once is replaced a second later only
    (worker,) = (pid for pid in pair.left.workers() if f"pid {pid}" in pair.left.log())
    before = resource.prlimit(process.pid, resource.RLIMIT_NOFILE)
    used = {int(path.name) for path in Path(f"/proc/{process.pid}/fd").iterdir()}
    lowest_free = next(number for number in range(len(used) + 1) if number not in used)
    resource.prlimit(process.pid, resource.RLIMIT_NOFILE, (lowest_free, before[1]))
    try:
        with socket.socket(socket.AF_UNIX) as client:
            client.settimeout(1)
            client.connect(str(pair.left.socket))
            left.ip("addr", "add", "192.0.2.77/24", "dev", "eth0")  # something to look at
            assert ping(left, LEFT, RIGHT)
            os.kill(worker, signal.SIGKILL)
            time.sleep(4)
    finally:
        resource.prlimit(process.pid, resource.RLIMIT_NOFILE, before)

    def works() -> bool:
        return any(child["spi_in"] != old["spi_in"] for child in pair.left.children())

    wait_until(works, "a new child", timeout=12)
    wait_until(lambda: ping(left, LEFT, RIGHT, count=1), "traffic", timeout=12)
    assert f"pid {worker}" not in lines(pair.left, "started, pid")[-1]
    told = lines(pair.left, "Too many open files")
    assert len(told) <= 4, told  # clients, addresses, the worker: once each
    assert not lines(pair.left, "Traceback")
