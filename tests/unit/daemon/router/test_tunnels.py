"""Which tunnels carry IPv6, and whether that is enough to announce."""

from __future__ import annotations

from ipaddress import ip_network

import pytest

from esp.packet.selectors import Selector
from ikepy.config.model import Config
from ikepy.config.router_advertisement import RouterAdvertisement
from ikepy.config.toml_source import parse
from ikepy.daemon.device.absent import AbsentTun
from ikepy.daemon.device.vti_device import VtiDevice
from ikepy.daemon.router.tunnels import tunnels
from tests.unit.config.example import minimal
from tun.state import Route

V4, V6 = Selector.of(ip_network("0.0.0.0/0")), Selector.of(ip_network("::/0"))
FAR = ip_network("fd02::/64")
BOTH = 'local_ts = ["0.0.0.0/0", "::/0"]\nremote_ts = ["0.0.0.0/0", "::/0"]'
ANY = RouterAdvertisement(name="vxeth0")
ALL = RouterAdvertisement(name="vxeth0", require="all")


@pytest.fixture(scope="module")
def config() -> Config:
    """The connections a and b may carry IPv6, c may not."""
    old = minimal(child='local_ts = "10.0.0.0/8"\nremote_ts = "10.0.0.0/8"', name="c", rest="")
    return parse(minimal(child=BOTH) + minimal(child=BOTH, name="b", rest="") + old)


class Devices:
    """Those of a configuration."""

    def __init__(self, config: Config) -> None:
        self.by_name = {
            name: VtiDevice(number, one, 0, AbsentTun(one.vti.name), 1400, trap=False)
            for number, (name, one) in enumerate(config.connections.items(), 1)
        }

    def find(self, connection: str) -> VtiDevice | None:
        return self.by_name.get(connection)

    def up(self, connection: str, *selectors: Selector, routes: frozenset[Route] = frozenset()) -> VtiDevice:
        device = self.by_name[connection]
        device.users[1], device.negotiated[1], device.asked[1] = routes, selectors, routes
        return device


def test_by_default_all_that_may_carry_ipv6(config: Config) -> None:
    devices = Devices(config)
    found = tunnels(ANY, config, devices)
    assert (found.needed, found.up) == (("a", "b"), ())
    assert not found.suffice(ANY)
    devices.up("a", V4, V6)
    found = tunnels(ANY, config, devices)
    assert found.up == ("a",)
    assert found.suffice(ANY) and not found.suffice(ALL)
    devices.up("b", V6)
    assert tunnels(ALL, config, devices).suffice(ALL)


def test_a_child_for_ipv4_alone_is_not_enough(config: Config) -> None:
    devices = Devices(config)
    devices.up("a", V4)
    assert tunnels(ANY, config, devices).up == ()


@pytest.mark.parametrize("lack", ["down", "gone", "leaving", "unserved"])
def test_a_device_that_carries_nothing_is_not_up(config: Config, lack: str) -> None:
    devices = Devices(config)
    setattr(devices.up("a", V6), lack, True)
    assert tunnels(ANY, config, devices).up == ()


def test_named_connections_alone_count(config: Config) -> None:
    settings = RouterAdvertisement(name="vxeth0", connections=["b", "by-vici"], require="all")
    devices = Devices(config)
    devices.up("a", V6)
    assert not tunnels(settings, config, devices).suffice(settings)
    devices.up("b", V6)
    found = tunnels(settings, config, devices)
    assert found.up == ("b",) and not found.suffice(settings)  # the other one may come


def test_without_connections_nothing_is_enough() -> None:
    found = tunnels(ALL, Config(), Devices(Config()))
    assert not found.suffice(ALL)


def test_far_networks_are_those_of_tunnels_that_are_up(config: Config) -> None:
    devices = Devices(config)
    devices.up("a", V6, routes=frozenset({Route.of(FAR), Route.of(ip_network("10.0.0.0/8"))}))
    devices.by_name["b"].permanent = frozenset({Route.of(ip_network("fd03::/64"))})
    found = tunnels(ANY, config, devices)
    assert found.far == {FAR}
    assert found.all_far == {FAR, ip_network("fd03::/64")}
