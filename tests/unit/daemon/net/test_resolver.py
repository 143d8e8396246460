"""Which addresses a new IKE_SA runs between."""

from __future__ import annotations

from ipaddress import ip_address

import pytest

from ikepy.config.model import DnsName
from ikepy.daemon.net.resolver import Resolver
from ikepy.daemon.net.route_check import RouteCheck
from ikepy.sa.api.names import NameTable
from tests.unit.daemon.fakes import FakeNetwork, config

NAMES = {"two.example": ["192.0.2.2", "192.0.2.3"], "own.example": ["198.51.100.8"]}
HERE = ["198.51.100.7", "198.51.100.8", "2001:db8::7"]


def names() -> NameTable:
    table = NameTable()
    for name, addresses in NAMES.items():
        table.learn(DnsName(name), map(ip_address, addresses))
    table.fail(DnsName("none.example"), "no such name", gone=True)
    return table


@pytest.mark.parametrize(
    ("local", "remote", "failed", "chosen"),
    [
        (["192.0.2.1"], ["192.0.2.2"], "", ("192.0.2.1", "192.0.2.2")),
        (["192.0.2.1"], ["192.0.2.2", "192.0.2.3"], "192.0.2.2", ("192.0.2.1", "192.0.2.3")),
        (["192.0.2.1"], ["192.0.2.2", "192.0.2.3"], "192.0.2.3", ("192.0.2.1", "192.0.2.2")),
        (["192.0.2.1"], ["192.0.2.2"], "192.0.2.2", ("192.0.2.1", "192.0.2.2")),
        (["%any"], ["192.0.2.2", "2001:db8::1"], "192.0.2.2", ("2001:db8::7", "2001:db8::1")),
        (["%any"], ["192.0.2.2"], "", ("198.51.100.7", "192.0.2.2")),
        (["%any"], ["2001:db8::1"], "", ("2001:db8::7", "2001:db8::1")),
        (["%any"], ["two.example"], "", ("198.51.100.7", "192.0.2.2")),
        (["%any"], ["two.example"], "192.0.2.2", ("198.51.100.7", "192.0.2.3")),
        (["%any"], ["none.example"], "", "none.example: no such name"),
        (["%any"], ["none.example", "192.0.2.9"], "", ("198.51.100.7", "192.0.2.9")),
        (["own.example"], ["192.0.2.2"], "", ("198.51.100.8", "192.0.2.2")),
        (["none.example"], ["192.0.2.2"], "", "none.example: no such name"),
        (["198.51.100.8/32"], ["192.0.2.2"], "", ("198.51.100.8", "192.0.2.2")),
        (["203.0.113.0/24"], ["192.0.2.2"], "", "none of our addresses is in local_addrs"),
        (["192.0.2.1"], ["2001:db8::1", "192.0.2.2"], "", ("192.0.2.1", "192.0.2.2")),
        (["2001:db8::5"], ["192.0.2.2"], "", "local_addrs holds no IPv4 address for 192.0.2.2"),
        (["192.0.2.1"], ["%any"], "", "remote_addrs holds no address to initiate to"),
        (["192.0.2.1"], ["192.0.2.0/24", "192.0.2.9"], "", ("192.0.2.1", "192.0.2.9")),
    ],
)
def test_choice(local: list[str], remote: list[str], failed: str, chosen: tuple[str, str] | str) -> None:
    network = FakeNetwork()
    network.addresses = [ip_address(one) for one in HERE]
    connection = config(local_addrs=local, remote_addrs=remote).connections["a"]
    resolver = Resolver(network, RouteCheck(network, lambda: ["vti0"]), names())
    found = resolver.resolve(connection, {ip_address(failed)} if failed else ())
    if isinstance(chosen, str):
        assert isinstance(found, str)
        assert found.startswith(chosen)
    else:
        assert found == tuple(map(ip_address, chosen))


def test_no_way_to_the_peer_is_no_address() -> None:
    network = FakeNetwork()
    network.addresses = [ip_address("2001:db8::7")]
    connection = config(local_addrs=["%any"]).connections["a"]
    found = Resolver(network, RouteCheck(network, lambda: ["vti0"]), NameTable()).resolve(connection, ())
    assert found == "no way to 192.0.2.2: the network is unreachable"


def test_a_peer_behind_our_own_tunnel_is_not_gone_to() -> None:
    network = FakeNetwork()
    first, second = ip_address("192.0.2.2"), ip_address("198.51.100.2")
    network.outlets[first] = "vti0"
    connection = config(local_addrs=["192.0.2.1"], remote_addrs=[str(first), str(second)]).connections["a"]
    route_check = RouteCheck(network, lambda: ["vti0"])
    assert Resolver(network, route_check, NameTable()).resolve(connection, ()) == (
        ip_address("192.0.2.1"),
        second,
    )
    network.outlets[second] = "vti0"
    route_check.forget()
    assert "vti0" in str(Resolver(network, route_check, NameTable()).resolve(connection, ()))


@pytest.mark.parametrize("here", [["192.0.2.2"], ["192.0.2.7"]])
def test_two_ends_that_stand_the_wrong_way_round(here: list[str]) -> None:
    """What `ikepy status` says of a tunnel that waits for its address."""
    network = FakeNetwork()
    connection = config(local_addrs=["192.0.2.1"], remote_addrs=["192.0.2.2"]).connections["a"]
    resolver = Resolver(network, RouteCheck(network, lambda: ["vti0"]), names())
    resolver.usable, resolver.served = [ip_address(one) for one in here], ()
    found = resolver.resolve(connection, ())
    assert isinstance(found, str) and found.startswith("192.0.2.1 is not an address of this machine yet")
    assert ("192.0.2.2, the peer's, is one" in found) is (here == ["192.0.2.2"])
