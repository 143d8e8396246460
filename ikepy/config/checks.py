"""Finds mistakes across sections: devices that overlap, a connection without a secret, ..."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Iterator, Sequence
from ipaddress import IPv4Address, IPv6Address

from esp.packet.selectors import Selector
from ikepy.config import devices, secret_use, vxlan
from ikepy.config.fields import MIN_IPV6_MTU
from ikepy.config.model import Child, Config, Connection, DnsName
from ikepy.config.values import Address, Dynamic, Network

Problems = Iterator[tuple[str, str]]


def check(config: Config, unread: Collection[str] = ()) -> list[tuple[str, str]]:
    """All such mistakes, as (key path, text).

    `unread`: "secrets" or "daemon" if that section is itself invalid, so that checks which depend on
    it are skipped.
    """
    found: list[tuple[str, str]] = []
    for connection in config.connections.values():
        for one, needs in EACH:
            if needs not in unread:
                found += one(connection, f"connections.{connection.name}", config)
    if "daemon" not in unread:
        found += _ports(config)
    found += vxlan.check(config)
    return found + devices.check(list(config.connections.values()))


def without_secret(config: Config, connections: Iterable[Connection]) -> list[tuple[str, str]]:
    """Those of its connections for which no secret fits, as (key path, text)."""
    return [
        problem
        for connection in connections
        for problem in _secret(connection, f"connections.{connection.name}", config)
    ]


def _children(connection: Connection, key: str, config: Config) -> Problems:
    if not connection.children:
        yield f"{key}.children", f"is missing: a connection needs at least one child, [{key}.children.NAME]"


def _can_initiate(connection: Connection, key: str, config: Config) -> Problems:
    remotes = [one for one in connection.remote_addrs if isinstance(one, IPv4Address | IPv6Address)]
    named = any(isinstance(one, DnsName) for one in connection.remote_addrs)
    for child in connection.children.values():
        for action in _initiating(child):
            if not remotes and not named:
                yield (
                    f"{key}.children.{child.name}.{action}",
                    f"there is nobody to initiate to: {key}.remote_addrs must hold an address or a DNS name, "
                    'or use "none"',
                )
    if (
        remotes
        and not named
        and not any(_has_version(connection.local_addrs, one.version) for one in remotes)
    ):
        yield f"{key}.local_addrs", f"holds no IPv{remotes[0].version} address, which remote_addrs asks for"


def _other_end(connection: Connection, key: str, config: Config) -> Problems:
    """A peer that is this daemon itself; two daemons may share an address on different ports."""
    if connection.remote_port in (config.daemon.port, config.daemon.port_nat_t):
        for index, remote in enumerate(connection.remote_addrs):
            if isinstance(remote, IPv4Address | IPv6Address) and remote in connection.local_addrs:
                text = "is our own address in local_addrs: it must be the peer's"
                yield f"{key}.remote_addrs[{index}]", text


def _families(connection: Connection, key: str, config: Config) -> Problems:
    for child in connection.children.values():
        ours = _versions(child.local_ts, connection.local_addrs)
        theirs = _versions(child.remote_ts, connection.remote_addrs)
        if not ours & theirs:
            (own,), (other,) = ours, theirs
            yield (
                f"{key}.children.{child.name}.remote_ts",
                f"holds IPv{other} only, and local_ts IPv{own} only, so that no packet fits both; "
                "allowed: selectors of one family on both sides",
            )


def _versions(
    selectors: Sequence[Selector | Dynamic], addresses: Sequence[Address | Network | str | DnsName]
) -> set[int]:
    """The IP versions of selectors, of which "dynamic" is the IKE address."""
    dynamic = {version for one in addresses for version in _of(one)}
    return {version for one in selectors for version in (dynamic if isinstance(one, str) else {one.version})}


def _initiating(child: Child) -> list[str]:
    actions = {
        "start_action": child.start_action,
        "close_action": child.close_action,
        "dpd_action": child.dpd_action,
    }
    return [key for key, action in actions.items() if action != "none"]


def _has_version(patterns: Sequence[Address | Network | str | DnsName], version: int) -> bool:
    return any(version in _of(one) for one in patterns)


def _of(pattern: Address | Network | str | DnsName) -> tuple[int, ...]:
    """The IP versions that a pattern may mean."""
    return (4, 6) if isinstance(pattern, str | DnsName) else (pattern.version,)


def _secret(connection: Connection, key: str, config: Config) -> Problems:
    local, remote = connection.local.id, connection.remote.id
    if local is not None and remote is not None and not remote.is_pattern:
        if config.psk(local, remote) is None:
            yield (
                f"{key}.remote.id",
                f'no secret fits "{local}" and "{remote}": add [secrets.ike-{connection.name}] with ids and '
                f"secret, secret_file or secret_env{_mistyped(config)}",
            )
    elif not config.secrets:
        yield key, f'auth = "psk" without any secret: add [secrets.ike-{connection.name}]'


def _mistyped(config: Config) -> str:
    """Hint at the secret that was probably meant."""
    for key, text in secret_use.strangers(config):
        return f"; or is {key} mistyped? {text}"
    return ""


def _own_device(connection: Connection, key: str, config: Config) -> Problems:
    vti = connection.vti
    networks = [address.network for address in vti.addresses]
    versions = {network.version for network in networks}
    used = [*networks, *(route.to for route in vti.routes or ())]
    if vti.mtu is not None and vti.mtu < MIN_IPV6_MTU and any(network.version == 6 for network in used):
        yield f"{key}.vti.mtu", f"allowed where IPv6 goes through the device: {MIN_IPV6_MTU}..65535"
    for index, peer in enumerate(vti.peers):
        if peer.version not in versions:
            yield f"{key}.vti.peers[{index}]", f"{key}.vti.addresses holds no IPv{peer.version} address"
        elif any(peer == address.ip for address in vti.addresses):
            yield f"{key}.vti.peers[{index}]", "is our own address in addresses: it must be the other end's"


def _sources(connection: Connection, key: str, config: Config) -> Problems:
    """Preferred source addresses: one of a version."""
    vti = connection.vti
    for index, one in enumerate(vti.src):
        if any(one.version == other.version for other in vti.src[:index]):
            yield f"{key}.vti.src[{index}]", f"is the second IPv{one.version} address; allowed: one of each"


def _second_routes(connection: Connection, key: str, config: Config) -> Problems:
    """Routes that the kernel could not tell apart."""
    taken: set[tuple[Network, int | None, int | None]] = set()
    vti = connection.vti
    for index, route in enumerate(vti.routes or ()):
        place = route.to, route.table or vti.table, route.metric or vti.metric
        if place in taken and route.src is not None:
            text = "the same network stands there before, in the same table and with the same metric"
            yield f"{key}.vti.routes[{index}]", text
        taken.add(place)


def _local_port(connection: Connection, key: str, config: Config) -> Problems:
    ports = (config.daemon.port, config.daemon.port_nat_t)
    if connection.local_port not in ports:
        yield f"{key}.local_port", f"the daemon listens on other ports; allowed: {ports[0]}, {ports[1]}"


def _ports(config: Config) -> Problems:
    if config.daemon.port == config.daemon.port_nat_t != 0:
        yield "daemon.port_nat_t", "must be another port than daemon.port"


# The checks of every connection, and the other section that each depends on.
EACH: tuple[tuple[Callable[[Connection, str, Config], Problems], str], ...] = (
    (_children, ""),
    (_can_initiate, ""),
    (_other_end, "daemon"),
    (_families, ""),
    (_secret, "secrets"),
    (_own_device, ""),
    (_sources, ""),
    (_second_routes, ""),
    (_local_port, "daemon"),
)
