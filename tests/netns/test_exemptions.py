"""Routes that a user leads into the tunnel and that cover the peer, with real daemons: traffic goes on."""

from __future__ import annotations

from dataclasses import replace

import pytest

from tests.netns.gateways import LEFT, RIGHT, Pair, configuration, ping
from tests.netns.namespaces import Namespace, wait_until
from tests.netns.test_addresses import expect_traffic_within, spis
from tests.netns.test_loops import drops, initiates

pytestmark = pytest.mark.root

FAR = {4: replace(RIGHT, outer="198.51.100.2"), 6: replace(RIGHT, outer="2001:db8:1::2")}
OUTER = {4: LEFT, 6: replace(LEFT, outer="2001:db8::1")}
GATEWAY = {4: "192.0.2.2", 6: "2001:db8::2"}
BITS = {4: 32, 6: 128}


def exempted(namespace: Namespace, version: int) -> str:
    """The exemptions and the rule that leads to them, as ip shows them; empty: neither is there."""
    routes = namespace.run("ip", f"-{version}", "route", "show", "table", "4500", check=False).stdout
    rules = [one for one in namespace.ip(f"-{version}", "rule").splitlines() if "lookup 4500" in one]
    return routes + "".join(rules)


def far_peer(pair: Pair, version: int) -> None:
    """The peer is behind the left one's default gateway."""
    pair.right.namespace.ip("addr", "add", f"{FAR[version].outer}/{BITS[version]}", "dev", "lo")
    pair.left.namespace.ip(f"-{version}", "route", "add", "default", "via", GATEWAY[version])
    pair.right.start(configuration(FAR[version], OUTER[version], remote="%any", connection="dpd_delay = 1"))


def up(pair: Pair, version: int) -> None:
    far_peer(pair, version)
    child = 'start_action = "start"'
    own, peer = OUTER[version], FAR[version]
    pair.left.start(configuration(own, peer, child=child, connection="dpd_delay = 1"))
    wait_until(pair.left.children, "the child is installed")
    assert ping(pair.left.namespace, LEFT, RIGHT)


@pytest.mark.parametrize("version", [4, 6])
@pytest.mark.parametrize("how", ["beside", "instead", "peer alone", "halves"])
def test_a_route_of_the_users_that_covers_the_peer(pair: Pair, version: int, how: str) -> None:
    """The default route into the tunnel, beside that through the uplink or in its place, or narrower ones."""
    up(pair, version)
    left, peer = pair.left.namespace, FAR[version].outer
    before = spis(pair.left)
    first = {4: "0.0.0.0/1", 6: "::/1"}[version]
    half = {4: "128.0.0.0/1", 6: first}[version]
    metric = {4: "0", 6: "512"}[version]
    arguments = {
        "beside": ["add", "default", "dev", "vti0", "metric", metric],
        "instead": ["replace", "default", "dev", "vti0"],
        "peer alone": ["add", f"{peer}/{BITS[version]}", "dev", "vti0"],
        "halves": ["add", half, "dev", "vti0"],
    }[how]
    if how == "beside" and version == 4:  # the uplink's as DHCP would have it
        left.ip("route", "add", "default", "via", GATEWAY[4], "metric", "100")
        left.ip("route", "del", "default", "via", GATEWAY[4], "metric", "0")
    left.ip(f"-{version}", "route", *arguments)
    wait_until(lambda: exempted(left, version), "the peer's address is exempted")
    expect_traffic_within(left)
    assert f"via {GATEWAY[version]} dev eth0" in left.ip("route", "get", peer)
    assert f"via {GATEWAY[version]} dev eth0" in exempted(left, version)
    assert ping(left, LEFT, RIGHT, count=20), "for longer than a liveness check takes"
    if how == "instead":
        left.ip(f"-{version}", "route", "replace", "default", "via", GATEWAY[version])
    else:
        left.ip(f"-{version}", "route", "del", *arguments[1:])
    wait_until(lambda: not exempted(left, version), "the exemption is ended")
    assert ping(left, LEFT, RIGHT)
    assert spis(pair.left) == before
    log = pair.left.log()
    assert log.count(f"covers the peer's own address {peer}") == 1, log
    assert log.count(f"{peer} is led into no tunnel any more") == 1, log
    assert ("(as before)" if how == "instead" else "(by the route to") in log


def test_the_exemption_follows_the_uplink_and_comes_back(pair: Pair) -> None:
    """Where the gateway changes, or others flush our table."""
    up(pair, 4)
    left, right = pair.left.namespace, pair.right.namespace
    left.ip("route", "add", "0.0.0.0/1", "dev", "vti0")
    left.ip("route", "add", "128.0.0.0/1", "dev", "vti0")
    wait_until(lambda: exempted(left, 4), "the peer's address is exempted")
    right.ip("addr", "add", "192.0.2.22/24", "dev", "eth0")
    left.ip("route", "replace", "default", "via", "192.0.2.22")
    wait_until(lambda: "via 192.0.2.22" in exempted(left, 4), "it goes through the new gateway")
    assert ping(left, LEFT, RIGHT)
    left.ip("route", "flush", "table", "4500")
    wait_until(lambda: "via 192.0.2.22" in exempted(left, 4), "it is there again")
    left.ip("rule", "del", "pref", "5")
    wait_until(lambda: "lookup 4500" in exempted(left, 4), "and so is the rule")
    assert ping(left, LEFT, RIGHT)
    pair.left.stop()
    assert not exempted(left, 4), "nothing is left behind"


def test_a_peer_on_our_own_link(pair: Pair) -> None:
    pair.right.start(configuration(RIGHT, LEFT, remote="%any"))
    pair.left.start(configuration(LEFT, RIGHT))
    left = pair.left.namespace
    left.ip("route", "add", "192.0.2.2/32", "dev", "vti0")
    wait_until(lambda: "192.0.2.2 dev eth0" in exempted(left, 4), "the peer's address is exempted")
    wait_until(lambda: initiates(pair), "the child is up", 5)
    assert ping(left, LEFT, RIGHT)


def test_a_killed_daemon_leaves_nothing_to_the_next(pair: Pair) -> None:
    up(pair, 4)
    left = pair.left.namespace
    left.ip("route", "replace", "default", "dev", "vti0")
    wait_until(lambda: exempted(left, 4), "the peer's address is exempted")
    pair.left.kill()
    left.ip("route", "add", "default", "via", GATEWAY[4])
    pair.left.start(configuration(LEFT, FAR[4]))
    assert not exempted(left, 4)
    wait_until(lambda: initiates(pair), "the child is up", 5)


@pytest.mark.parametrize("how", ["stopped", "killed"])
def test_nothing_stays_where_the_uplink_went_first(pair: Pair, how: str) -> None:
    """The kernel removes the exemption's route with it, but not the rule."""
    up(pair, 4)
    left = pair.left.namespace
    left.ip("route", "replace", "default", "dev", "vti0")
    wait_until(lambda: exempted(left, 4), "the peer's address is exempted")
    left.ip("link", "set", "eth0", "down")
    if how == "stopped":
        pair.left.stop()
    else:
        pair.left.kill()
    wait_until(lambda: not exempted(left, 4), "the rule is gone", 5)


def test_our_address_goes_and_comes_back_meanwhile(pair: Pair) -> None:
    """No route through the uplink but the last known one; the kernel takes our exemption with the address."""
    up(pair, 4)
    left = pair.left.namespace
    left.ip("route", "replace", "default", "dev", "vti0")
    wait_until(lambda: exempted(left, 4), "the peer's address is exempted")
    left.ip("addr", "del", "192.0.2.1/24", "dev", "eth0")
    left.ip("addr", "add", "192.0.2.1/24", "dev", "eth0")
    expect_traffic_within(left, 5)
    assert "loop" not in drops(pair) or drops(pair)["loop"] < 20


def test_a_network_of_the_devices_own_that_the_peer_is_in(pair: Pair) -> None:
    """The kernel makes the route to it, with the address."""
    far_peer(pair, 4)
    own, peer = replace(LEFT, vti="198.51.100.1"), replace(FAR[4], vti="198.51.100.2")
    pair.left.start(configuration(own, peer, child='start_action = "start"'))
    left = pair.left.namespace
    wait_until(lambda: exempted(left, 4), "the peer's address is exempted")
    wait_until(pair.left.children, "the child is installed")
    assert ping(left, LEFT, RIGHT)
