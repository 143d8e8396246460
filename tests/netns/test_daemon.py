"""Two real daemons with real devices: what is set up, what goes through, and what is left afterwards."""

from __future__ import annotations

import contextlib
import json
import os
import signal
import socket
import sys
import time
from dataclasses import replace
from functools import partial
from pathlib import Path

import pytest

from tests.netns.gateways import (
    LEFT,
    RIGHT,
    Gateway,
    Pair,
    Side,
    configuration,
    device_flags,
    give_host,
    has_carrier,
    host,
    ping,
)
from tests.netns.namespaces import MakeNamespace, connect, wait_until

pytestmark = pytest.mark.root

ETH_P_ALL, SO_RCVBUFFORCE = 0x0003, 33
START = 'start_action = "start"'


def up(pair: Pair, connection: str = "") -> None:
    """Both daemons run, the left one has initiated and the child is installed."""
    pair.right.start(configuration(RIGHT, LEFT))
    pair.left.start(configuration(LEFT, RIGHT, child=START, connection=connection))
    wait_until(pair.left.children, "the child is installed")


@pytest.mark.parametrize("encap", [False, True])
def test_packets_go_both_ways(pair: Pair, encap: bool) -> None:
    up(pair, connection="encap = true" if encap else "")
    left, right = pair.left.namespace, pair.right.namespace
    assert ping(left, LEFT, RIGHT)
    assert ping(right, RIGHT, LEFT)
    assert ping(left, LEFT, RIGHT, version=6)

    def packets() -> tuple[int, int]:
        (child,) = pair.left.children()
        return child["in_packets"], child["out_packets"]

    wait_until(lambda: packets() == (9, 9), "nine packets counted each way")
    (child,) = pair.left.children()
    assert child["encap"] is encap
    assert child["drops"] == {}
    (sa,) = pair.right.list_sas()
    assert sa["remote"] == "192.0.2.1[4500]"  # also without a NAT: MOBIKE (RFC 4555 3.3)


def test_ipv6_outside(pair: Pair) -> None:
    left, right = replace(LEFT, outer="2001:db8::1"), replace(RIGHT, outer="2001:db8::2")
    pair.right.start(configuration(right, left))
    pair.left.start(configuration(left, right, child=START))
    wait_until(pair.left.children, "the child is installed")
    assert ping(pair.left.namespace, LEFT, RIGHT)
    assert ping(pair.left.namespace, LEFT, RIGHT, version=6)


def test_carrier_follows_the_child_and_configured_routes_stay(pair: Pair) -> None:
    left = pair.left.namespace
    pair.right.start(configuration(RIGHT, LEFT))
    pair.left.start(configuration(LEFT, RIGHT))
    assert not has_carrier(left)
    assert "linkdown" in left.ip("route", "show", "10.2.0.0/24")
    pair.left.ask("initiate", child="net", timeout=10)
    assert has_carrier(left)
    assert "linkdown" not in left.ip("route", "show", "10.2.0.0/24")
    pair.left.ask("terminate", ike="tunnel", timeout=10)
    assert not has_carrier(left)
    assert "linkdown" in left.ip("route", "show", "10.2.0.0/24")


def test_negotiated_selectors_become_routes(pair: Pair) -> None:
    pair.right.start(configuration(RIGHT, LEFT, selectors=True))
    pair.left.start(configuration(LEFT, RIGHT, selectors=True))
    left, right = pair.left.namespace, pair.right.namespace
    assert left.ip("route", "show", "10.2.0.0/24") == ""
    pair.left.ask("initiate", child="net", timeout=10)
    assert "dev vti0" in left.ip("route", "show", "10.2.0.0/24")
    assert "dev vti0" in right.ip("-6", "route", "show", "fd01::/64")
    assert ping(left, LEFT, RIGHT, version=6)
    pair.left.ask("terminate", child="net", timeout=10)
    assert left.ip("route", "show", "10.2.0.0/24") == ""


def test_a_trap_loses_no_packet(pair: Pair) -> None:
    pair.right.start(configuration(RIGHT, LEFT))
    pair.left.start(configuration(LEFT, RIGHT, child='start_action = "trap"', selectors=True))
    assert has_carrier(pair.left.namespace)
    assert not pair.left.list_sas()
    assert ping(pair.left.namespace, LEFT, RIGHT, count=1)
    assert len(pair.left.children()) == 1


def test_the_mtu_is_what_the_suite_leaves_and_the_sender_is_told(pair: Pair) -> None:
    up(pair)
    left = pair.left.namespace
    (link,) = json.loads(left.ip("-j", "link", "show", "dev", "vti0"))
    # 1500 less IPv4 20, ESP 8, IV 8, ICV 16, trailer 2, in blocks of 4 octets
    assert link["mtu"] == 1446
    assert ping(left, LEFT, RIGHT, "-M", "do", "-s", str(1446 - 28))
    assert not ping(left, LEFT, RIGHT, "-M", "do", "-s", str(1446 - 27), count=1)


def test_two_connections_at_once(pair: Pair) -> None:
    left, right = pair.left.namespace, pair.right.namespace
    left.ip("addr", "add", "192.0.2.11/24", "dev", "eth0")
    right.ip("addr", "add", "192.0.2.12/24", "dev", "eth0")
    other_left = Side("gwc", "192.0.2.11", "169.254.10.5", ("10.3.0.0/24",))
    other_right = Side("gwd", "192.0.2.12", "169.254.10.6", ("10.4.0.0/24",))
    give_host(left, other_left)
    give_host(right, other_right)
    second = partial(configuration, name="second", device="vti1", connection="encap = true")
    pair.right.start(configuration(RIGHT, LEFT) + second(other_right, other_left))
    first = configuration(LEFT, RIGHT, child=START)
    pair.left.start(first + second(other_left, other_right, child=START))
    wait_until(lambda: len(pair.left.children()) == 2, "both children are installed")
    assert ping(left, LEFT, RIGHT)
    assert ping(left, other_left, other_right)

    def packets() -> dict[str, int]:
        return {child["device"]: child["out_packets"] for child in pair.left.children()}

    wait_until(lambda: packets() == {"vti0": 3, "vti1": 3}, "three packets counted on either device")


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_daemon_that_ends_tells_its_peer_and_leaves_nothing(pair: Pair, number: signal.Signals) -> None:
    up(pair)
    left = pair.left.namespace
    workers = pair.left.workers()
    pair.left.stop(number)
    assert device_flags(left, "vti0") == []
    assert "10.2.0.0" not in left.ip("route")
    assert not pair.left.socket.exists()
    assert not any(Path(f"/proc/{pid}").exists() for pid in workers)
    wait_until(lambda: not pair.right.list_sas(), "the peer has deleted the SAs")
    assert not has_carrier(pair.right.namespace)


def test_a_peer_that_is_gone_is_not_waited_for_too_long(pair: Pair) -> None:
    up(pair)
    pair.right.kill()
    pair.left.stop()  # within its time
    assert device_flags(pair.left.namespace, "vti0") == []


def test_a_second_signal_ends_it_at_once(pair: Pair) -> None:
    up(pair)
    pair.right.kill()
    assert pair.left.process is not None
    pair.left.process.send_signal(signal.SIGINT)
    wait_until(lambda: "SIGINT: ending" in pair.left.log(), "the first signal is heard")
    assert pair.left.stop(signal.SIGINT) < 3


def test_a_killed_daemon_leaves_no_worker_and_its_successor_starts(pair: Pair) -> None:
    up(pair)
    workers = pair.left.workers()
    pair.left.kill()
    wait_until(lambda: device_flags(pair.left.namespace, "vti0") == [], "the device is gone")
    assert len(workers) == 1
    pair.left.start(configuration(LEFT, RIGHT, child=START))
    wait_until(pair.left.children, "the child is installed again")
    assert ping(pair.left.namespace, LEFT, RIGHT)


def test_a_restarted_daemon_carries_traffic_again(pair: Pair) -> None:
    up(pair)
    pair.left.stop()
    pair.left.start(configuration(LEFT, RIGHT, child=START))
    wait_until(pair.left.children, "the child is installed again")
    assert ping(pair.left.namespace, LEFT, RIGHT)


def test_a_dead_worker_is_replaced_with_its_children(pair: Pair) -> None:
    up(pair)
    (old,) = pair.left.children()
    time.sleep(1.0)  # a worker that dies at once is replaced a second later only
    os.kill(pair.left.workers()[0], signal.SIGKILL)
    wait_until(
        lambda: [c for c in pair.left.children() if c["spi_in"] != old["spi_in"]], "a new child", timeout=10
    )
    assert ping(pair.left.namespace, LEFT, RIGHT)
    spis = {child["spi_in"] for child in pair.left.children()}
    assert old["spi_in"] not in spis


FLOOD = """
import contextlib, socket, sys, time
with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sock:
    sock.bind((sys.argv[1], 0))
    until = time.monotonic() + float(sys.argv[3])
    while time.monotonic() < until:
        with contextlib.suppress(OSError):  # there is no carrier meanwhile
            for _ in range(20):
                sock.sendto(bytes(200), (sys.argv[2], 9))
        time.sleep(0.005)
"""


def esp_sent(sniffer: socket.socket, source: str) -> list[bytes]:
    """SPI and sequence number of the ESP packets from `source` that the sniffer has seen since."""
    found = []
    with contextlib.suppress(BlockingIOError):
        while True:
            packet = sniffer.recv(64)
            if (
                packet[0] == 0x45
                and packet[9] == socket.IPPROTO_ESP
                and packet[12:16] == socket.inet_aton(source)
            ):
                found.append(packet[20:28])
    return found


def test_a_worker_killed_under_load_repeats_no_nonce(pair: Pair) -> None:
    """SPI and sequence number make the nonce: none is seen twice, and traffic goes on within two seconds."""
    up(pair)
    left = pair.left.namespace
    (old,) = pair.left.children()
    with left.call(socket.socket, socket.AF_PACKET, socket.SOCK_DGRAM, socket.htons(ETH_P_ALL)) as sniffer:
        sniffer.setsockopt(socket.SOL_SOCKET, SO_RCVBUFFORCE, 1 << 24)
        sniffer.setblocking(False)
        ends = host(LEFT.networks[0]), host(RIGHT.networks[0])
        flood = left.start(sys.executable, "-c", FLOOD, *ends, "4")
        time.sleep(1.2)  # a worker that dies at once is replaced a second later only
        before = esp_sent(sniffer, LEFT.outer)
        os.kill(pair.left.workers()[0], signal.SIGKILL)
        after: list[bytes] = []

        def goes_on() -> bool:
            after.extend(esp_sent(sniffer, LEFT.outer))
            return any(one[:4].hex() != old["spi_out"] for one in after)

        wait_until(goes_on, "traffic under another SPI", timeout=10)
        flood.wait()
        seen = [*before, *after, *esp_sent(sniffer, LEFT.outer)]
    assert len(before) > 500
    assert len({one[:4] for one in seen}) == 2
    assert len(set(seen)) == len(seen)
    assert ping(left, LEFT, RIGHT)


def test_a_peer_that_vanishes_is_noticed_and_comes_back(pair: Pair) -> None:
    settings = "[daemon]\nretransmit_timeout = 0.2\nretransmit_base = 1\nretransmit_tries = 2\n"
    pair.right.start(configuration(RIGHT, LEFT))
    child = f'{START}\ndpd_action = "start"'
    connection = "dpd_delay = 0.5\nkeyingtries = 0"
    pair.left.start(configuration(LEFT, RIGHT, child=child, connection=connection) + settings)
    wait_until(pair.left.children, "the child is installed")
    pair.right.kill()
    wait_until(lambda: not has_carrier(pair.left.namespace), "the peer's absence is noticed")
    pair.right.start(configuration(RIGHT, LEFT))
    wait_until(pair.left.children, "the child is installed again", timeout=20)
    assert ping(pair.left.namespace, LEFT, RIGHT)


def test_behind_a_nat(make_namespace: MakeNamespace, tmp_path: Path) -> None:
    inside, router, outside = make_namespace("inside"), make_namespace("nat"), make_namespace("outside")
    connect(inside, router, "eth0", "lan", ["10.9.0.2/24"], ["10.9.0.1/24"])
    connect(router, outside, "wan", "eth0", ["192.0.2.1/24"], ["192.0.2.2/24"])
    inside.ip("route", "add", "default", "via", "10.9.0.1")
    router.run("sysctl", "-q", "net.ipv4.ip_forward=1")
    rules = 'table ip n { chain c { type nat hook postrouting priority 100; oifname "wan" masquerade; }; }'
    router.run("nft", "-f", "-", text=rules)
    hidden = replace(LEFT, outer="10.9.0.2")
    give_host(inside, LEFT)
    give_host(outside, RIGHT)
    left, right = Gateway(inside, tmp_path / "left"), Gateway(outside, tmp_path / "right")
    right.start(configuration(RIGHT, hidden, remote="%any"))
    left.start(configuration(hidden, RIGHT, child=START))
    wait_until(left.children, "the child is installed")
    assert ping(inside, LEFT, RIGHT)
    assert ping(outside, RIGHT, LEFT, version=6)
    (sa,), (seen,) = left.list_sas(), right.list_sas()
    assert (sa["nat_local"], sa["nat_remote"]) == (True, False)
    assert (seen["nat_local"], seen["nat_remote"]) == (False, True)
    assert seen["remote"].startswith("192.0.2.1[")
    assert sa["children"][0]["encap"] is True


def errors(gateway: Gateway) -> list[str]:
    """Its log without the warnings of the configuration."""
    return [line for line in gateway.log().splitlines() if " WARNING " not in line]


def test_what_prevents_a_start_is_one_clear_line(pair: Pair) -> None:
    left = pair.left
    config = configuration(LEFT, RIGHT)
    assert left.launch(config.replace('"vti0"', '"eth0"')).wait(10) == 1
    (error,) = errors(left)
    assert "connections.tunnel.vti.name: a device eth0 exists" in error
    left.start(config)
    other = Gateway(left.namespace, left.socket.parent / "other")
    assert other.launch(config.replace('"vti0"', '"vti1"')).wait(10) == 1
    (error,) = errors(other)
    assert "UDP port 500 of 192.0.2.1: in use" in error
    assert device_flags(left.namespace, "vti1") == []
