"""Chooses the two addresses that a connection's IKE_SA runs between, from its local_addrs and
remote_addrs."""

from __future__ import annotations

from collections.abc import Collection, Iterable
from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network

from ikepy.config.model import ANY_ADDRESS, Connection
from ikepy.daemon.bus.daemon_events import looped
from ikepy.daemon.interfaces import NetworkConfig
from ikepy.daemon.net.route_check import RouteCheck
from ikepy.sa.api.path import Address, Endpoint, Path
from tun.netlink import RouteError


class Resolver:
    """Picks the local and the remote address of a new IKE_SA."""

    def __init__(self, network: NetworkConfig, route_check: RouteCheck) -> None:
        self._network = network
        self._route_check = route_check
        self.usable: Collection[Address] | None = None  # our addresses that can send now; None: not known
        self.served: Collection[Address] | None = None  # those with sockets, perhaps gone for a while

    def resolve(self, connection: Connection, local: Address | None) -> tuple[Address, Address] | str:
        """Our address and the peer's; or a text that says why there is none (at the moment).

        `local`: the address to use if the connection and the peer's IP version permit it.
        """
        reasons: list[str] = []
        for remote in fixed_addresses(connection.remote_addrs):
            source = self._source(connection, local, remote)
            if isinstance(source, str):
                reasons.append(source)
                continue
            tunnel = self._route_check.tunnel(Path(Endpoint(source, 500), Endpoint(remote, 500)))
            if tunnel is None:
                return source, remote
            reasons.append(looped(remote, tunnel))
        return "; ".join(reasons) or "remote_addrs holds no address to initiate to"

    def _source(self, connection: Connection, hint: Address | None, remote: Address) -> Address | str:
        if hint is not None and hint.version == remote.version and permits(connection.local_addrs, hint):
            return hint
        named = [own for own in fixed_addresses(connection.local_addrs) if own.version == remote.version]
        for own in named:
            if self.usable is None or own in self.usable:
                return own
        if not has_patterns(connection.local_addrs):
            if not named:
                return f"local_addrs holds no IPv{remote.version} address for {remote}"
            expected = [own for own in named if self.served is None or own in self.served]
            return next(iter(expected), f"{named[0]} is not an address of this machine yet")
        try:
            source = self._network.source_address(remote)
            if permits(connection.local_addrs, source):
                return source
            usable = self._network.local_addresses()
        except (RouteError, OSError) as error:
            return str(error)
        permitted = (a for a in usable if a.version == remote.version and permits(connection.local_addrs, a))
        return next(permitted, f"none of our addresses is in local_addrs; the route to {remote} has {source}")


def fixed_addresses(patterns: Iterable[object]) -> list[Address]:
    """The single addresses among a connection's patterns, without networks and "%any"."""
    return [one for one in patterns if isinstance(one, IPv4Address | IPv6Address)]


def has_patterns(patterns: Iterable[object]) -> bool:
    """Whether a network or "%any" is among a connection's addresses."""
    return any(not isinstance(one, IPv4Address | IPv6Address) for one in patterns)


def permits(patterns: Iterable[object], address: Address) -> bool:
    """Whether one of a connection's addresses is `address`, a network that contains it, or "%any"."""
    return any(
        one in (ANY_ADDRESS, address)
        or (isinstance(one, IPv4Network | IPv6Network) and one.version == address.version and address in one)
        for one in patterns
    )
