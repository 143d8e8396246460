"""Which peer goes with which address."""

from __future__ import annotations

from ipaddress import ip_address, ip_interface

import pytest

from tun.point_to_point import pair_peers

LADDER = [
    # addresses, peers -> peer of each address, routed peers
    ("169.254.10.1/30", "169.254.10.2", "169.254.10.2", ""),
    ("169.254.10.0/31", "169.254.10.1", "169.254.10.1", ""),
    ("fd00::1/126", "fd00::2", "fd00::2", ""),
    ("fd00::/127", "fd00::1", "fd00::1", ""),
    ("10.0.0.1/32", "10.9.9.9", "10.9.9.9", ""),
    ("fd00::1/128", "fd09::9", "fd09::9", ""),
    ("10.0.0.1/24", "10.0.0.2", "-", ""),  # the subnet's route reaches it
    ("10.0.0.1/24", "10.0.1.2", "-", "10.0.1.2"),
    ("169.254.10.1/30", "169.254.10.1", "-", ""),  # not its own peer
    ("169.254.10.1/30", "10.0.0.1", "-", "10.0.0.1"),
    ("", "10.0.0.1", "", "10.0.0.1"),
    ("10.0.0.1/32", "fd00::2", "-", "fd00::2"),
    ("10.0.0.1/32 10.0.0.3/32", "10.9.0.1 10.9.0.2 10.9.0.3", "10.9.0.1 10.9.0.2", "10.9.0.3"),
    ("169.254.10.1/30 fd00::1/126", "fd00::2 169.254.10.2", "169.254.10.2 fd00::2", ""),
    ("10.0.0.1/32 169.254.10.1/30", "169.254.10.2", "- 169.254.10.2", ""),
    ("169.254.10.1/30", "", "-", ""),
]


@pytest.mark.parametrize(("addresses", "peers", "partners", "routed"), LADDER)
def test_number(addresses: str, peers: str, partners: str, routed: str) -> None:
    own = [ip_interface(one) for one in addresses.split()]
    found = pair_peers(own, [ip_address(one) for one in peers.split()])
    assert [interface for interface, _ in found.addresses] == own
    assert " ".join(str(peer or "-") for _, peer in found.addresses) == partners
    assert " ".join(map(str, found.routed_peers)) == routed
