"""Routes that several devices share, in a real kernel: next hops come and go one by one (ip-route(8))."""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import ExitStack
from ipaddress import ip_address, ip_interface, ip_network

import pytest

from tests.netns.namespaces import Namespace
from tun import network
from tun.device import TunDevice
from tun.netlink import Network
from tun.network import Mended
from tun.state import SHARED_GATEWAY, AddRoute, DeviceState, Operation, RemoveRoute, Route, device_state

pytestmark = pytest.mark.root

V4, V6 = ip_network("10.2.0.0/24"), ip_network("fd02::/64")


@pytest.fixture
def devices(namespace: Namespace) -> Iterator[list[TunDevice]]:
    """vti0 to vti2, up, with an address each."""
    with ExitStack() as stack:
        found = []
        for number in range(3):
            tun = stack.enter_context(namespace.call(TunDevice.create, f"vti{number}", False))
            state = device_state(
                [ip_interface(f"10.1.0.{number + 1}/32"), ip_interface("fd00::1/128")], [], 1400
            )
            namespace.call(network.mend, tun, state, new=True)
            found.append(tun)
        yield found


class Kernel:
    """What is asked of the kernel for the devices, each with the others as its neighbours."""

    def __init__(self, namespace: Namespace, devices: list[TunDevice]) -> None:
        self._namespace = namespace
        self._devices = devices

    def perform(self, number: int, *operations: Operation, alone: bool = False) -> Mended:
        others = frozenset() if alone else frozenset(one.index for one in self._devices)
        state = DeviceState(1400, neighbours=others)
        return self._namespace.call(network.perform, self._devices[number], operations, state)

    def add(self, number: int, to: Network, *, source: str | None = None, alone: bool = False) -> Mended:
        return self.perform(number, AddRoute(_route(to, source)), alone=alone)

    def remove(self, number: int, to: Network) -> Mended:
        return self.perform(number, RemoveRoute(_route(to)))

    def hops(self, to: Network, *, key: str = "dev") -> list[str]:
        """A value of each next hop, or of the route, for all routes to a network."""
        family = "-6" if to.version == 6 else "-4"
        text = self._namespace.ip(family, "-j", "route", "show", str(to))
        routes = json.loads(text or "[]")
        return sorted(hop[key] for one in routes for hop in one.get("nexthops", [one]) if key in hop)


def _route(to: Network, source: str | None = None) -> Route:
    gateway = SHARED_GATEWAY if to.version == 6 else None
    return Route.of(to, gateway=gateway, source=ip_address(source) if source else None)


@pytest.mark.parametrize("to", [V4, V6], ids=str)
def test_next_hops_come_and_go_one_by_one(
    namespace: Namespace, devices: list[TunDevice], to: Network
) -> None:
    kernel = Kernel(namespace, devices)
    for number in (0, 1, 2):
        assert not kernel.add(number, to).refused
        assert not kernel.add(number, to).refused, "it may be repeated"
    assert kernel.hops(to) == ["vti0", "vti1", "vti2"]
    assert not kernel.remove(1, to).refused
    assert not kernel.remove(1, to).refused, "it may be repeated"
    assert kernel.hops(to) == ["vti0", "vti2"]
    assert not kernel.remove(0, to).refused
    assert kernel.hops(to) == ["vti2"]
    assert not kernel.remove(2, to).refused
    assert kernel.hops(to) == []


@pytest.mark.parametrize("to", [V4, V6], ids=str)
def test_somebody_elses_route_is_not_displaced(
    namespace: Namespace, devices: list[TunDevice], to: Network
) -> None:
    kernel = Kernel(namespace, devices)
    namespace.ip("link", "add", "other0", "type", "veth", "peer", "name", "other1")
    namespace.ip("link", "set", "other0", "up")
    namespace.ip("link", "set", "other1", "up")
    namespace.ip("route", "add", str(to), "dev", "other0", *(["metric", "1024"] if to.version == 6 else []))
    (refused,) = kernel.add(0, to).refused
    assert "there is one already, through other0" in str(refused.error)
    assert kernel.hops(to) == ["other0"]
    kernel.remove(0, to)
    assert kernel.hops(to) == ["other0"]


@pytest.mark.parametrize("to", [V4, V6], ids=str)
def test_a_device_of_ours_that_is_no_neighbour_keeps_its_route(
    namespace: Namespace, devices: list[TunDevice], to: Network
) -> None:
    kernel = Kernel(namespace, devices)
    kernel.add(0, to)
    assert kernel.add(1, to, alone=True).refused
    assert kernel.hops(to) == ["vti0"]


def test_an_ipv6_route_becomes_a_shared_one_and_back(namespace: Namespace, devices: list[TunDevice]) -> None:
    """Only routes with a gateway can be next hops of one; both stand for a moment."""
    kernel = Kernel(namespace, devices)
    single, shared = Route.of(V6), _route(V6)
    assert not kernel.perform(0, AddRoute(single)).refused
    assert not kernel.perform(1, AddRoute(shared)).refused
    assert not kernel.perform(0, AddRoute(shared), RemoveRoute(single)).refused
    assert kernel.hops(V6) == ["vti0", "vti1"]
    assert kernel.hops(V6, key="gateway") == [str(SHARED_GATEWAY)] * 2
    kernel.perform(1, RemoveRoute(shared))
    assert not kernel.perform(0, AddRoute(single), RemoveRoute(shared)).refused
    assert kernel.hops(V6) == ["vti0"]
    assert kernel.hops(V6, key="gateway") == []


@pytest.mark.parametrize(("to", "one", "other"), [(V4, "10.1.0.1", "10.1.0.2"), (V6, "fd00::1", "fd00::2")])
def test_the_source_address_changes_in_place(
    namespace: Namespace, devices: list[TunDevice], to: Network, one: str, other: str
) -> None:
    kernel = Kernel(namespace, devices)
    namespace.ip("addr", "add", "fd00::2/128", "dev", "lo", "nodad")
    kernel.add(0, to, source=one)
    assert kernel.hops(to, key="prefsrc") == [one]
    assert not kernel.add(0, to, source=other).refused
    assert kernel.hops(to, key="prefsrc") == [other]
    assert kernel.hops(to) == ["vti0"]


@pytest.mark.parametrize(("to", "source"), [(V4, "10.1.0.77"), (V6, "fd00::77")])
def test_a_source_address_that_this_host_lacks_is_named(
    namespace: Namespace, devices: list[TunDevice], to: Network, source: str
) -> None:
    (refused,) = Kernel(namespace, devices).add(0, to, source=source).refused
    assert f"is its source address {source} one of this host's?" in str(refused.error)


def test_a_next_hop_that_is_down_is_no_next_hop(namespace: Namespace, devices: list[TunDevice]) -> None:
    """The kernel keeps it in an IPv4 route, and uses it again once the device is up."""
    kernel = Kernel(namespace, devices)
    kernel.add(0, V4)
    kernel.add(1, V4)
    namespace.ip("link", "set", "vti1", "down")
    assert kernel.hops(V4) == ["vti0", "vti1"]
    kernel.remove(1, V4)
    assert kernel.hops(V4) == ["vti0"]
    kernel.perform(0, AddRoute(Route.of(V4)))
    namespace.ip("link", "set", "vti1", "up")
    assert kernel.hops(V4) == ["vti0"]
