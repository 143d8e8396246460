"""The lab's namespaces, captures and processes."""

from __future__ import annotations

import os
import signal
import socket
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from ikepy.lab.capture import Capture
from ikepy.lab.measure import Iperf, ping
from ikepy.lab.netns import LabError, Namespace, delete_all, veth
from ikepy.lab.pair import RIGHT_HOST, RIGHT_HOST6, Pair
from ikepy.lab.process import Process
from tests.netns.namespaces import wait_until

pytestmark = pytest.mark.root

PREFIX = f"ikl{os.getpid()}-"


@pytest.fixture
def spaces() -> Iterator[tuple[Namespace, Namespace]]:
    """Two namespaces with a cable, 192.0.2.1 and 192.0.2.2."""
    one, other = Namespace(f"{PREFIX}one"), Namespace(f"{PREFIX}other")
    try:
        one.create()
        other.create()
        veth(one, "eth0", other, "eth0")
        one.ip("addr add 192.0.2.1/24 dev eth0")
        other.ip("addr add 192.0.2.2/24 dev eth0")
        yield one, other
    finally:
        delete_all([one, other])


def test_made_and_gone(spaces: tuple[Namespace, Namespace]) -> None:
    one, other = spaces
    assert ping(one, "192.0.2.2", count=2).ok
    with pytest.raises(LabError, match="File exists"):
        Namespace(one.name).create()
    one.delete()
    assert not one.exists
    one.delete()
    assert other.exists


def test_what_runs_inside_ends_with_it(spaces: tuple[Namespace, Namespace], tmp_path: Path) -> None:
    """Also what doesn't listen to SIGTERM."""
    one, _ = spaces
    stubborn = one.start(
        "sh", "-c", "trap '' TERM; echo ready; while :; do sleep 0.1; done", log=tmp_path / "log"
    )
    while "ready" not in (tmp_path / "log").read_text():
        time.sleep(0.01)
    assert stubborn.pid in one.pids()
    one.delete(patience=0.3)
    assert stubborn.wait(5) == -signal.SIGKILL


def test_a_socket_opened_inside_stays_inside(spaces: tuple[Namespace, Namespace]) -> None:
    one, other = spaces
    opened = other.inside(lambda: socket.create_server(("192.0.2.2", 7)))
    with opened:
        assert ":7" in other.run("ss", "-Hltn")
        assert ":7" not in one.run("ss", "-Hltn")


def test_iperf_clients_wait_for_each_other(spaces: tuple[Namespace, Namespace]) -> None:
    """The server refuses one while it serves the other, in a word or by a reset."""
    one, other = spaces
    with Iperf(other) as iperf, ThreadPoolExecutor() as threads:
        tests = [threads.submit(iperf.tcp, one, "192.0.2.2", 1, rate="1M") for _ in range(2)]
        assert all(test.result() > 0.1 for test in tests)


def test_errors_from_inside(spaces: tuple[Namespace, Namespace]) -> None:
    one, _ = spaces
    with pytest.raises(ZeroDivisionError):
        one.inside(lambda: 1 // 0)
    with pytest.raises(LabError, match="no_such_setting"):
        one.sysctl({"net.ipv4.no_such_setting": "1"})
    with pytest.raises(LabError, match="no-such-program"):
        one.run("no-such-program")


def test_capture_counts_both_ways(spaces: tuple[Namespace, Namespace]) -> None:
    one, other = spaces
    with Capture([one, other]) as capture:
        assert ping(one, "192.0.2.2", count=3, interval=0.05).ok
        capture.stop()
        for space in (one, other):
            seen = capture.seen(space, "eth0")
            assert dict(seen.stacks) == {("Ethernet", "IPv4", "ICMP"): 6}
            assert seen.ends == {frozenset(("192.0.2.1", "192.0.2.2"))}
        assert not capture.seen(one, "no-such-device").stacks


def test_capture_of_a_device_that_comes_and_goes(spaces: tuple[Namespace, Namespace]) -> None:
    one, _ = spaces
    with Capture([one]) as capture:
        one.ip("link add late type veth peer name later", "link set late up", "link set later up")
        one.ip(
            "addr add 198.51.100.1/24 dev late", "neigh add 198.51.100.2 lladdr 02:00:00:00:00:01 dev late"
        )
        assert not ping(one, "198.51.100.2", count=1).ok
        one.ip("link del late")
        capture.stop()
        assert capture.seen(one, "late").stacks[("Ethernet", "IPv4", "ICMP")] >= 1


def test_process_is_found_again(spaces: tuple[Namespace, Namespace], tmp_path: Path) -> None:
    one, other = spaces
    first = Process(one, tmp_path)
    first.start("sh", "-c", "echo ready; exec sleep 60")
    while "ready" not in first.log():  # until then it may be on its way into the namespace
        time.sleep(0.01)
    again = Process(one, tmp_path)
    assert again.running
    with pytest.raises(LabError, match="already"):
        again.start("sleep", "60")
    assert not Process(other, tmp_path).running, "the same number in another namespace is somebody else"
    assert again.stop(patience=5.0)
    assert not again.running
    # It leaves its namespace a moment before its parent hears of its end.
    wait_until(lambda: not first.running, "its parent hears of its end", 5)
    assert again.stop(patience=5.0)
    assert "ready" in again.log()


def test_process_that_does_not_end_is_killed(spaces: tuple[Namespace, Namespace], tmp_path: Path) -> None:
    one, _ = spaces
    process = Process(one, tmp_path)
    process.start("sh", "-c", "trap '' TERM; echo ready; while :; do sleep 0.1; done")
    while "ready" not in process.log():
        time.sleep(0.01)
    assert not process.stop(patience=0.3)
    assert not process.running


def test_pair_has_no_way_through_yet() -> None:
    """Without a tunnel, one host does not reach the other; with routes it does, in both families."""
    with Pair(f"{PREFIX}pair-") as pair:
        assert not ping(pair.left_host, RIGHT_HOST, count=1).ok
        pair.left.ip("route add 10.2.0.0/24 via 192.0.2.2", "route add fd00:2::/64 via 2001:db8::2")
        pair.right.ip("route add 10.1.0.0/24 via 192.0.2.1", "route add fd00:1::/64 via 2001:db8::1")
        assert ping(pair.left_host, RIGHT_HOST, count=2).ok
        assert ping(pair.left_host, RIGHT_HOST6, count=2).ok
        names = [space.name for space in pair.namespaces]
    assert not [name for name in names if Namespace(name).exists]
