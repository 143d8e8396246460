"""The peer's own address led into the tunnel, by a rule in front of our exemptions, with real daemons."""

from __future__ import annotations

import json
from dataclasses import replace

import pytest

from tests.netns.gateways import LEFT, RIGHT, Pair, configuration, ping
from tests.netns.namespaces import Namespace, wait_until
from tests.netns.test_addresses import expect_traffic_within, spis, up

pytestmark = pytest.mark.root


def drops(pair: Pair) -> dict[str, int]:
    """What the left gateway's workers dropped without an SA."""
    counted: dict[str, int] = {}
    for worker in pair.left.drops().values():
        for reason, count in worker.items():
            counted[reason] = counted.get(reason, 0) + count
    return counted


def sent(namespace: Namespace) -> int:
    """Packets that left through the uplink."""
    (link,) = json.loads(namespace.ip("-j", "-s", "link", "show", "dev", "eth0"))
    return int(link["stats64"]["tx"]["packets"])


@pytest.mark.parametrize("ipv6", [False, True], ids=["IPv4", "IPv6"])
@pytest.mark.parametrize("encap", ["", "encap = true"], ids=["native", "encap"])
def test_a_loop_is_broken_and_ends_with_its_route(pair: Pair, ipv6: bool, encap: str) -> None:
    """Selectors 0/0: each sealed packet would be sealed again, for ever. Liveness checks go on."""
    up(pair, f"dpd_delay = 1\n{encap}", ipv6=ipv6)
    left, peer = pair.left.namespace, "2001:db8::2/128" if ipv6 else "192.0.2.2/32"
    before = spis(pair.left)
    lead_inside(left, peer)
    begin = sent(left)
    assert not ping(left, LEFT, RIGHT, "-W", "0.2", count=20)
    wait_until(lambda: drops(pair).get("loop", 0) >= 20, "what loops is counted")
    assert drops(pair)["loop"] < 60
    wait_until(lambda: "the routes lead" in pair.left.log(), "it is told")
    assert sent(left) - begin < 20, "but for neighbour discovery nothing leaves"
    lead_inside(left, peer, "del")
    expect_traffic_within(left)
    assert spis(pair.left) == before


def test_everything_through_the_tunnel_but_its_own_packets(pair: Pair) -> None:
    """`routes = ["0.0.0.0/0"]`, and the peer is behind the default gateway, before and after that changes."""
    left, right = pair.left.namespace, pair.right.namespace
    far = replace(RIGHT, outer="198.51.100.2")
    for address in (f"{far.outer}/32", "203.0.113.7/32"):
        right.ip("addr", "add", address, "dev", "lo")
    left.ip("route", "add", "default", "via", "192.0.2.2")
    pair.right.start(configuration(far, LEFT, remote="%any"))
    pair.left.start(configuration(LEFT, far, child='start_action = "start"', vti='routes = ["0.0.0.0/0"]'))
    wait_until(pair.left.children, "the child is installed")
    assert ping(left, LEFT, RIGHT)
    for gateway in ("192.0.2.2", "192.0.2.22"):
        right.ip("addr", "replace", f"{gateway}/24", "dev", "eth0")
        left.ip("route", "replace", "default", "via", gateway)
        assert f"via {gateway} dev eth0" in left.ip("route", "get", far.outer)
        assert "dev vti0" in left.ip("route", "get", "203.0.113.7")
        assert "dev eth0" in left.ip("route", "get", "192.0.2.3"), "a neighbour"
        left.run("ping", "-c", "1", "-W", "2", "-I", "10.1.0.1", "203.0.113.7")
        expect_traffic_within(left)
    assert "loop" not in drops(pair)


def lead_inside(namespace: Namespace, peer: str, action: str = "add") -> None:
    """Or no longer (`action` "del")."""
    version = "-6" if ":" in peer else "-4"
    namespace.ip(version, "route", action, peer, "dev", "vti0", "table", "7")
    namespace.ip(version, "rule", action, "to", peer, "lookup", "7", "pref", "1")


def initiates(pair: Pair) -> bool:
    """Whether the left one brings its child up."""
    try:
        pair.left.ask("initiate", ike="tunnel", child="net", timeout=3)
    except AssertionError:
        return False
    return True


def test_no_set_up_through_our_own_tunnel(pair: Pair) -> None:
    """The device is there before the SA, and the route before that; once it is gone the peer is reached."""
    pair.right.start(configuration(RIGHT, LEFT, remote="%any"))
    pair.left.start(configuration(LEFT, RIGHT))
    left = pair.left.namespace
    lead_inside(left, "192.0.2.2/32")
    assert not initiates(pair)
    wait_until(lambda: "the routes lead 192.0.2.2 into vti0" in pair.left.log(), "the log says so")
    lead_inside(left, "192.0.2.2/32", "del")
    wait_until(lambda: initiates(pair), "the child is up", 5)
    assert ping(left, LEFT, RIGHT)
