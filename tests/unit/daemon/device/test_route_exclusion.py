"""What is left of a network without the addresses of peers: all the rest, and nothing twice."""

from __future__ import annotations

from ipaddress import IPv4Address, IPv4Network, IPv6Network, collapse_addresses, ip_address, ip_network

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ikepy.daemon.device.route_exclusion import MOST_MET, PeerAddresses, around, covering, hole
from tun.rtnetlink import BestRoute

Network = IPv4Network | IPv6Network
WHOLE = ip_network("10.0.0.0/16")
PEER = ip_address("10.0.0.9")
PARTS = st.builds(
    lambda number, length: ip_network((0x0A000000 + number, length), strict=False),
    st.integers(0, 0xFFFF),
    st.integers(17, 32),
)


@given(st.lists(PARTS, max_size=8))
def test_all_the_rest_and_nothing_twice(holes: list[Network]) -> None:
    pieces = around(WHOLE, holes)
    assert pieces is not None
    assert not any(piece.overlaps(one) for piece in pieces for one in holes)
    left_out = [one for one in collapse_addresses(holes) if isinstance(one, IPv4Network)]  # type: ignore[type-var]
    assert sum(one.num_addresses for one in (*pieces, *left_out)) == WHOLE.num_addresses


def test_nothing_but_holes_is_no_piece_and_ipv6_goes_too() -> None:
    assert around(WHOLE, [WHOLE]) == []
    pieces = around(ip_network("::/0"), [ip_network("2001:db8::2/128")])
    assert pieces is not None
    assert len(pieces) == 128


@pytest.mark.parametrize(
    ("best", "on_link", "left_out"),
    [
        (None, False, "10.0.0.9/32"),
        ("0.0.0.0/0", False, "10.0.0.9/32"),
        ("0.0.0.0/0", True, "10.0.0.0/16"),
        ("10.0.0.0/16", True, "10.0.0.0/16"),
        ("10.0.0.0/16", False, "10.0.0.9/32"),
        ("10.0.0.0/24", True, "10.0.0.0/24"),
        ("10.0.0.0/24", False, "10.0.0.0/24"),
    ],
)
def test_what_is_left_out(best: str | None, on_link: bool, left_out: str) -> None:
    route = None if best is None else BestRoute(ip_network(best), 2, on_link)
    assert hole(WHOLE, PEER, route) == ip_network(left_out)


@given(st.lists(st.integers(0x0A000000 - 2, 0x0A010002), unique=True, max_size=20), PARTS)
def test_peers_are_found_by_network(numbers: list[int], network: Network) -> None:
    addresses = [ip_address(number) for number in numbers]
    peers = PeerAddresses(addresses[::2])
    for address in addresses:
        assert peers.meet(address) is (address not in addresses[::2])
        assert not peers.meet(address)
    assert peers.within(network) == sorted(one for one in addresses if one in network)


def test_those_met_are_bounded_and_those_named_stay() -> None:
    peers = PeerAddresses([PEER])
    for number in range(MOST_MET + 10):
        peers.meet(ip_address(0x0B000000 + number))
    assert len(peers.within(ip_network("0.0.0.0/0"))) == MOST_MET + 1
    assert peers.within(WHOLE) == [PEER]


@pytest.mark.parametrize(("address", "count"), [("10.0.0.9", 33), ("2001:db8::9", 129)])
def test_each_network_that_covers_an_address(address: str, count: int) -> None:
    one = ip_address(address)
    networks = list(covering(one))
    assert len(set(networks)) == count
    assert all(one in network for network in networks)


ADDRESSES = st.frozensets(st.integers(0, 7).map(lambda n: ip_address(0x0A000000 + n)), max_size=5)


Named = frozenset[IPv4Address]


@given(st.lists(st.tuples(ADDRESSES, st.lists(st.integers(0, 7), max_size=3)), max_size=4))
def test_peers_that_another_configuration_names(
    steps: list[tuple[Named, list[int]]],
) -> None:
    peers, met = PeerAddresses([]), set()
    named: Named = frozenset()
    for named, numbers in steps:
        peers.name(named)
        for number in numbers:
            address = ip_address(0x0A000000 + number)
            assert peers.meet(address) is (address not in named and address not in met)
            if address not in named:
                met.add(address)
        assert peers.within(WHOLE) == sorted(named | met)
