"""What an IKE_SA gives a real device beside the configuration comes, is held, and goes (RFC 7296 3.15)."""

from __future__ import annotations

from collections.abc import Iterator
from ipaddress import ip_interface, ip_network

import pytest

from ikepy.daemon.device.devices import DeviceTable
from ikepy.sa.api.network_settings import NO_SETTINGS, NetworkSettings
from tests.netns.namespaces import Namespace
from tests.unit.daemon.fakes import config
from tun import network
from tun.device import TunDevice

pytestmark = pytest.mark.root

NAME = "vti0"
CONFIGURED = {
    "name": NAME,
    "addresses": ["169.254.10.1/30", "fd0a::1/126"],
    "peers": ["169.254.10.2", "fd0a::2"],
    "routes": ["10.9.0.0/16", "fd09::/32"],
    "mtu": 1400,
}
SETTINGS = NetworkSettings(
    (ip_interface("10.7.0.5/24"), ip_interface("fd07::5/64")),
    (ip_network("10.8.0.0/16"), ip_network("fd08::/32")),
)


@pytest.fixture(params=[True, False], ids=["beside the configuration's", "alone"])
def devices(request: pytest.FixtureRequest, namespace: Namespace) -> Iterator[DeviceTable]:
    """One device, in its namespace."""
    settings = CONFIGURED if request.param else {"name": NAME, "mtu": 1400, "routes": ["10.9.0.0/16"]}
    table = DeviceTable(config(settings), 1, lambda name: TunDevice.create(name, False), network)
    namespace.call(table.open)
    yield table
    namespace.call(table.close)


def state(namespace: Namespace) -> tuple[set[str], set[str]]:
    """The addresses and the routes of the device, without what the kernel adds by itself."""
    addresses = {
        line.split()[1]
        for line in namespace.ip("addr", "show", NAME).splitlines()
        if line.split()[0] in ("inet", "inet6")
    }
    routes = {
        line.split()[0]
        for family in ("-4", "-6")
        for line in namespace.ip(family, "route", "show", "dev", NAME).splitlines()
        if "proto kernel" not in line
    }
    return addresses, routes


def test_they_come_and_go_on_a_real_device(devices: DeviceTable, namespace: Namespace) -> None:
    before = state(namespace)
    assert "10.9.0.0/16" in before[1]
    namespace.call(devices.set_network, "a", 7, SETTINGS)
    addresses, routes = state(namespace)
    assert addresses - before[0] == {"10.7.0.5/24", "fd07::5/64"}
    assert routes - before[1] == {"10.8.0.0/16", "fd08::/32"}
    namespace.ip("addr", "del", "10.7.0.5/24", "dev", NAME)
    namespace.ip("-6", "route", "del", "fd08::/32", "dev", NAME)
    namespace.call(devices.mend, devices.of("a"))
    assert state(namespace) == (addresses, routes)
    namespace.call(devices.set_network, "a", 7, NO_SETTINGS)
    assert state(namespace) == before
    assert namespace.call(devices.mend, devices.of("a")).done == ()


def test_one_of_two_addresses_of_a_network_goes(devices: DeviceTable, namespace: Namespace) -> None:
    """The kernel takes the other one with it, which came later."""
    before = state(namespace)
    for ike_id, last in ((7, 5), (8, 6)):
        settings = NetworkSettings((ip_interface(f"10.7.0.{last}/24"),))
        namespace.call(devices.set_network, "a", ike_id, settings)
    namespace.call(devices.set_network, "a", 7, NO_SETTINGS)
    addresses, routes = state(namespace)
    assert addresses - before[0] == {"10.7.0.6/24"}
    assert routes == before[1]


def test_somebody_elses_address_stays(devices: DeviceTable, namespace: Namespace) -> None:
    namespace.ip("addr", "add", "10.99.0.1/32", "dev", NAME)
    namespace.call(devices.set_network, "a", 7, SETTINGS)
    namespace.call(devices.set_network, "a", 7, NO_SETTINGS)
    namespace.call(devices.mend, devices.of("a"))
    assert "10.99.0.1/32" in state(namespace)[0]
