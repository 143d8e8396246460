"""Two real daemons while others change their devices: traffic again within 3 s, and a line that says it."""

from __future__ import annotations

import json
import time

import pytest

from tests.netns.gateways import LEFT, RIGHT, Gateway, Pair, configuration, ping
from tests.netns.namespaces import Namespace, wait_until

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
