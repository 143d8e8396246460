"""Starts of a real daemon whose surroundings are not ready, or not free."""

from __future__ import annotations

import time

import pytest

from tests.netns.gateways import LEFT, RIGHT, Pair, configuration, device_flags, ping
from tests.netns.namespaces import wait_until

pytestmark = pytest.mark.root

START = 'start_action = "start"'
WITHIN = 3.0  # seconds


def test_an_own_address_that_is_not_there_yet(pair: Pair) -> None:
    """A connection names it: one line, and the tunnel is up soon after the address."""
    left = pair.left.namespace
    left.ip("addr", "del", "192.0.2.1/24", "dev", "eth0")
    pair.right.start(configuration(RIGHT, LEFT))
    pair.left.start(configuration(LEFT, RIGHT, child=START))
    time.sleep(2.5)
    waiting = [line for line in pair.left.log().splitlines() if "192.0.2.1" in line]
    assert (
        sum("(connections.tunnel.local_addrs[0]) is not an address of this machine yet" in w for w in waiting)
        == 1
    )
    assert len(waiting) <= 3, waiting
    left.ip("addr", "add", "192.0.2.1/24", "dev", "eth0")
    wait_until(pair.left.children, "the child is installed", WITHIN)
    assert ping(left, LEFT, RIGHT)


def test_an_own_address_that_a_responder_waits_for(pair: Pair) -> None:
    right = pair.right.namespace
    right.ip("addr", "del", "192.0.2.2/24", "dev", "eth0")
    pair.right.start(configuration(RIGHT, LEFT))
    right.ip("addr", "add", "192.0.2.2/24", "dev", "eth0")
    pair.left.start(configuration(LEFT, RIGHT, child=START))
    wait_until(pair.left.children, "the child is installed", WITHIN)
    assert ping(pair.left.namespace, LEFT, RIGHT)


def test_a_successor_of_a_killed_daemon_starts_at_once(pair: Pair) -> None:
    """Whatever of its devices and sockets the kernel has not taken away yet."""
    pair.right.start(configuration(RIGHT, LEFT))
    config = configuration(LEFT, RIGHT, child=START)
    pair.left.start(config)
    for _ in range(5):
        wait_until(pair.left.children, "the child is installed")
        assert pair.left.process is not None
        pair.left.process.kill()  # not waited for
        pair.left.start(config)
    wait_until(pair.left.children, "the child is installed again")
    assert ping(pair.left.namespace, LEFT, RIGHT)


def test_a_device_that_does_not_go_away(pair: Pair) -> None:
    left = pair.left.namespace
    left.ip("tuntap", "add", "vti0", "mode", "tun")
    process = pair.left.launch(configuration(LEFT, RIGHT))
    assert process.wait(15) == 1
    assert "waiting for vti0 of the last daemon" in pair.left.log()
    assert "connections.tunnel.vti.name: a device vti0 exists already, in use by another" in pair.left.log()
    assert not pair.left.socket.exists()


def test_a_daemon_that_waits_for_a_device_can_be_ended(pair: Pair) -> None:
    pair.left.namespace.ip("tuntap", "add", "vti0", "mode", "tun")
    process = pair.left.launch(configuration(LEFT, RIGHT))
    wait_until(pair.left.socket.exists, "it waits")
    process.terminate()
    assert process.wait(15) == 0
    assert "ERROR" not in pair.left.log()
    assert not pair.left.socket.exists()


def test_a_device_of_another_kind_is_told_at_once(pair: Pair) -> None:
    pair.left.namespace.ip("link", "add", "vti0", "type", "bridge")
    assert pair.left.launch(configuration(LEFT, RIGHT)).wait(15) == 1
    assert "a device vti0 exists already, none of ikepy's" in pair.left.log()


def test_a_second_start_touches_nothing(pair: Pair) -> None:
    pair.right.start(configuration(RIGHT, LEFT))
    config = configuration(LEFT, RIGHT, child=START)
    pair.left.start(config)
    wait_until(pair.left.children, "the child is installed")
    first, sas = pair.left.process, pair.left.children()
    assert first is not None
    written = pair.left.log()
    second = pair.left.launch(config)
    assert second.wait(15) == 1
    assert f"already running (pid {first.pid}, socket {pair.left.socket})" in pair.left.log()
    assert "listening" in written
    assert [c["spi_in"] for c in pair.left.children()] == [c["spi_in"] for c in sas]
    assert "UP" in device_flags(pair.left.namespace, "vti0")
    assert ping(pair.left.namespace, LEFT, RIGHT)
    pair.left.process = first
