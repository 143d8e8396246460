"""Two real daemons while uplinks and addresses go and come: traffic again within 3 s (RFC 4555)."""

from __future__ import annotations

import time
from dataclasses import replace
from pathlib import Path

import pytest

from tests.netns.gateways import LEFT, RIGHT, Gateway, Pair, configuration, ping
from tests.netns.namespaces import Namespace, connect, wait_until

pytestmark = pytest.mark.root

START = 'start_action = "start"'
WITHIN = 3.0  # seconds
OTHER = "192.0.2.11"
ANYWHERE = 'local_addrs = ["%any"]'


def roaming(text: str) -> str:
    """The configuration with any local address."""
    return text.replace('local_addrs = ["192.0.2.1"]', ANYWHERE)


def up(pair: Pair, connection: str = "", *, ipv6: bool = False, any_address: bool = False) -> None:
    """Both daemons run, the left one has initiated, the child is installed, and packets go through."""
    left, right = LEFT, RIGHT
    if ipv6:
        left, right = replace(LEFT, outer="2001:db8::1"), replace(RIGHT, outer="2001:db8::2")
    pair.right.start(configuration(right, left, remote="%any", connection=connection))
    config = configuration(left, right, child=START, connection=connection)
    pair.left.start(roaming(config) if any_address else config)
    wait_until(pair.left.children, "the child is installed")
    assert ping(pair.left.namespace, LEFT, RIGHT)


def spis(gateway: Gateway) -> set[tuple[str, ...]]:
    """Of IKE_SAs and children."""
    return {
        (sa["spi_i"], sa["spi_r"], child["spi_in"], child["spi_out"])
        for sa in gateway.list_sas()
        for child in sa["children"]
    }


def expect_traffic_within(left: Namespace, seconds: float = WITHIN) -> None:
    """A ping gets through before so many seconds have passed."""
    begin = time.monotonic()
    while not ping(left, LEFT, RIGHT, "-W", "0.2", count=1):
        assert time.monotonic() - begin < seconds, f"no traffic within {seconds} s"
    assert time.monotonic() - begin < seconds


@pytest.mark.parametrize("ipv6", [False, True], ids=["IPv4", "IPv6"])
@pytest.mark.parametrize("encap", ["", "encap = true"], ids=["native", "encap"])
def test_an_uplink_goes_and_comes_back(pair: Pair, ipv6: bool, encap: str) -> None:
    """Nothing is set up anew. The kernel takes IPv6 addresses off a device that is down."""
    up(pair, f"dpd_delay = 1\n{encap}", ipv6=ipv6)
    left = pair.left.namespace
    before = spis(pair.left)
    left.ip("link", "set", "eth0", "down")
    time.sleep(2.5)  # a liveness check is under way
    assert not ping(left, LEFT, RIGHT, "-W", "0.2", count=1)
    left.ip("link", "set", "eth0", "up")
    if ipv6:
        left.ip("addr", "add", "2001:db8::1/64", "dev", "eth0", "nodad")
    expect_traffic_within(left)
    assert spis(pair.left) == before


def test_the_cable_is_pulled(pair: Pair) -> None:
    """No carrier: the address stays, and the liveness check goes on at once when the cable is back."""
    up(pair, "dpd_delay = 1")
    before = spis(pair.left)
    pair.right.namespace.ip("link", "set", "eth0", "down")
    wait_until(lambda: "is gone, and there is no other" in pair.left.log(), "it is noticed", 10)
    time.sleep(2.0)
    pair.right.namespace.ip("link", "set", "eth0", "up")
    expect_traffic_within(pair.left.namespace)
    wait_until(lambda: "is back" in pair.left.log(), "it is noticed", 10)
    assert spis(pair.left) == before


@pytest.mark.parametrize("encap", ["", "encap = true"], ids=["native", "encap"])
def test_an_address_is_replaced(pair: Pair, encap: str) -> None:
    """`%any` follows: UPDATE_SA_ADDRESSES from an address that had no socket before."""
    up(pair, encap, any_address=True)
    left = pair.left.namespace
    before = spis(pair.left)
    left.ip("addr", "add", f"{OTHER}/24", "dev", "eth0")
    left.ip("addr", "del", "192.0.2.1/24", "dev", "eth0")
    left.ip("addr", "replace", f"{OTHER}/24", "dev", "eth0")
    expect_traffic_within(left)
    assert spis(pair.left) == before
    (sa,) = pair.right.list_sas()
    assert sa["remote"] == f"{OTHER}[4500]"


def test_the_responders_address_is_replaced(pair: Pair) -> None:
    """It tells its other addresses in IKE_AUTH, and from where it is when it has moved."""
    right = pair.right.namespace
    right.ip("addr", "add", "192.0.2.12/24", "dev", "eth0")
    pair.right.start(configuration(RIGHT, LEFT, remote="%any").replace('["192.0.2.2"]', '["%any"]'))
    pair.left.start(configuration(LEFT, RIGHT, child=START))
    wait_until(pair.left.children, "the child is installed")
    before = spis(pair.left)
    right.ip("addr", "del", "192.0.2.2/24", "dev", "eth0")
    right.ip("addr", "replace", "192.0.2.12/24", "dev", "eth0")
    expect_traffic_within(pair.left.namespace)
    assert spis(pair.left) == before
    (sa,) = pair.left.list_sas()
    assert sa["remote"] == "192.0.2.12[4500]"


def test_a_second_uplink_takes_over(pair: Pair) -> None:
    """The first one loses its link; its address is still there, but of no use."""
    left, right = pair.left.namespace, pair.right.namespace
    connect(left, right, "eth1", "eth1", ["198.51.100.1/24"], ["198.51.100.2/24"])
    left.ip("route", "add", "192.0.2.2/32", "via", "198.51.100.2", "metric", "100")
    up(pair, any_address=True)
    before = spis(pair.left)
    left.ip("link", "set", "eth0", "down")
    expect_traffic_within(left)
    assert spis(pair.left) == before
    (sa,) = pair.right.list_sas()
    assert sa["remote"] == "198.51.100.1[4500]"


def test_without_mobike_it_is_set_up_anew(pair: Pair) -> None:
    up(pair, "mobike = false", any_address=True)
    left = pair.left.namespace
    before = spis(pair.left)
    left.ip("addr", "add", f"{OTHER}/24", "dev", "eth0")
    left.ip("addr", "del", "192.0.2.1/24", "dev", "eth0")
    left.ip("addr", "replace", f"{OTHER}/24", "dev", "eth0")
    expect_traffic_within(left)
    assert spis(pair.left) != before
    (sa,) = pair.right.list_sas()
    assert sa["remote"].startswith(OTHER), "the old one went with INITIAL_CONTACT"


def test_an_address_that_comes_after_the_start(pair: Pair) -> None:
    """The daemon starts before the uplink has an address, and sets up once it has one."""
    left = pair.left.namespace
    left.ip("addr", "flush", "dev", "eth0")
    pair.right.start(configuration(RIGHT, LEFT, remote="%any"))
    pair.left.start(roaming(configuration(LEFT, RIGHT, child=START)))
    time.sleep(0.5)
    assert not pair.left.list_sas()
    left.ip("addr", "add", "192.0.2.1/24", "dev", "eth0")
    wait_until(pair.left.children, "the child is installed", WITHIN)
    expect_traffic_within(left)


def test_sockets_are_not_leaked(pair: Pair) -> None:
    """An address that comes and goes often costs one set of sockets."""
    up(pair, any_address=True)
    left = pair.left.namespace
    left.ip("addr", "add", f"{OTHER}/24", "dev", "eth0")
    wait_until(lambda: f"listening on {OTHER}" in pair.left.log(), "it is listened on")
    assert pair.left.process is not None
    descriptors = Path(f"/proc/{pair.left.process.pid}/fd")
    count = len(list(descriptors.iterdir()))
    for _ in range(5):
        for word in ("del", "add"):
            left.ip("addr", word, f"{OTHER}/24", "dev", "eth0")
            time.sleep(0.15)
    time.sleep(0.7)
    assert len(list(descriptors.iterdir())) == count
