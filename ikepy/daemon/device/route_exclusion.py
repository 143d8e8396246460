"""Leaves the addresses of peers out of the routes into tunnels.

A route that covers a peer's address would lead IKE and ESP packets into their own tunnel. Such a route is not
refused, for "everything through the tunnel" is what many want. Nor does the address get a host route through
the uplink, which would have to follow each change of the gateway. Instead the route is split into routes that
cover all the network but that address: whatever the uplink is, its own routes are the best ones there. Routes
of others can't be split (`ikepy.daemon.device.exemptions`).
"""

from __future__ import annotations

import logging
from bisect import bisect_left, bisect_right, insort
from collections.abc import Callable, Container, Iterable, Iterator
from dataclasses import replace
from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network, ip_network
from itertools import chain

from ikepy.config.model import Connection
from ikepy.daemon import log
from ikepy.daemon.device.vti_device import VtiDevice
from ikepy.daemon.interfaces import Network, NetworkConfig
from ikepy.sa.api.names import NameTable
from ikepy.sa.api.path import Address
from tun.rtnetlink import BestRoute
from tun.state import RT_TABLE_MAIN, Route

MOST_MET = 4096  # peers' addresses that the configuration doesn't name; the oldest are forgotten
MOST_PIECES = 1024  # routes in the place of one: some 30 addresses left out of 0/0


class PeerAddresses:
    """Peers' addresses, configured (`named`) and seen (`met`), sorted for a quick look-up by network."""

    def __init__(self, named: Iterable[Address]) -> None:
        self._named = set(named)
        self._met: dict[Address, None] = {}
        self._sorted: dict[int, list[int]] = {4: [], 6: []}
        for address in self._named:
            insort(self._sorted[address.version], int(address))

    def name(self, named: Iterable[Address]) -> None:
        """Replace the configured addresses."""
        now = set(named)
        for address in self._named - now - self._met.keys():
            self._sorted[address.version].remove(int(address))
        for address in now - self._named - self._met.keys():
            insort(self._sorted[address.version], int(address))
        self._named = now

    def meet(self, address: Address) -> bool:
        """Add an address that a peer uses. Whether it was unknown."""
        if address in self._named or address in self._met:
            return False
        if len(self._met) >= MOST_MET:
            oldest = next(iter(self._met))
            del self._met[oldest]
            if oldest not in self._named:
                self._sorted[oldest.version].remove(int(oldest))
        self._met[address] = None
        insort(self._sorted[address.version], int(address))
        return True

    def within(self, network: Network) -> list[Address]:
        """The known addresses of a network, in order."""
        known = self._sorted[network.version]
        first = bisect_left(known, int(network.network_address))
        last = bisect_right(known, int(network.broadcast_address))
        kind = IPv4Address if network.version == 4 else IPv6Address
        return [kind(number) for number in known[first:last]]


class RouteExclusion:
    """Leaves peers' addresses out of the routes that devices are to have. `ours`: our devices, by index."""

    def __init__(
        self,
        network: NetworkConfig,
        named: Iterable[Connection],
        ours: Callable[[], Container[int]],
        tell: log.Tell,
        names: NameTable,
    ) -> None:
        self._network = network
        self._names = names
        self._ours = ours
        self._tell = tell
        self._peers = PeerAddresses(self._remotes(named))

    def name(self, connections: Iterable[Connection]) -> None:
        """The configured connections are these now, and no others."""
        self._peers.name(self._remotes(connections))

    def _remotes(self, connections: Iterable[Connection]) -> Iterator[Address]:
        return chain.from_iterable(self._names.fixed(one.remote_addrs) for one in connections)

    def meet(self, address: Address) -> bool:
        """A peer sends from this address. Whether that is new."""
        return self._peers.meet(address)

    def without_peers(self, device: VtiDevice, routes: Iterable[Route]) -> frozenset[Route]:
        """The routes without the addresses of peers. In a table other than main all of them: there the
        rules of policy routing decide what is led into the device (ip-rule(8))."""
        found: set[Route] = set()
        for route in routes:
            peers = self._peers.within(route.network) if route.table == RT_TABLE_MAIN else []
            holes = [hole(route.network, peer, self._outside(peer)) for peer in peers]
            pieces = around(route.network, holes)
            if not pieces:
                self._tell(
                    logging.WARNING,
                    device.connection.name,
                    f"{route.network} gets no route through {device.name}: {peers[0]}, where IKE and ESP "
                    "packets go, is in it, "
                    f"{'and so are many others' if pieces is None else 'and nothing else that may be'}; "
                    "say in vti.routes what is to go into the tunnel",
                )
            found.update(replace(route, network=one) for one in pieces or ())
        return frozenset(found)

    def _outside(self, peer: Address) -> BestRoute | None:
        """The best route to a peer, unless it leads into a device of ours; None also if it can't be asked
        now: as a rule the address alone is left out."""
        try:
            best = self._network.best_route(peer)
        except OSError:
            return None
        return None if best is None or best.device in self._ours() else best


def around(network: Network, holes: Iterable[Network]) -> list[Network] | None:
    """Networks that cover all of the network but these parts of it; None: there would be too many."""
    pieces: list[Network] = [network]
    for hole in sorted(holes, key=lambda one: one.prefixlen):
        hit = next((piece for piece in pieces if hole.network_address in piece), None)
        if hit is not None:  # else it is part of one before
            pieces.remove(hit)
            pieces += _without(hit, hole)
        if len(pieces) > MOST_PIECES:
            return None
    return pieces


def hole(network: Network, address: Address, best: BestRoute | None) -> Network:
    """The part of a network to leave out for a peer's address. `best`: the route to the peer.

    As a rule it is the address alone. If its route is narrower than the network, it is that route's network:
    the pieces would be narrower still, and win over the route. If the peer is on our link, it is all of the
    network: gateways are there, too.
    """
    if best is not None and best.network.prefixlen > network.prefixlen:
        return best.network
    if best is not None and best.on_link:
        return network
    return ip_network(address)


def _without(network: Network, part: Network) -> Iterable[Network]:
    if isinstance(network, IPv4Network) and isinstance(part, IPv4Network):
        return network.address_exclude(part)
    assert isinstance(network, IPv6Network)
    assert isinstance(part, IPv6Network)
    return network.address_exclude(part)


def covering(address: Address) -> Iterable[Network]:
    """Each network that contains the address, one of each prefix length."""
    if isinstance(address, IPv4Address):
        return (IPv4Network((address, length), strict=False) for length in range(33))
    return (IPv6Network((address, length), strict=False) for length in range(129))
