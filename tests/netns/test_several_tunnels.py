"""Two tunnels to one network between real daemons: one stands by, or both carry flows (ECMP)."""

from __future__ import annotations

import json
import re
from dataclasses import replace

import pytest

from tests.netns.gateways import LEFT, RIGHT, Pair, Side, configuration, host
from tests.netns.namespaces import Namespace, connect, wait_until

pytestmark = pytest.mark.root

LEFT2 = replace(LEFT, identity="gwc", outer="198.51.100.1", vti="169.254.20.1")
RIGHT2 = replace(RIGHT, identity="gwd", outer="198.51.100.2", vti="169.254.20.2")
START = 'start_action = "start"'
HOSTS = [f"10.2.0.{number}" for number in range(1, 13)]
HOSTS6 = [f"fd02::{number:x}" for number in range(1, 13)]


def two_tunnels(own: tuple[Side, Side], peer: tuple[Side, Side], metrics: tuple[int, int], child: str) -> str:
    """By "first" over vti0 and "second" over vti1."""
    found = ""
    for number, name in enumerate(("first", "second")):
        vti = f"routes = {json.dumps(peer[number].networks)}\nmetric = {metrics[number]}"
        device = f"vti{number}"
        found += configuration(own[number], peer[number], name=name, device=device, child=child, vti=vti)
    return found


def start(pair: Pair, metrics: tuple[int, int]) -> None:
    left, right = pair.left.namespace, pair.right.namespace
    connect(left, right, "eth1", "eth1", ["198.51.100.1/24"], ["198.51.100.2/24"])
    for address in (*HOSTS[1:], *HOSTS6[1:]):
        nodad = ["nodad"] if ":" in address else []
        right.ip("addr", "add", f"{address}/{128 if nodad else 32}", "dev", "lo", *nodad)
    pair.right.start(two_tunnels((RIGHT, RIGHT2), (LEFT, LEFT2), metrics, 'start_action = "none"'))
    pair.left.start(two_tunnels((LEFT, LEFT2), (RIGHT, RIGHT2), metrics, START))
    wait_until(lambda: len(pair.left.children()) == len(pair.right.children()) == 2, "both are up")


def sent(namespace: Namespace) -> tuple[int, int]:
    """Packets that were sent into vti0 and vti1."""
    found = []
    for name in ("vti0", "vti1"):
        (link,) = json.loads(namespace.ip("-s", "-j", "link", "show", "dev", name))
        found.append(link["stats64"]["tx"]["packets"])
    return found[0], found[1]


def hops(namespace: Namespace, network: str) -> list[str]:
    family = "-6" if ":" in network else "-4"
    routes = json.loads(namespace.ip(family, "-j", "route", "show", network) or "[]")
    return sorted(hop["dev"] for one in routes for hop in one.get("nexthops", [one]))


def ping_each(left: Namespace) -> bool:
    """Whether each of the peer's hosts answers."""
    for version, hosts in ((0, HOSTS), (1, HOSTS6)):
        for each in hosts:
            command = ["ping", "-n", "-q", "-c", "1", "-W", "1", "-I", host(LEFT.networks[version]), each]
            if " 1 received" not in left.run(*command, check=False).stdout:
                return False
    return True


class Flow:
    """Pings a hundred times a second until it is asked how many were lost."""

    def __init__(self, left: Namespace, count: int) -> None:
        self._count = count
        command = ["ping", "-n", "-i", "0.01", "-W", "2", "-c", str(count)]
        self._process = left.start(*command, "-I", host(LEFT.networks[0]), host(RIGHT.networks[0]))
        assert self._process.stdout is not None
        while "icmp_seq=" not in self._process.stdout.readline():
            pass

    def lost(self) -> list[int]:
        """The numbers that did not come back. ping waits for the last one's reply twice the RTT only, so that
        this one does not count."""
        assert self._process.stdout is not None
        output = self._process.stdout.read()  # `communicate` misses lines that were read ahead
        came = {1, *(int(number) for number in re.findall(r"icmp_seq=(\d+) ttl", output))}
        return [number for number in range(1, self._count) if number not in came]


def test_the_better_one_takes_over_and_gives_way_and_nothing_is_lost_when_it_returns(pair: Pair) -> None:
    start(pair, (10, 20))
    left = pair.left.namespace
    assert ping_each(left)
    assert sent(left)[1] == 0, "the second stands by"
    pair.left.ask("terminate", ike="first", timeout=10)
    wait_until(lambda: hops(left, "10.2.0.0/24") == ["vti1"], "the second has the route")
    wait_until(lambda: hops(pair.right.namespace, "10.1.0.0/24") == ["vti1"], "and at the peer")
    before = sent(left)
    flow = Flow(left, 250)
    pair.left.ask("initiate", child="net", ike="first", timeout=10)
    wait_until(lambda: sent(left)[0] > before[0], "the first carries it again")
    assert flow.lost() == []
    assert sent(left)[1] > before[1], "the second carried it before"
    assert hops(left, "10.2.0.0/24") == hops(left, "fd02::/64") == ["vti0", "vti1"]
    assert "10.2.0.0/24 leads into vti1 now" in pair.left.log()


def test_both_carry_flows_and_one_alone_carries_all(pair: Pair) -> None:
    start(pair, (10, 10))
    left = pair.left.namespace
    both = ["vti0", "vti1"]

    def shared() -> bool:
        return hops(left, "10.2.0.0/24") == hops(left, "fd02::/64") == both

    wait_until(shared, "both devices are next hops")
    before = sent(left)
    assert ping_each(left)
    first, second = sent(left)
    assert first > before[0]
    assert second > before[1]

    pair.left.ask("terminate", ike="second", timeout=10)
    wait_until(lambda: hops(left, "10.2.0.0/24") == hops(left, "fd02::/64") == ["vti0"], "it has left")
    wait_until(lambda: hops(pair.right.namespace, "fd01::/64") == ["vti0"], "and at the peer")
    assert ping_each(left)
    pair.left.ask("initiate", child="net", ike="second", timeout=10)
    wait_until(shared, "it is back")

    left.ip("link", "del", "vti0")  # the kernel removes the IPv4 route of both with it
    wait_until(lambda: shared() and ping_each(left), "all is as it was")
    left.ip("route", "del", "10.2.0.0/24")
    left.ip("-6", "route", "flush", "fd02::/64")
    wait_until(lambda: shared() and ping_each(left), "all is as it was again")
    left.ip("link", "set", "vti1", "down")
    wait_until(lambda: hops(left, "10.2.0.0/24") == hops(left, "fd02::/64") == ["vti0"], "it has left")
    left.ip("link", "set", "vti1", "up")
    wait_until(lambda: shared() and ping_each(left), "all is as it was once more")
    assert "ERROR" not in pair.left.log()


def test_metrics_tables_and_sources_change_while_it_runs(pair: Pair) -> None:
    def text(vti: str) -> str:
        return configuration(LEFT, RIGHT, child=START, vti=vti)

    pair.right.start(configuration(RIGHT, LEFT))
    pair.left.start(text('routes = ["10.2.0.0/24", "fd02::/64"]'))
    left = pair.left.namespace
    wait_until(pair.left.children, "the child is installed")
    own = host(LEFT.networks[0])
    flow = Flow(left, 200)
    first, *_ = pair.left.list_sas()
    routes = f'["10.2.0.0/24 metric 7 src {own}", {{ to = "10.9.0.0/24", table = 100 }}, "fd02::/64"]'
    pair.left.reload(text(f"routes = {routes}\nmetric = 9"))
    (found,) = json.loads(left.ip("-j", "route", "show", "10.2.0.0/24"))
    assert (found["dev"], found["metric"], found["prefsrc"]) == ("vti0", 7, own)
    (found,) = json.loads(left.ip("-j", "route", "show", "table", "100"))
    assert (found["dst"], found["dev"], found["metric"]) == ("10.9.0.0/24", "vti0", 9)
    (found,) = json.loads(left.ip("-6", "-j", "route", "show", "fd02::/64"))
    assert found["metric"] == 9
    left.ip("route", "replace", "10.2.0.0/24", "dev", "vti0", "metric", "7")  # without the source
    wait_until(lambda: own in left.ip("route", "show", "10.2.0.0/24"), "the source is back")
    left.ip("addr", "del", host(LEFT.networks[0], with_prefix=True), "dev", "lo")
    wait_until(lambda: "src" not in left.ip("route", "show", "10.2.0.0/24"), "the kernel removes the route")
    left.ip("addr", "add", host(LEFT.networks[0], with_prefix=True), "dev", "lo")
    wait_until(lambda: own in left.ip("route", "show", "10.2.0.0/24"), "it is back with its source", 20)
    flow.lost()
    (after,) = pair.left.list_sas()
    assert after["spi_i"] == first["spi_i"]
