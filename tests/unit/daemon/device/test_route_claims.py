"""Which of our devices have the route to a network that several of them want."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import replace
from ipaddress import ip_address, ip_network

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ikepy.config.model import Config
from ikepy.daemon.device.route_claims import MOST_NEXT_HOPS, Claim, as_shared, granted
from ikepy.daemon.device.vti_device import VtiDevice
from ikepy.daemon.interfaces import Mended, Operation, Tun
from tests.unit.daemon.device.test_devices import Bed
from tests.unit.daemon.fakes import NETS, PATH, SUITE, FakeNetwork, connection
from tun.state import SHARED_GATEWAY, DeviceState, Route

LIVE, DEAD = Claim(0, True, False), Claim(0, False, False)
HOLDS, DEAD_HOLDS = Claim(0, True, True), Claim(0, False, True)
BEST, SECOND = Claim(10, True, False), Claim(20, True, False)
BEST_DEAD, SECOND_DEAD = Claim(10, False, True), Claim(20, False, True)


@pytest.mark.parametrize(
    ("claims", "expected"),
    [
        ([LIVE], [True]),
        ([DEAD], [True]),
        ([LIVE, LIVE], [True, True]),
        ([LIVE, HOLDS], [True, True]),
        ([DEAD, LIVE], [False, True]),
        ([DEAD_HOLDS, LIVE], [False, True]),
        ([DEAD, DEAD_HOLDS], [True, True]),
        ([BEST, SECOND], [True, True]),
        ([BEST_DEAD, SECOND], [False, True]),
        ([BEST, SECOND_DEAD], [True, False]),
        ([BEST_DEAD, SECOND_DEAD], [True, True]),
        ([LIVE] * (MOST_NEXT_HOPS + 1), [True] * MOST_NEXT_HOPS + [False]),
        ([LIVE] + [HOLDS] * MOST_NEXT_HOPS, [False] + [True] * MOST_NEXT_HOPS),
    ],
)
def test_who_has_it(claims: list[Claim], expected: list[bool]) -> None:
    assert granted(claims) == expected


@given(st.lists(st.builds(Claim, st.integers(0, 2), st.booleans(), st.booleans()), min_size=1, max_size=40))
def test_it_leads_somewhere_and_to_the_living_and_into_few_of_a_metric(claims: list[Claim]) -> None:
    given_to = [claim for claim, has in zip(claims, granted(claims), strict=True) if has]
    assert given_to
    assert all(claim.live for claim in given_to) or not any(claim.live for claim in claims)
    for metric in {claim.metric for claim in given_to}:
        able = [c for c in claims if c.metric == metric and c.live == given_to[0].live]
        assert sum(c.metric == metric for c in given_to) >= min(len(able), MOST_NEXT_HOPS)
        assert sum(c.metric == metric for c in given_to) <= MOST_NEXT_HOPS


V4, V6 = Route.of(ip_network("10.2.0.0/24")), Route.of(ip_network("fd02::/64"))
ONE, OTHER = ip_address("10.1.0.1"), ip_address("10.1.0.2")


@pytest.mark.parametrize(
    ("routes", "expected"),
    [
        ([V4], [V4]),
        ([V6], [V6]),
        ([V4, V4], [V4, V4]),
        ([V6, V6], [replace(V6, gateway=SHARED_GATEWAY)] * 2),
        ([V6, replace(V6, metric=5)], [V6, replace(V6, metric=5)]),
        ([replace(V4, source=ONE)] * 2, [replace(V4, source=ONE)] * 2),
        ([replace(V4, source=ONE), replace(V4, source=OTHER)], [V4, V4]),
        ([replace(V4, source=ONE), V4], [V4, V4]),
    ],
)
def test_what_the_kernel_can_have_together(routes: list[Route], expected: list[Route]) -> None:
    assert as_shared(routes) == expected


def two(**vti: object) -> Bed:
    """Connections "a" and "b" to the same networks; `vti` is b's."""
    connections = {"a": connection("a"), "b": connection("b", vti)}
    return Bed(Config.model_validate({"connections": connections}))


def networks(bed: Bed) -> tuple[set[str], set[str]]:
    return bed.network.routes["vti-a"], bed.network.routes["vti-b"]


BOTH = {"10.2.0.0/24", "fd02::/64"}


def up(bed: Bed, child_id: int, name: str) -> None:
    bed.devices.child_up(child_id, name, NETS, PATH, False, SUITE)


def test_two_of_one_metric_share_it_and_each_has_it_alone_without_the_other() -> None:
    with two() as bed:
        up(bed, 1, "a")
        assert bed.network.table["vti-a"] == {V4, V6}
        up(bed, 2, "b")
        shared = {V4, replace(V6, gateway=SHARED_GATEWAY)}
        assert bed.network.table == {"vti-a": shared, "vti-b": shared}
        bed.devices.child_down(1, "a")
        assert bed.network.table == {"vti-a": set(), "vti-b": {V4, V6}}
        up(bed, 3, "a")
        assert bed.network.table == {"vti-a": shared, "vti-b": shared}


def test_with_another_metric_both_stand() -> None:
    with two(metric=20) as bed:
        up(bed, 1, "a")
        up(bed, 2, "b")
        assert networks(bed) == (BOTH, BOTH)
        assert {route.metric for route in bed.network.table["vti-b"]} == {20}
        assert {route.gateway for route in bed.network.table["vti-b"]} == {None}


def test_configured_routes_follow_those_that_carry() -> None:
    """And none of them goes while nothing does: packets would leave by another way, in the clear."""
    route = {"routes": ["10.2.0.0/24"]}
    connections = {"a": connection("a", route), "b": connection("b", route)}
    with Bed(Config.model_validate({"connections": connections})) as bed:
        one = {"10.2.0.0/24"}
        assert networks(bed) == (one, one)
        up(bed, 1, "b")
        assert networks(bed) == (set(), one)
        up(bed, 2, "a")
        assert networks(bed) == (one, one)
        bed.devices.child_down(1, "b")
        assert networks(bed) == (one, set())
        bed.devices.child_down(2, "a")
        assert networks(bed) == (one, one)


def test_a_device_that_was_taken_down_carries_nothing() -> None:
    """Nor is it a next hop that the kernel would use again when it is up."""
    with two() as bed:
        up(bed, 1, "a")
        up(bed, 2, "b")
        bed.devices.taken_down(bed.devices.of("a"), True)
        assert networks(bed) == (set(), BOTH)
        bed.devices.taken_down(bed.devices.of("a"), False)
        assert networks(bed) == (BOTH, BOTH)


def test_the_other_one_has_it_when_the_kernels_device_is_lost() -> None:
    with two() as bed:
        up(bed, 1, "a")
        up(bed, 2, "b")
        bed.network.table["vti-a"].clear()  # by the kernel
        bed.devices.lost(bed.devices.of("a"))
        assert bed.network.table["vti-b"] == {V4, replace(V6, gateway=SHARED_GATEWAY)}
        bed.tuns.clear()
        bed.devices.make_again(bed.devices.of("a"))
        assert networks(bed) == (BOTH, BOTH)


def test_a_removed_device_leaves_the_shared_routes_first() -> None:
    """The kernel would remove an IPv4 route of several next hops with one of its devices."""
    with two() as bed:
        up(bed, 1, "a")
        up(bed, 2, "b")
        bed.devices.remove(bed.devices.of("b"))
        assert bed.network.table["vti-b"] == set()
        assert bed.network.table["vti-a"] == {V4, V6}


ROUTES = [
    "10.3.0.0/24",
    {"to": "10.4.0.0/24", "metric": 50, "table": 100, "src": "10.1.0.9"},
    "fd04::/64 table 7",
]


def test_each_configured_route_has_its_own_table_metric_and_source() -> None:
    vti = {"name": "vti-a", "routes": ROUTES, "metric": 30, "src": ["10.1.0.1"]}
    with Bed(Config.model_validate({"connections": {"a": connection("a", vti)}})) as bed:
        assert bed.network.table["vti-a"] == {
            Route.of(ip_network("10.3.0.0/24"), metric=30, source=ip_address("10.1.0.1")),
            Route.of(ip_network("10.4.0.0/24"), 100, 50, source=ip_address("10.1.0.9")),
            Route.of(ip_network("fd04::/64"), 7, 30),
        }


class Watched(FakeNetwork):
    """Asserts after each operation that something leads to the network, whoever it is."""

    def __init__(self, watched: str) -> None:
        super().__init__()
        self.watched = watched
        self.begun = False  # or begun again: a device that is down has no routes

    def perform(self, tun: Tun, operations: Sequence[Operation], desired: DeviceState) -> Mended:
        done: list[Operation] = []
        for operation in operations:
            done += super().perform(tun, [operation], desired).done
            if self.begun:
                assert any(self.watched in one for one in self.routes.values()), operation
        return Mended(tuple(done))


NAMES = "abcd"
EVENTS = st.lists(
    st.tuples(st.sampled_from(NAMES), st.sampled_from(["up", "child", "taken down", "leaving", "metric"])),
    max_size=30,
)


@given(metrics=st.lists(st.sampled_from([10, 20]), min_size=4, max_size=4), events=EVENTS)
def test_whatever_happens_the_network_is_led_into_those_that_carry(
    metrics: list[int], events: list[tuple[str, str]]
) -> None:
    def one(name: str, metric: int) -> dict[str, object]:
        return connection(name, {"routes": ["fd02::/64", "10.2.0.0/24"], "metric": metric})

    bed = Bed(Config.model_validate({"connections": dict(zip(NAMES, map(one, NAMES, metrics), strict=True))}))
    bed.network = watched = Watched("10.2.0.0/24")
    bed.devices = type(bed.devices)(bed.config, 1, bed.make, watched)
    with bed:
        watched.begun = True
        for name, what in events:
            device = bed.devices.of(name)
            match what:
                case "up" if not device.users:
                    up(bed, ord(name), name)
                case "child" if device.users:
                    bed.devices.child_down(ord(name), name)
                case "taken down":
                    if device.down:
                        bed.devices.mend(device)
                    else:
                        bed.network.table[device.name].clear()  # by the kernel
                    bed.devices.taken_down(device, not device.down)
                    watched.begun = not all(one.down for one in bed.devices)
                case "leaving":
                    bed.devices.leave(device, not device.leaving)
                case "metric":
                    other = one(name, 30 - (device.connection.vti.metric or 0))
                    changed = Config.model_validate({"connections": {name: other}})
                    bed.devices.reconfigure(device, changed.connections[name])
            _expect_those_that_carry(bed, list(bed.devices))


def _expect_those_that_carry(bed: Bed, devices: Iterable[VtiDevice]) -> None:
    able = [one for one in devices if one.live] or list(devices)
    for device in devices:
        metric = device.connection.vti.metric
        there = {(str(one.network), one.metric) for one in bed.network.table[device.name]}
        expected = {("10.2.0.0/24", metric), ("fd02::/64", metric)} if device in able else set()
        assert there == expected or device.down, (device.name, there)
        shared = sum(one.connection.vti.metric == metric for one in devices) > 1
        gateways = {one.gateway for one in bed.network.table[device.name] if one.network.version == 6}
        assert gateways <= {SHARED_GATEWAY if shared else None}


def settle(bed: Bed, name: str) -> None:
    device = bed.devices.of(name)
    bed.devices.settled(device, device.rises)


def test_who_comes_up_takes_traffic_over_once_its_peer_can_receive_it() -> None:
    """At once if no other one can carry it: also if that one goes meanwhile."""
    with two() as bed:
        bed.devices.settle_later = lambda device, rise: None
        up(bed, 1, "a")
        assert networks(bed) == (BOTH, set())
        settle(bed, "a")
        up(bed, 2, "b")
        assert networks(bed) == (BOTH, set())
        bed.devices.child_down(1, "a")
        assert networks(bed) == (set(), BOTH)
        up(bed, 3, "a")
        assert networks(bed) == (set(), BOTH), "neither is settled, but one carries it"
        settle(bed, "b")
        assert networks(bed) == (set(), BOTH)
        settle(bed, "a")
        assert networks(bed) == (BOTH, BOTH)


def test_the_time_of_who_comes_up_again_begins_anew() -> None:
    """What was planned when it came up first has no effect: its peer may not have the second child."""
    with two() as bed:
        later: list[tuple[VtiDevice, int]] = []
        bed.devices.settle_later = lambda device, rise: later.append((device, rise))
        up(bed, 1, "b")
        up(bed, 2, "a")
        bed.devices.settled(*later[0])
        bed.devices.child_down(2, "a")
        up(bed, 3, "a")
        bed.devices.settled(*later[1])
        assert networks(bed) == (set(), BOTH)
        bed.devices.settled(*later[2])
        assert networks(bed) == (BOTH, BOTH)
