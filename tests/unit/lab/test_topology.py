"""The tables of the picture agree with each other."""

from __future__ import annotations

from collections import Counter
from ipaddress import ip_address, ip_interface

import pytest

from ikepy.lab import topology
from ikepy.lab.topology import Plan, plan

VARIANTS = [
    *(plan(nat=nat, ipv6=ipv6) for nat in (False, True) for ipv6 in (False, True)),
    *(plan(nat=nat, ipv6=True, pod=True) for nat in (False, True)),
]
every_variant = pytest.mark.parametrize("made", VARIANTS)


def devices(made: Plan) -> list[tuple[str, str]]:
    """(node, device) of everything that an address can be on."""
    ends = [end for cable in made.cables for end in (cable.a, cable.b)]
    return ends + [(node, "vxeth0") for node in topology.POD_NETWORK]


@every_variant
def test_every_end_of_a_cable_is_a_device_of_its_own(made: Plan) -> None:
    counted = Counter(devices(made))
    assert set(counted.values()) == {1}
    assert {node for node, _ in counted} == set(made.nodes)


@every_variant
def test_every_address_is_on_a_device(made: Plan) -> None:
    assert {(node, device) for node, device, _ in made.addresses} <= set(devices(made))
    assert max(Counter(text for _, _, text in made.addresses).values()) == 1


@every_variant
def test_every_next_hop_is_a_neighbour(made: Plan) -> None:
    for node, network, gateway in made.routes:
        own = [ip_interface(text) for at, _, text in made.addresses if at == node]
        assert any(ip_address(gateway) in interface.network for interface in own), (node, network)
        others = [text for at, _, text in made.addresses if at != node]
        assert any(ip_interface(text).ip == ip_address(gateway) for text in others), (node, network)


@pytest.mark.parametrize("ipv6", [False, True])
def test_the_nat_hides_the_gateway_behind_the_same_address(ipv6: bool) -> None:
    behind, open_ = plan(nat=True, ipv6=ipv6), plan(nat=False, ipv6=ipv6)
    assert ("nat", "outside", topology.CGW_PUBLIC) in behind.addresses
    assert ("cgw", "eth0", topology.CGW_PUBLIC) in open_.addresses
    assert "nat" not in open_.nodes


def test_ipv6_only_when_asked_for() -> None:
    assert not any(":" in text for _, _, text in plan().addresses)
    assert any(":" in text for _, _, text in plan(ipv6=True).addresses)


def test_a_full_packet_fits_the_segment() -> None:
    """50 bytes of VXLAN around it fit the network below."""
    assert topology.SEGMENT_MTU + 50 <= topology.POD_NETWORK_MTU


def test_words_for_an_address() -> None:
    assert topology.address("10.1.0.11/24") == "10.1.0.11"
    assert topology.network("10.1.0.11/24") == "10.1.0.0/24"
    assert topology.host("10.1.0.11/24") == "10.1.0.11/32"
    assert topology.host("fd00:1::11/64") == "fd00:1::11/128"
