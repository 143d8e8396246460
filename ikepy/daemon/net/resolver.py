"""Chooses the two addresses that a connection's IKE_SA runs between, from its local_addrs and
remote_addrs."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Sequence
from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network

from ikepy.config.model import ANY_ADDRESS, Connection, DnsName
from ikepy.daemon.bus.daemon_events import looped
from ikepy.daemon.interfaces import NetworkConfig
from ikepy.daemon.net.route_check import RouteCheck
from ikepy.sa.api.names import NameTable
from ikepy.sa.api.path import Address, Endpoint, Path
from tun.netlink import RouteError

EXCHANGE = (
    "local is always this machine (left in ipsec.conf): exchange the two ends if they stand the wrong way "
    "round"
)


class Resolver:
    """Picks the local and the remote address of a new IKE_SA."""

    def __init__(self, network: NetworkConfig, route_check: RouteCheck, names: NameTable) -> None:
        self._network = network
        self._names = names
        self._route_check = route_check
        self.usable: Collection[Address] | None = None  # our addresses that can send now; None: not known
        self.served: Collection[Address] | None = None  # those with sockets, perhaps gone for a while

    def resolve(self, connection: Connection, failed: Collection[Address]) -> tuple[Address, Address] | str:
        """Our address and the peer's; or a text that says why there is none (at the moment).

        Of the peer's addresses those of `failed` come last: with them set-ups failed already.
        """
        reasons = self._names.failures(connection.remote_addrs)
        known = self._names.fixed(connection.remote_addrs)
        for remote in sorted(known, key=lambda one: one in failed):
            source = self._source(connection, remote)
            if isinstance(source, str):
                reasons.append(source)
                continue
            tunnel = self._route_check.tunnel(Path(Endpoint(source, 500), Endpoint(remote, 500)))
            if tunnel is None:
                return source, remote
            reasons.append(looped(remote, tunnel))
        return "; ".join(reasons) or "remote_addrs holds no address to initiate to"

    def _source(self, connection: Connection, remote: Address) -> Address | str:
        patterns = connection.local_addrs
        named = [own for own in self._names.fixed(patterns) if own.version == remote.version]
        for own in named:
            if self.usable is None or own in self.usable:
                return own
        if not has_patterns(patterns):
            if not named:
                return self._none_named(patterns, remote)
            expected = [own for own in named if self.served is None or own in self.served]
            return expected[0] if expected else self._not_here(named[0], remote)
        try:
            source = self._network.source_address(remote)
            if permits(patterns, source, self._names):
                return source
            usable = self._network.local_addresses()
        except (RouteError, OSError) as error:
            return str(error)
        permitted = (a for a in usable if a.version == remote.version and permits(patterns, a, self._names))
        return next(permitted, f"none of our addresses is in local_addrs; the route to {remote} has {source}")

    def _not_here(self, own: Address, remote: Address) -> str:
        why = f"{own} is not an address of this machine yet"
        turned = self.usable is not None and remote in self.usable
        return f"{why}, and {remote}, the peer's, is one: {EXCHANGE}" if turned else why

    def _none_named(self, patterns: Sequence[object], remote: Address) -> str:
        failures = self._names.failures(patterns)
        return "; ".join(failures) or f"local_addrs holds no IPv{remote.version} address for {remote}"


def fixed_addresses(patterns: Iterable[object]) -> list[Address]:
    """The single addresses among a connection's patterns, without names, networks and "%any"."""
    return [one for one in patterns if isinstance(one, IPv4Address | IPv6Address)]


def has_patterns(patterns: Iterable[object]) -> bool:
    """Whether a network or "%any" is among a connection's addresses."""
    return any(not isinstance(one, IPv4Address | IPv6Address | DnsName) for one in patterns)


def permits(patterns: Iterable[object], address: Address, names: NameTable) -> bool:
    """Whether one of a connection's addresses is `address`, a name that means it, a network that contains it,
    or "%any"."""
    return any(
        one in (ANY_ADDRESS, address)
        or (isinstance(one, DnsName) and address in names.addresses(one))
        or (isinstance(one, IPv4Network | IPv6Network) and one.version == address.version and address in one)
        for one in patterns
    )
