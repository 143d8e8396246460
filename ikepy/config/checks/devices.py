"""Finds what two connections' devices can't share: a name, an address, a peer.

The same route twice is allowed: one connection takes it over when the other fails
(`ikepy.daemon.device.route_claims`).

Tables are filled in the order of the file and looked up before each insertion: the work is linear in the
number of connections, not in that of their pairs, and the later of two in conflict is reported.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence

from ikepy.config.model import Connection, Vti
from ikepy.config.values import Address, Interface, Network

Problems = Iterator[tuple[str, str]]
Prefix = tuple[int, int, int]  # version, prefix length, the bits of the prefix
BITS = {4: 32, 6: 128}


def check(connections: Sequence[Connection]) -> list[tuple[str, str]]:
    """All such mistakes, as (key path, text): one for each key at fault, naming the first that has it."""
    names: dict[str, str] = {}
    peers: dict[Address, str] = {}
    addresses = _Addresses(address for each in connections for address in each.vti.addresses)
    found: list[tuple[str, str]] = []
    for connection in connections:
        vti, key = connection.vti, f"connections.{connection.name}.vti"
        if vti.name in names:
            text = f"{names[vti.name]} has the same name: each connection has a device of its own"
            found.append((f"{key}.name", text))
        found += addresses.overlaps(vti, key)
        found += _second_peers(vti, key, peers)
        names.setdefault(vti.name, key)
        addresses.add(vti, key)
        for peer in vti.peers:
            peers.setdefault(peer, key)
    return found


def _second_peers(vti: Vti, key: str, taken: dict[Address, str]) -> Problems:
    for index, peer in enumerate(vti.peers):
        if peer in taken:
            yield f"{key}.peers[{index}]", f"{taken[peer]}.peers has the same address"


class _Addresses:
    """The networks that devices are in. Two overlap where one of them is a prefix of the other."""

    def __init__(self, all_of_them: Iterable[Interface]) -> None:
        """`all_of_them`: every address to be added, so that only prefix lengths that occur are looked up."""
        lengths: dict[int, set[int]] = {4: set(), 6: set()}
        for address in all_of_them:
            lengths[address.version].add(address.network.prefixlen)
        self._lengths = {version: sorted(each) for version, each in lengths.items()}
        self._networks: dict[Prefix, str] = {}  # each network -> the first device in it, in words
        self._within: dict[Prefix, str] = {}  # a network -> the first device in it or in a part of it

    def overlaps(self, vti: Vti, key: str) -> Problems:
        for index, address in enumerate(vti.addresses):
            taken = self._overlapping(address.network)
            if taken is not None:
                yield f"{key}.addresses[{index}]", f"overlaps {taken}"

    def _overlapping(self, network: Network) -> str | None:
        *around, itself = self._prefixes(network)
        for prefix in around:
            if prefix in self._networks:
                return self._networks[prefix]
        # One host address on two devices is fine: point-to-point links may share it.
        return None if network.num_addresses == 1 else self._within.get(itself)

    def add(self, vti: Vti, key: str) -> None:
        for address in vti.addresses:
            *around, itself = self._prefixes(address.network)
            text = f"{address} in {key}.addresses"
            self._networks.setdefault(itself, text)
            for prefix in (*around, itself):
                self._within.setdefault(prefix, text)

    def _prefixes(self, network: Network) -> list[Prefix]:
        """The networks that contain this one, then the network itself."""
        version, length = network.version, network.prefixlen
        value = int(network.network_address)
        return [
            (version, each, value >> (BITS[version] - each))
            for each in self._lengths[version]
            if each <= length
        ]
