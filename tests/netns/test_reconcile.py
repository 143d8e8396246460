"""Two real daemons while others change their devices: traffic again within 3 s, and a line that says it."""

from __future__ import annotations

import json
import os
import signal
import time
from dataclasses import replace
from pathlib import Path

import pytest

from tests.netns.diagnoses import found
from tests.netns.gateways import LEFT, RIGHT, Gateway, Pair, configuration, device_flags, ping
from tests.netns.namespaces import MakeNamespace, Namespace, wait_until

pytestmark = pytest.mark.root

START = 'start_action = "start"'
WITHIN = 3.0  # seconds
VTI6 = 'addresses = ["169.254.10.1/30", "fd0a::1/126"]\npeers = ["169.254.10.2", "fd0a::2"]\n'


def up(pair: Pair) -> None:
    """The left one has IPv6 addresses too, has initiated, and packets go through."""
    pair.right.start(configuration(RIGHT, LEFT))
    text = configuration(LEFT, RIGHT, child=START)
    plain = 'addresses = ["169.254.10.1/30"]\npeers = ["169.254.10.2"]\n'
    assert plain in text
    pair.left.start(text.replace(plain, VTI6))
    wait_until(pair.left.children, "the child is installed")
    assert ping(pair.left.namespace, LEFT, RIGHT)


def spis(gateway: Gateway) -> set[tuple[str, ...]]:
    """Of IKE_SAs and children."""
    return {
        (sa["spi_i"], sa["spi_r"], child["spi_in"], child["spi_out"])
        for sa in gateway.list_sas()
        for child in sa["children"]
    }


def state(namespace: Namespace) -> tuple[object, ...]:
    """MTU, addresses and routes of vti0, without what differs from device to device."""
    (link,) = json.loads(namespace.ip("-d", "-j", "addr", "show", "dev", "vti0"))
    addresses = [
        (one["local"], one.get("address"), one["prefixlen"])
        for one in link["addr_info"]
        if not one.get("dadfailed") and not one.get("tentative")
    ]
    routes = [namespace.ip(family, "route", "show", "dev", "vti0") for family in ("-4", "-6")]
    return link["mtu"], sorted(addresses), *(sorted(one.splitlines()) for one in routes)


def expect_traffic_within(left: Namespace, seconds: float = WITHIN) -> None:
    """A ping of either IP version gets through before so many seconds have passed."""
    end = time.monotonic() + seconds
    for version in (4, 6):
        while not ping(left, LEFT, RIGHT, "-W", "0.2", count=1, version=version):
            assert time.monotonic() < end, f"no traffic within {seconds} s"


CHANGES = {
    "down and up": ["link set vti0 down", "link set vti0 up"],
    "an IPv4 route": ["route del 10.2.0.0/24"],
    "an IPv6 route": ["-6 route del fd02::/64"],
    "all routes": ["route flush dev vti0", "-6 route flush dev vti0"],
    "a route replaced": ["route replace 10.2.0.0/24 via 192.0.2.99 dev eth0", "route del 10.2.0.0/24"],
    "an address": ["addr del 169.254.10.1 peer 169.254.10.2/30 dev vti0"],
    "all addresses": ["addr flush dev vti0"],
    "MTU": ["link set vti0 mtu 900"],
    "MTU above": ["link set vti0 mtu 9000"],
    "carrier": ["link set vti0 carrier off"],
    "deleted": ["link del vti0"],
    "renamed": [
        "link set vti0 down",
        "link set vti0 name other0",
        "link set other0 name vti0",
        "link set vti0 up",
    ],
}


@pytest.mark.parametrize("changes", CHANGES.values(), ids=CHANGES.keys())
def test_what_others_change_comes_back(pair: Pair, changes: list[str]) -> None:
    """With the same SAs, whatever it was, and more than once."""
    up(pair)
    left = pair.left.namespace
    before, sas = state(left), spis(pair.left)
    for _ in range(2):
        for change in changes:
            left.ip(*change.split())
        expect_traffic_within(left)
        wait_until(lambda: state(left) == before, "all is as it was", WITHIN)
        assert spis(pair.left) == sas
    lines = [line for line in pair.left.log().splitlines() if "by others" in line or "up again" in line]
    assert 1 <= len(lines) <= 4, lines
    assert "ERROR" not in pair.left.log()
    pair.left.ask("terminate", ike="tunnel", timeout=10)
    pair.left.ask("initiate", child="net", timeout=10)
    expect_traffic_within(left)


def test_who_takes_it_down_means_it(pair: Pair) -> None:
    """It stays down, which is said once, and the SAs stay."""
    up(pair)
    left, sas = pair.left.namespace, spis(pair.left)
    before = state(left)
    left.ip("link", "set", "vti0", "down")
    wait_until(lambda: "vti0 was taken down by others" in pair.left.log(), "it is noticed", WITHIN)
    left.ip("link", "set", "vti0", "mtu", "1300")
    time.sleep(1.0)
    assert "UP" not in device_flags(left, "vti0")
    assert pair.left.log().count("taken down by others") == 1
    assert "carrier" not in pair.left.log(), "nothing is said that contradicts that"
    assert spis(pair.left) == sas
    left.ip("link", "set", "vti0", "up")
    expect_traffic_within(left)
    wait_until(lambda: state(left) == before, "all is as it was", WITHIN)
    assert spis(pair.left) == sas


def test_another_program_that_goes_on_is_not_fought_without_end(pair: Pair) -> None:
    """Mended at once some times, then with pauses; told by one line; and mended in the end."""
    up(pair)
    left = pair.left.namespace
    assert pair.left.process is not None
    begin = cpu_seconds(pair.left.process.pid)
    end = time.monotonic() + 6
    while time.monotonic() < end:
        left.run("ip", "route", "del", "10.2.0.0/24", "dev", "vti0", check=False)
        time.sleep(0.05)
    assert cpu_seconds(pair.left.process.pid) - begin < 3
    lines = [line for line in pair.left.log().splitlines() if "by others" in line]
    assert sum("again and again" in line for line in lines) == 1
    assert len(lines) <= 12
    wait_until(lambda: "10.2.0.0/24" in left.ip("route", "show", "dev", "vti0"), "mended", 20)


def cpu_seconds(pid: int) -> float:
    fields = Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def test_a_device_whose_name_is_taken_is_made_when_it_is_free(pair: Pair) -> None:
    """Until then nothing is installed over nothing, whoever asks; afterwards the tunnel is set up anew."""
    up(pair)
    left = pair.left.namespace
    for change in (
        "link set vti0 down",
        "link set vti0 name away0",
        "link add vti0 type veth peer name taken0",
        "link del away0",
    ):
        left.ip(*change.split())
    wait_until(lambda: "can't be made again" in pair.left.log(), "it is noticed", WITHIN)
    wait_until(lambda: not pair.left.list_sas(), "its SAs are deleted", WITHIN)
    wait_until(lambda: not pair.right.list_sas(), "at the peer, too", WITHIN)
    told = found(pair.left, "tunnel", "device", "can't be made")
    assert told["severity"] == "error" and "vti0" in told["what"]
    with pytest.raises(AssertionError):
        pair.left.ask("initiate", child="net", timeout=3)
    with pytest.raises(AssertionError):
        pair.right.ask("initiate", child="net", timeout=3)
    assert not pair.left.children()
    pair.left.ask("terminate", ike="tunnel", timeout=3) if pair.left.list_sas() else None
    left.ip("link", "del", "vti0")
    expect_traffic_within(left)
    assert "Traceback" not in pair.left.log()


def test_a_route_of_somebody_elses_is_waited_for(pair: Pair) -> None:
    """It is no reason not to start, is not displaced, and told once."""
    left = pair.left.namespace
    left.ip("route", "add", "10.2.0.0/24", "via", "192.0.2.99")
    pair.right.start(configuration(RIGHT, LEFT))
    pair.left.start(configuration(LEFT, RIGHT, child=START))
    wait_until(pair.left.children, "the child is installed")
    time.sleep(1.5)
    assert "via 192.0.2.99" in left.ip("route", "show", "10.2.0.0/24")
    assert pair.left.log().count("10.2.0.0/24: there is one already, through eth0") == 1
    left.ip("route", "del", "10.2.0.0/24", "via", "192.0.2.99")
    expect_traffic_within(left)


def carried(gateway: Gateway) -> dict[str, int]:
    """Packets sent through each device."""
    return {child["device"]: child["out_packets"] for child in gateway.children()}


def test_one_tunnel_stands_in_for_another(pair: Pair) -> None:
    """Two tunnels to the same networks: when the first one's child goes, the second one carries on."""
    left, right = pair.left.namespace, pair.right.namespace
    left.ip("addr", "add", "192.0.2.11/24", "dev", "eth0")
    right.ip("addr", "add", "192.0.2.12/24", "dev", "eth0")
    ends = (
        replace(LEFT, identity="gwc", outer="192.0.2.11", vti="169.254.10.5"),
        replace(RIGHT, identity="gwd", outer="192.0.2.12", vti="169.254.10.6"),
    )
    routes = [f"routes = {json.dumps(one.networks)}\nmetric = 2000" for one in (RIGHT, LEFT)]
    second = [
        configuration(*pairing, name="second", device="vti1", child=child, vti=vti)
        for pairing, child, vti in (
            (ends, START, routes[0]),
            (ends[::-1], 'start_action = "none"', routes[1]),
        )
    ]
    pair.right.start(configuration(RIGHT, LEFT) + second[1])
    pair.left.start(configuration(LEFT, RIGHT, child=START) + second[0])
    wait_until(lambda: len(pair.left.children()) == 2, "both children are installed")
    expect_traffic_within(left)
    wait_until(lambda: carried(pair.left)["vti0"] >= 2, "the first one carries it")
    assert carried(pair.left)["vti1"] == 0
    wait_until(lambda: "dev vti1" in left.ip("route", "show", "10.2.0.0/24"), "the second one stands by")
    pair.left.ask("terminate", ike="tunnel", timeout=10)
    wait_until(lambda: len(pair.right.children()) == 1, "the peer knows")
    assert ping(left, LEFT, RIGHT), "at once"
    pair.left.ask("initiate", child="net", ike="tunnel", timeout=10)
    pair.left.ask("terminate", ike="second", timeout=10)
    wait_until(lambda: len(pair.right.children()) == 1, "the peer knows")
    assert ping(left, LEFT, RIGHT), "and back"


def test_an_uplink_with_another_mtu(pair: Pair) -> None:
    """The device's MTU follows that of the way to the peer."""
    up(pair)
    left = pair.left.namespace
    left.ip("link", "set", "eth0", "mtu", "1400")
    wait_until(lambda: state(left)[0] == 1346, "the MTU is what the way leaves", WITHIN)
    left.ip("link", "set", "eth0", "mtu", "1500")
    wait_until(lambda: state(left)[0] == 1446, "and again", WITHIN)


def test_a_worker_that_dies_while_its_device_is_deleted(pair: Pair) -> None:
    up(pair)
    left = pair.left.namespace
    time.sleep(1.0)  # a worker that dies at once is replaced a second later only
    left.ip("link", "del", "vti0")
    os.kill(pair.left.workers()[0], signal.SIGKILL)
    expect_traffic_within(left)


def test_a_device_that_was_moved_away_is_made_again(pair: Pair, make_namespace: MakeNamespace) -> None:
    """Into another network namespace, from where it can't be used."""
    up(pair)
    left, sas = pair.left.namespace, spis(pair.left)
    before = state(left)
    elsewhere = make_namespace("elsewhere")
    left.ip("link", "set", "vti0", "netns", elsewhere.name)
    expect_traffic_within(left)
    wait_until(lambda: state(left) == before, "all is as it was", WITHIN)
    assert spis(pair.left) == sas
    assert not device_flags(elsewhere, "vti0")
