"""Addresses and routes against a real kernel, each function also from within a running event loop."""

from __future__ import annotations

import asyncio
import socket
import sys
from collections.abc import Callable, Iterator
from ipaddress import ip_address, ip_interface, ip_network
from pathlib import Path
from typing import Protocol, TypeVar

import pytest

from tests.netns.kernel import add_route, configure, remove_route, set_mtu
from tests.netns.namespaces import MakeNamespace, Namespace, connect
from tun.device import TunDevice
from tun.netlink import RouteError
from tun.network import (
    best_route,
    end_exemption,
    end_exemptions,
    exempt,
    local_addresses,
    outlet,
    source_address,
    uplink_mtu,
)
from tun.rtnetlink import BestRoute, Hop

pytestmark = pytest.mark.root

Result = TypeVar("Result")


class Call(Protocol):
    """Calls a function inside the namespace."""

    def __call__(self, function: Callable[..., Result], *args: object) -> Result: ...


@pytest.fixture(params=["plain", "in a running event loop"])
def call(request: pytest.FixtureRequest, namespace: Namespace) -> Call:
    def within_loop(function: Callable[..., Result], *args: object) -> Result:
        async def run() -> Result:
            return function(*args)

        return asyncio.run(run())

    def plain(function: Callable[..., Result], *args: object) -> Result:
        return namespace.call(function, *args)

    def looped(function: Callable[..., Result], *args: object) -> Result:
        return namespace.call(within_loop, function, *args)

    return plain if request.param == "plain" else looped


@pytest.fixture
def vti(namespace: Namespace) -> Iterator[TunDevice]:
    """vti0, as it is made."""
    with namespace.call(TunDevice.create, "vti0", False) as device:
        yield device


@pytest.fixture
def up(vti: TunDevice, namespace: Namespace) -> TunDevice:
    """vti0, up and with an address of each family."""
    addresses = [ip_interface("169.254.10.1/30"), ip_interface("fd00::1/126")]
    namespace.call(configure, "vti0", addresses, [], 1400, None)
    return vti


@pytest.mark.usefixtures("vti")
def test_configure(namespace: Namespace, call: Call) -> None:
    addresses = [ip_interface(one) for one in ("169.254.10.1/30", "10.5.0.1/24", "fd00::1/126", "fd05::1/64")]
    peers = [ip_address(one) for one in ("169.254.10.2", "fd00::2")]
    call(configure, "vti0", addresses, peers, 1390, None)
    shown = namespace.ip("addr", "show", "vti0")
    assert ",UP," in shown
    assert "mtu 1390" in shown
    assert "inet 169.254.10.1 peer 169.254.10.2/30 scope global" in shown
    assert "inet 10.5.0.1/24 scope global" in shown
    assert "inet6 fd00::1 peer fd00::2/126 scope global" in shown
    assert "inet6 fd05::1/64 scope global" in shown
    assert "fe80:" not in shown
    assert "tentative" not in shown
    assert "addrgenmode none" in namespace.ip("-d", "link", "show", "vti0")
    assert namespace.run("cat", "/proc/sys/net/ipv6/conf/vti0/accept_ra").stdout == "0\n"
    assert "169.254.10.0/30 dev vti0" in namespace.ip("route")
    assert namespace.ip("route", "get", "169.254.10.2").startswith("169.254.10.2 dev vti0 src 169.254.10.1")
    assert "dev vti0" in namespace.ip("route", "get", "fd00::2")


@pytest.mark.usefixtures("vti")
def test_configure_again(namespace: Namespace, call: Call) -> None:
    addresses, peers = [ip_interface("10.0.0.1/32"), ip_interface("fd00::1/64")], [ip_address("10.9.9.9")]
    call(configure, "vti0", addresses, peers, 1400, None)
    before = namespace.ip("addr", "show", "vti0")
    call(configure, "vti0", addresses, peers, 1400, None)
    assert namespace.ip("addr", "show", "vti0") == before
    assert "inet 10.0.0.1 peer 10.9.9.9/32" in before


@pytest.mark.usefixtures("vti")
def test_peers_without_an_address(namespace: Namespace, call: Call) -> None:
    call(configure, "vti0", [], [ip_address("10.9.9.9"), ip_address("fd09::9")], 1400, 77)
    assert "10.9.9.9 dev vti0" in namespace.ip("route", "show", "table", "77")
    assert "fd09::9 dev vti0" in namespace.ip("-6", "route", "show", "table", "77")


@pytest.mark.usefixtures("vti")
def test_small_mtu_without_ipv6(namespace: Namespace, call: Call) -> None:
    call(configure, "vti0", [ip_interface("169.254.10.1/30")], [], 600, None)
    assert "mtu 600" in namespace.ip("link", "show", "vti0")
    call(add_route, "vti0", ip_network("10.2.0.0/24"), None)
    with pytest.raises(RouteError, match=r"to fd02::/64: the device has no IPv6; is its MTU below 1280\?"):
        call(add_route, "vti0", ip_network("fd02::/64"), None)


@pytest.mark.usefixtures("vti")
def test_ipv6_under_its_minimum_mtu(call: Call) -> None:
    with pytest.raises(RouteError, match=r"vti0: MTU 1279: IPv6 needs at least 1280"):
        call(configure, "vti0", [ip_interface("fd00::1/64")], [], 1279, None)


@pytest.mark.usefixtures("vti")
def test_ipv6_switched_off(namespace: Namespace, call: Call) -> None:
    namespace.run("sysctl", "-w", "net.ipv6.conf.all.disable_ipv6=1")
    call(configure, "vti0", [ip_interface("169.254.10.1/30")], [], 1400, None)
    with pytest.raises(RouteError, match=r"cannot add the address fd00::1/64: IPv6 is switched off"):
        call(configure, "vti0", [ip_interface("fd00::1/64")], [], 1400, None)
    with pytest.raises(RouteError, match=r"cannot add the route to fd02::/64: IPv6 is switched off"):
        call(add_route, "vti0", ip_network("fd02::/64"), None)


@pytest.mark.usefixtures("up")
def test_set_mtu(namespace: Namespace, call: Call) -> None:
    call(set_mtu, "vti0", 1322)
    assert "mtu 1322" in namespace.ip("link", "show", "vti0")
    with pytest.raises(RouteError, match="vti0: cannot set MTU 67"):
        call(set_mtu, "vti0", 67)


@pytest.mark.usefixtures("vti")
def test_mtu_raised_over_the_minimum_of_ipv6(namespace: Namespace, call: Call) -> None:
    """Then IPv6 comes to the device anew, and still no address by itself."""
    call(configure, "vti0", [ip_interface("169.254.10.1/30")], [], 1000, None)
    call(set_mtu, "vti0", 1400)
    assert "inet6" not in namespace.ip("addr", "show", "vti0")
    assert "addrgenmode none" in namespace.ip("-d", "link", "show", "vti0")


def test_no_such_device(call: Call) -> None:
    for function, args in (
        (configure, ([], [], 1400, None)),
        (set_mtu, (1400,)),
        (add_route, (ip_network("10.2.0.0/24"), None)),
    ):
        with pytest.raises(RouteError, match="vti9: there is no such device"):
            call(function, "vti9", *args)


ROUTES = [
    ("10.2.0.0/24", None, None),
    ("10.2.0.7/32", None, None),
    ("0.0.0.0/0", None, None),
    ("10.2.0.0/24", 200, None),
    ("10.2.0.0/24", 123456, 50),
    ("fd02::/64", None, None),
    ("fd02::7/128", None, None),
    ("::/0", None, None),
    ("fd02::/64", 200, None),
    ("fd02::/64", 123456, 50),
    ("fd02::/64", None, 0),
]


@pytest.mark.usefixtures("up")
@pytest.mark.parametrize(("network", "table", "metric"), ROUTES)
def test_routes(
    namespace: Namespace, call: Call, network: str, table: int | None, metric: int | None
) -> None:
    family, shown = "-6" if ":" in network else "-4", network.removesuffix("/32").removesuffix("/128")
    shown = "default" if network.endswith("/0") else shown

    def found() -> list[str]:
        lines = namespace.run("ip", family, "route", "show", "table", str(table or 254), check=False).stdout
        return [line for line in lines.splitlines() if line.split()[0] == shown]

    call(add_route, "vti0", ip_network(network), table, metric)
    (line,) = found()
    assert f"{shown} dev vti0 proto static" in line
    assert not metric or f"metric {metric}" in line
    call(add_route, "vti0", ip_network(network), table, metric)
    assert found() == [line]
    call(remove_route, "vti0", ip_network(network), table, metric)
    assert found() == []
    call(remove_route, "vti0", ip_network(network), table, metric)


@pytest.mark.usefixtures("up")
@pytest.mark.parametrize("network", ["10.2.0.0/24", "0.0.0.0/0", "fd02::/64", "::/0"])
def test_route_of_somebody_else(namespace: Namespace, call: Call, network: str) -> None:
    """It is neither displaced by ours nor removed with it."""
    family = "-6" if ":" in network else "-4"
    namespace.ip("link", "add", "br0", "up", "type", "bridge")
    namespace.ip(family, "route", "add", network, "dev", "br0")
    before = namespace.ip(family, "route")
    with pytest.raises(RouteError, match=f"the route to {network}: there is one already, through br0"):
        call(add_route, "vti0", ip_network(network), None)
    call(remove_route, "vti0", ip_network(network), None)
    assert namespace.ip(family, "route") == before
    call(add_route, "vti0", ip_network(network), None, 7)
    call(remove_route, "vti0", ip_network(network), None, 7)
    assert namespace.ip(family, "route") == before


@pytest.mark.usefixtures("up")
@pytest.mark.parametrize("network", ["10.2.0.0/24", "fd02::/64"])
def test_ours_of_another_metric_is_another_route(namespace: Namespace, call: Call, network: str) -> None:
    namespace.ip("link", "add", "br0", "up", "type", "bridge")
    namespace.ip("-6" if ":" in network else "-4", "route", "add", network, "dev", "br0")
    call(add_route, "vti0", ip_network(network), None, 50)
    with pytest.raises(RouteError, match="there is one already, through br0"):
        call(add_route, "vti0", ip_network(network), None)


@pytest.mark.usefixtures("up")
def test_blackhole_of_somebody_else(namespace: Namespace, call: Call) -> None:
    namespace.ip("route", "add", "blackhole", "10.2.0.0/24", "table", "99")
    with pytest.raises(RouteError, match=r"to 10.2.0.0/24 in table 99: there is one already"):
        call(add_route, "vti0", ip_network("10.2.0.0/24"), 99)


@pytest.mark.usefixtures("vti")
def test_device_is_down(call: Call) -> None:
    with pytest.raises(RouteError, match=r"vti0: cannot add the route to 10.2.0.0/24: the device is down"):
        call(add_route, "vti0", ip_network("10.2.0.0/24"), None)


def test_uplink(make_namespace: MakeNamespace, namespace: Namespace, call: Call) -> None:
    isp = make_namespace("isp")
    connect(namespace, isp, "eth0", "eth0", ["192.0.2.1/24", "2001:db8::1/64"], ["192.0.2.9/24"], mtu=1492)
    connect(namespace, isp, "eth1", "eth1", ["198.51.100.1/24"], ["198.51.100.9/24"], mtu=9000)
    namespace.ip("route", "add", "default", "via", "192.0.2.9")
    namespace.ip("-6", "route", "add", "default", "via", "2001:db8::9", "dev", "eth0")
    namespace.ip("route", "add", "203.0.113.0/24", "via", "192.0.2.9", "mtu", "1300")
    namespace.ip("-6", "route", "add", "2001:db8:1::/48", "via", "2001:db8::9", "mtu", "1310")
    namespace.ip("rule", "add", "from", "198.51.100.1", "table", "7")
    namespace.ip("route", "add", "default", "via", "198.51.100.9", "table", "7")

    ways = [
        ("192.0.2.9", None, 1492, "192.0.2.1"),
        ("10.1.1.1", None, 1492, "192.0.2.1"),
        ("10.1.1.1", "198.51.100.1", 9000, "192.0.2.1"),
        ("198.51.100.9", None, 9000, "198.51.100.1"),
        ("203.0.113.1", None, 1300, "192.0.2.1"),
        ("203.0.113.1", "192.0.2.1", 1300, "192.0.2.1"),
        ("2001:db8:7::1", None, 1492, "2001:db8::1"),
        ("2001:db8:7::1", "2001:db8::1", 1492, "2001:db8::1"),
        ("2001:db8:1::1", None, 1310, "2001:db8::1"),
        ("127.0.0.1", None, 65536, "127.0.0.1"),
        ("192.0.2.1", None, 65536, "192.0.2.1"),
    ]
    for remote, local, mtu, source in ways:
        found = call(uplink_mtu, ip_address(remote), ip_address(local) if local else None)
        assert found == mtu, (remote, local)
        assert call(source_address, ip_address(remote)) == ip_address(source), remote

    namespace.run("sysctl", "-w", "net.ipv6.conf.eth0.mtu=1400")  # as a router advertisement would
    assert call(uplink_mtu, ip_address("2001:db8:7::1"), None) == 1400
    assert call(uplink_mtu, ip_address("10.1.1.1"), None) == 1492


def test_learned_path_mtu_is_not_the_uplinks(
    make_namespace: MakeNamespace, namespace: Namespace, call: Call
) -> None:
    isp, far = make_namespace("isp"), make_namespace("far")
    connect(namespace, isp, "eth0", "eth0", ["192.0.2.1/24"], ["192.0.2.9/24"])
    connect(isp, far, "eth1", "eth0", ["198.51.100.9/24"], ["198.51.100.2/24"], mtu=1280)
    namespace.ip("route", "add", "default", "via", "192.0.2.9")
    isp.run("sysctl", "-w", "net.ipv4.ip_forward=1")
    namespace.run("ping", "-c1", "-W1", "-Mdo", "-s1400", "198.51.100.2", check=False)
    assert "mtu 1280" in namespace.ip("route", "get", "198.51.100.2")
    assert call(uplink_mtu, ip_address("198.51.100.2"), None) == 1500


def test_no_way(namespace: Namespace, call: Call) -> None:
    for remote in ("192.0.2.1", "2001:db8::1"):
        with pytest.raises(RouteError, match=f"no way to {remote}: the network is unreachable"):
            call(uplink_mtu, ip_address(remote), None)
        with pytest.raises(RouteError, match=f"no way to {remote}: the network is unreachable"):
            call(source_address, ip_address(remote))
    namespace.ip("route", "add", "unreachable", "192.0.2.0/24")
    with pytest.raises(RouteError, match=r"no way to 192.0.2.1: the host is unreachable"):
        call(source_address, ip_address("192.0.2.1"))
    with pytest.raises(RouteError, match=r"no way to 127.0.0.1 from 10.9.9.9: "):
        call(uplink_mtu, ip_address("127.0.0.1"), ip_address("10.9.9.9"))


@pytest.mark.usefixtures("up")
def test_local_addresses(make_namespace: MakeNamespace, namespace: Namespace, call: Call) -> None:
    connect(
        namespace,
        make_namespace("far"),
        *("eth0", "eth0"),
        ["192.0.2.1/24", "192.0.2.2/24", "2001:db8::1/64", "192.0.2.1/25"],
    )
    namespace.ip("addr", "add", "10.0.0.1", "peer", "10.0.0.2", "dev", "eth0")
    namespace.ip("addr", "add", "fd07::1", "peer", "fd07::2", "dev", "eth0", "nodad")
    namespace.ip("link", "add", "br0", "up", "type", "bridge")
    namespace.ip("addr", "add", "fd08::1/64", "dev", "br0")  # tentative: the bridge has no port
    found = call(local_addresses)
    assert len(found) == len(set(found))
    assert set(map(str, found)) == {
        *("127.0.0.1", "::1", "192.0.2.1", "192.0.2.2", "2001:db8::1", "10.0.0.1", "fd07::1", "fd00::1"),
    }


def test_callers_namespace_is_asked(make_namespace: MakeNamespace) -> None:
    """In a running loop too, where each conversation has a thread of its own."""

    async def ask() -> list[str]:
        return [str(one) for one in local_addresses() if not one.is_loopback]

    for address in ("192.0.2.1", "192.0.2.2"):
        namespace = make_namespace("one")
        namespace.ip("addr", "add", address, "dev", "lo")
        assert namespace.call(lambda: asyncio.run(ask())) == [address]


def test_no_permission(namespace: Namespace, vti: TunDevice) -> None:
    work = "from tests.netns.kernel import set_mtu; set_mtu('vti0', 1300)"
    script = f"import sys; sys.path[:0] = sys.argv[1:]; {work}"
    done = namespace.run(
        *("setpriv", "--bounding-set=-net_admin", sys.executable, "-c", script, *sys.path), check=False
    )
    assert f"RouteError: {vti.name}: cannot set MTU 1300: no permission: this needs root" in done.stderr


def test_descriptors_are_not_left_open(namespace: Namespace, up: TunDevice, call: Call) -> None:
    def work() -> None:
        for _ in range(3):
            add_route(up.name, ip_network("10.2.0.0/24"), None)
            remove_route(up.name, ip_network("10.2.0.0/24"), None)
            local_addresses()
            with pytest.raises(RouteError):
                uplink_mtu(ip_address("192.0.2.1"))
            with pytest.raises(RouteError):
                source_address(ip_address("192.0.2.1"))

    call(work)
    before = len(list(Path("/proc/self/fd").iterdir()))
    call(work)
    assert len(list(Path("/proc/self/fd").iterdir())) == before


def test_the_best_route_to_an_address(namespace: Namespace) -> None:
    namespace.ip("link", "add", "up0", "type", "veth", "peer", "name", "up1")
    namespace.ip("link", "set", "up1", "up")
    namespace.ip("addr", "add", "192.0.2.1/24", "dev", "up0")
    namespace.ip("link", "set", "up0", "up")
    namespace.ip("route", "add", "198.51.100.0/24", "via", "192.0.2.254")
    index = namespace.call(socket.if_nametoindex, "up0")
    found = {
        address: namespace.call(best_route, ip_address(address))
        for address in ("192.0.2.7", "198.51.100.7", "203.0.113.7")
    }
    assert found == {
        "192.0.2.7": BestRoute(
            ip_network("192.0.2.0/24"), index, True, 0, (Hop(index),), ip_address("192.0.2.1")
        ),
        "198.51.100.7": BestRoute(
            ip_network("198.51.100.0/24"), index, False, 0, (Hop(index, ip_address("192.0.2.254")),)
        ),
        "203.0.113.7": None,
    }
    namespace.ip("route", "add", "default", "via", "192.0.2.254")
    assert namespace.call(best_route, ip_address("203.0.113.7")) == BestRoute(
        ip_network("0.0.0.0/0"), index, False, 0, (Hop(index, ip_address("192.0.2.254")),)
    )
    assert namespace.call(outlet, ip_address("203.0.113.7"), ip_address("192.0.2.1")) == "up0"
    assert namespace.call(outlet, ip_address("2001:db8::7"), ip_address("2001:db8::1")) is None


@pytest.mark.parametrize("version", [4, 6])
@pytest.mark.parametrize("how", ["it alone", "all", "the last of two"])
def test_an_exemption_whose_route_the_kernel_has_removed(
    namespace: Namespace, version: int, how: str
) -> None:
    """With the uplink it goes; the rule, which the kernel leaves, goes when exemptions are ended."""
    namespace.ip("link", "add", "up0", "type", "veth", "peer", "name", "up1")
    namespace.ip("link", "set", "up1", "up")
    namespace.ip("addr", "add", {4: "192.0.2.1/24", 6: "2001:db8::1/64"}[version], "dev", "up0")
    namespace.ip("link", "set", "up0", "up")
    device = namespace.call(socket.if_nametoindex, "up0")
    peer, other, gateway = map(
        ip_address,
        {
            4: ("198.51.100.7", "198.51.100.8", "192.0.2.254"),
            6: ("2001:db8:1::7", "2001:db8:1::8", "2001:db8::2"),
        }[version],
    )

    def rules() -> bool:
        return "lookup 4500" in namespace.ip(f"-{version}", "rule")

    namespace.call(exempt, peer, Hop(device, gateway), None)
    if how == "the last of two":
        namespace.call(exempt, other, Hop(device, gateway), None)
    assert rules()
    namespace.ip("link", "set", "up0", "down")
    assert not namespace.ip(f"-{version}", "route", "show", "table", "4500")
    if how == "all":
        namespace.call(end_exemptions)
    else:
        namespace.call(end_exemption, peer)
    assert not rules()


def test_an_exemption_is_ended_beside_another_one(namespace: Namespace) -> None:
    namespace.ip("link", "add", "up0", "type", "veth", "peer", "name", "up1")
    namespace.ip("addr", "add", "192.0.2.1/24", "dev", "up0")
    for name in ("up0", "up1"):
        namespace.ip("link", "set", name, "up")
    hop = Hop(namespace.call(socket.if_nametoindex, "up0"), ip_address("192.0.2.254"))
    for address in ("198.51.100.7", "198.51.100.8"):
        namespace.call(exempt, ip_address(address), hop, None)
    namespace.call(end_exemption, ip_address("198.51.100.7"))
    assert "lookup 4500" in namespace.ip("rule")
    assert namespace.ip("route", "show", "table", "4500").split()[0] == "198.51.100.8"
    namespace.call(end_exemption, ip_address("198.51.100.8"))
    assert "lookup 4500" not in namespace.ip("rule")
