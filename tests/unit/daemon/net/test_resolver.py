"""Which addresses a new IKE_SA runs between."""

from __future__ import annotations

from ipaddress import ip_address

import pytest

from ikepy.daemon.net.resolver import Resolver
from ikepy.daemon.net.route_check import RouteCheck
from tests.unit.daemon.fakes import FakeNetwork, config

HERE = ["198.51.100.7", "198.51.100.8", "2001:db8::7"]


@pytest.mark.parametrize(
    ("local", "remote", "hint", "chosen"),
    [
        (["192.0.2.1"], ["192.0.2.2"], None, ("192.0.2.1", "192.0.2.2")),
        (["192.0.2.1", "192.0.2.5"], ["192.0.2.2"], "192.0.2.5", ("192.0.2.5", "192.0.2.2")),
        (["192.0.2.1"], ["192.0.2.2"], "192.0.2.5", ("192.0.2.1", "192.0.2.2")),
        (["%any"], ["192.0.2.2"], None, ("198.51.100.7", "192.0.2.2")),
        (["%any"], ["192.0.2.2"], "198.51.100.8", ("198.51.100.8", "192.0.2.2")),
        (["%any"], ["2001:db8::1"], "198.51.100.8", ("2001:db8::7", "2001:db8::1")),
        (["198.51.100.8/32"], ["192.0.2.2"], None, ("198.51.100.8", "192.0.2.2")),
        (["203.0.113.0/24"], ["192.0.2.2"], None, "none of our addresses is in local_addrs"),
        (["192.0.2.1"], ["2001:db8::1", "192.0.2.2"], None, ("192.0.2.1", "192.0.2.2")),
        (["2001:db8::5"], ["192.0.2.2"], None, "local_addrs holds no IPv4 address for 192.0.2.2"),
        (["192.0.2.1"], ["%any"], None, "remote_addrs holds no address to initiate to"),
        (["192.0.2.1"], ["192.0.2.0/24", "192.0.2.9"], None, ("192.0.2.1", "192.0.2.9")),
    ],
)
def test_choice(local: list[str], remote: list[str], hint: str | None, chosen: tuple[str, str] | str) -> None:
    network = FakeNetwork()
    network.addresses = [ip_address(one) for one in HERE]
    connection = config(local_addrs=local, remote_addrs=remote).connections["a"]
    resolver = Resolver(network, RouteCheck(network, lambda: ["vti0"]))
    found = resolver.resolve(connection, ip_address(hint) if hint else None)
    if isinstance(chosen, str):
        assert isinstance(found, str)
        assert found.startswith(chosen)
    else:
        assert found == tuple(map(ip_address, chosen))


def test_no_way_to_the_peer_is_no_address() -> None:
    network = FakeNetwork()
    network.addresses = [ip_address("2001:db8::7")]
    connection = config(local_addrs=["%any"]).connections["a"]
    found = Resolver(network, RouteCheck(network, lambda: ["vti0"])).resolve(connection, None)
    assert found == "no way to 192.0.2.2: the network is unreachable"


def test_a_peer_behind_our_own_tunnel_is_not_gone_to() -> None:
    network = FakeNetwork()
    first, second = ip_address("192.0.2.2"), ip_address("198.51.100.2")
    network.outlets[first] = "vti0"
    connection = config(local_addrs=["192.0.2.1"], remote_addrs=[str(first), str(second)]).connections["a"]
    route_check = RouteCheck(network, lambda: ["vti0"])
    assert Resolver(network, route_check).resolve(connection, None) == (ip_address("192.0.2.1"), second)
    network.outlets[second] = "vti0"
    route_check.forget()
    assert "vti0" in str(Resolver(network, route_check).resolve(connection, None))
