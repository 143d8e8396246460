"""Finds mistakes across sections: devices that overlap, a connection without a secret, ..."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Iterator, Sequence
from ipaddress import IPv4Address, IPv6Address

from esp.packet.selectors import Selector
from ikepy.config import pools
from ikepy.config.checks import devices, secret_use, vxlan
from ikepy.config.fields import MIN_IPV6_MTU
from ikepy.config.model import Child, Config, Connection, DnsName
from ikepy.config.proposals import is_quantum_safe
from ikepy.config.radius import MAX_SERVERS
from ikepy.config.values import Address, Dynamic, Network

Problems = Iterator[tuple[str, str]]
UDP, ESP = 17, 50
WITH_PORTS = frozenset({6, UDP, 33, 132})  # TCP, DCCP, SCTP
NOT_ALLOWED = (
    "makes the daemon break the protocol on purpose, so that it protects nothing: if that is meant, write "
    "impairments_allowed = true into [daemon], else remove it"
)
PORTS = 'name ports within 1..65534, as in "[udp/4789]" or "[udp/4501-65534]"'


def check(config: Config, unread: Collection[str] = ()) -> list[tuple[str, str]]:
    """All such mistakes, as (key path, text).

    `unread`: "secrets", "pools" or "daemon" if that section is itself invalid, so that checks which depend on
    it are skipped.
    """
    found: list[tuple[str, str]] = []
    for connection in config.connections.values():
        for one, needs in EACH:
            if needs not in unread:
                found += one(connection, f"connections.{connection.name}", config)
    if "secrets" not in unread:
        lacking = without_secret(config, config.connections.values())
        hint = mistyped(config) if lacking else ""
        found += [(key, text + hint) for key, text in lacking]
    if "daemon" not in unread:
        found += [*_ports(config), *_impairments(config), *_ladder(config)]
    found += vxlan.check(config)
    if config.radius is not None and not 1 <= len(config.radius.servers) <= MAX_SERVERS:
        found.append(("radius.servers", f"allowed: 1 to {MAX_SERVERS} servers, [radius.servers.NAME]"))
    found += pools.check(config.pools)
    return found + devices.check(list(config.connections.values()))


def _ladder(config: Config) -> Problems:
    """The page with the messages of IKE is for this machine alone."""
    http = config.daemon.http
    if http is not None and http.ladder and not http.listen[0].is_loopback:
        yield (
            "daemon.http.ladder",
            f"is served on loopback alone, and daemon.http.listen is {http.listen[0]}: "
            'listen on "127.0.0.1:9427", or leave it out',
        )


def _impairments(config: Config) -> Problems:
    """Impairments want consent: who has them by accident has no gateway."""
    asked = {"daemon.impairments": config.daemon.impairments}
    asked |= {f"connections.{name}.impairments": one.impairments for name, one in config.connections.items()}
    for key, texts in asked.items():
        if texts and not config.daemon.impairments_allowed:
            yield key, NOT_ALLOWED


def without_secret(config: Config, connections: Iterable[Connection]) -> list[tuple[str, str]]:
    """Those of its connections for which no secret fits, as (key path, text)."""
    return [problem for connection in connections for problem in _secret(connection, config)]


def mistyped(config: Config) -> str:
    """Hint at the secret that was probably meant for one of them, behind its text. It goes through all
    connections and secrets: once for all that is told at a time."""
    for key, text in secret_use.strangers(config):
        return f"; or is {key} mistyped? {text}"
    return ""


def _children(connection: Connection, key: str, config: Config) -> Problems:
    if not connection.children:
        yield f"{key}.children", f"is missing: a connection needs at least one child, [{key}.children.NAME]"


def _quantum_safe(connection: Connection, key: str, config: Config) -> Problems:
    for index, proposal in enumerate(connection.proposals):
        if connection.pq == "require" and not is_quantum_safe(proposal):
            text = f'may be chosen without ML-KEM, and {key}.pq is "require"; add -ke1_mlkem768'
            yield f"{key}.proposals[{index}]", text


def _ppk(connection: Connection, key: str, config: Config) -> Problems:
    wanted = connection.ppk_id
    if wanted is not None and config.ppk(wanted.data) is None:
        yield (
            f"{key}.ppk_id",
            f'there is no such key: write [secrets.ppk-NAME] with ids = ["{wanted}"] and secret',
        )


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
        ours = _versions(child.local_ts, connection.vips or connection.local_addrs)
        given = [config.pools[name].addrs.base for name in connection.pools if name in config.pools]
        theirs = _versions(child.remote_ts, given or connection.remote_addrs)
        if not ours & theirs:
            (own,), (other,) = ours, theirs
            yield (
                f"{key}.children.{child.name}.remote_ts",
                f"holds IPv{other} only, and local_ts IPv{own} only, so that no packet fits both; "
                "allowed: selectors of one family on both sides",
            )


def _transport(connection: Connection, key: str, config: Config) -> Problems:
    """Transport mode: rules lead packets into the device by protocol, and never IKE's and ESP's own."""
    own = (config.daemon.port, config.daemon.port_nat_t)
    for child in connection.children.values():
        for index, one in enumerate(child.remote_ts if child.transport else ()):
            where = f"{key}.children.{child.name}.remote_ts[{index}]"
            if isinstance(one, str) or one.protocol in (0, ESP):
                yield (
                    where,
                    "transport mode needs a protocol that tells its packets from others to the peer: write "
                    '"192.0.2.1/32[gre]", "0.0.0.0/0[udp/4789]" or the like',
                )
            elif one.protocol == UDP and any(one.first_port <= port <= one.last_port for port in own):
                yield where, f"covers IKE itself, which must not enter the tunnel: {PORTS}"
        for name in ("local_ts", "remote_ts") if child.transport else ():
            for index, one in enumerate(getattr(child, name)):
                if isinstance(one, Selector) and one.protocol in WITH_PORTS and not _led(one):
                    yield (
                        f"{key}.children.{child.name}.{name}[{index}]",
                        f"no rule can hold these ports: {PORTS}",
                    )


def _led(selector: Selector) -> bool:
    """Whether a rule (ip-rule(8)) can hold its ports."""
    return selector.all_ports or 1 <= selector.first_port <= selector.last_port <= 65534


def _versions(
    selectors: Sequence[Selector | Dynamic], addresses: Sequence[Address | Network | str | DnsName]
) -> set[int]:
    """The IP versions of selectors, of which "dynamic" is the virtual or IKE address."""
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


def _own_identity(connection: Connection, key: str, config: Config) -> Problems:
    own = connection.local.id
    if own is not None and own.regular:
        yield f"{key}.local.id", "is a regular expression; allowed: the one identity that we have"


def _secret(connection: Connection, config: Config) -> Problems:
    if "psk" not in connection.methods:
        return
    key = f"connections.{connection.name}"
    local, remote = connection.local.id, connection.remote.id
    if local is not None and remote is not None and not remote.is_pattern:
        if config.psk(local, remote) is None:
            yield (
                f"{key}.remote.id",
                f'no secret fits "{local}" and "{remote}": add [secrets.ike-{connection.name}] with ids and '
                "secret, secret_file or secret_env",
            )
    elif not config.has_psks:
        yield key, f'auth = "psk" without any secret: add [secrets.ike-{connection.name}]'


def _radius(connection: Connection, key: str, config: Config) -> Problems:
    for side in ("local", "local2"):
        if side in connection.ends and connection.ends[side].eap == "eap-radius":
            allowed = (
                'allowed of ours: "eap-mschapv2", "eap-tls", "eap-md5", or "eap" for whichever is asked for'
            )
            yield f"{key}.{side}.auth", f'"eap-radius" is for users who come to a gateway; {allowed}'
    for side in ("remote", "remote2") if config.radius is None else ():
        if side in connection.ends and connection.ends[side].eap == "eap-radius":
            yield f"{key}.{side}.auth", "there is no RADIUS server to ask: add [radius.servers.NAME]"


def _pools(connection: Connection, key: str, config: Config) -> Problems:
    for index, name in enumerate(connection.pools):
        if name not in config.pools:
            known = ", ".join(sorted(config.pools)[:16]) or "there is none yet"
            yield f"{key}.pools[{index}]", f"there is no such pool: add [pools.NAME] with addrs ({known})"
    if connection.pools and connection.vips:
        yield f"{key}.vips", "we can't ask for an address where we give them: leave out vips or pools"


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
    (_quantum_safe, ""),
    (_ppk, "secrets"),
    (_can_initiate, ""),
    (_other_end, "daemon"),
    (_families, ""),
    (_transport, "daemon"),
    (_own_identity, ""),
    (_radius, ""),
    (_pools, "pools"),
    (_own_device, ""),
    (_sources, ""),
    (_second_routes, ""),
    (_local_port, "daemon"),
)
