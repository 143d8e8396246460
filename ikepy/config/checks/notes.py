"""Finds settings that are valid but probably unintended; `ikepy check` and the start warn of them."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from ipaddress import IPv4Address, IPv6Address

from esp.packet.selectors import Selector
from ikepy.config.checks import router_notes, weak_algorithms
from ikepy.config.model import Child, Config, Connection, DnsName
from ikepy.config.values import Address, Dynamic, Network

Notes = Iterator[tuple[str, str]]
MAIN_TABLE = 254  # linux/rtnetlink.h
NOT_MUTUAL = ("eap-md5", "eap-mschapv2")  # by which the server does not prove itself well enough
IMPAIRED = "the daemon may break the protocol on purpose, and protects nothing then: is that meant?"
Same = tuple[int | None, int | None, frozenset[Selector | Dynamic], frozenset[Selector | Dynamic]]


def notes(config: Config) -> list[tuple[str, str]]:
    """All of them, as (key path, text)."""
    found: list[tuple[str, str]] = []
    for connection in config.connections.values():
        for one in EACH:
            found += one(connection, f"connections.{connection.name}")
    found += [("daemon.impairments_allowed", IMPAIRED)] if config.daemon.impairments_allowed else []
    found += _key_log(config)
    return [*found, *_unreachable(config), *_same_selectors(config), *router_notes.notes(config)]


def _key_log(config: Config) -> Notes:
    directory = config.daemon.keylog_dir
    if directory is not None:
        yield (
            "daemon.keylog_dir",
            f"ALL KEYS of IKE and ESP are written to {directory}: who reads them there reads what the "
            "tunnels carry; it is for labs and debugging, remove it elsewhere",
        )


def _users(connection: Connection, key: str) -> Notes:
    """EAP of which less can be expected than of other methods."""
    if connection.remote.eap and connection.local.auth.kind == "psk":
        yield (
            f"{key}.local.auth",
            'users prove themselves by EAP to a gateway that "psk" proves: each of them has its secret, and '
            'can pretend to be it (RFC 7296 2.16); take "pubkey"',
        )
    for side, auth in connection.ends.items():
        if auth.eap == "eap-md5":
            yield (
                f"{key}.{side}.auth",
                '"eap-md5" makes no keys, so that somebody in between can take the proof for its own; it is '
                "for labs",
            )


def _eap_of_both(connection: Connection, key: str) -> Notes:
    """Pairs of methods by which no set-up succeeds (RFC 5998 4; RFC 7296 2.16: EAP is the initiator's)."""
    for number, (ours, theirs) in enumerate(zip(connection.locals, connection.remotes, strict=False), 1):
        side = f"{key}.local{number if number > 1 else ''}.auth"
        weak = next((one for one in (ours.eap, theirs.eap) if one in NOT_MUTUAL), "")
        if ours.eap and theirs.eap and weak:
            yield (
                side,
                f'EAP alone takes "eap-tls" on both sides (RFC 5998 4): with "{weak}" no set-up succeeds; '
                'let the gateway prove itself by "pubkey"',
            )
    actions = {child.start_action for child in connection.children.values()} - {"none"}
    if actions and connection.remote.eap and not connection.local.eap:
        yield (
            f"{key}.remote.auth",
            f"only who initiates can prove itself by EAP (RFC 7296 2.16), and start_action = "
            f'"{min(actions)}" has us initiate: no set-up of ours succeeds; take start_action = "none"',
        )


def _anybody(connection: Connection, key: str) -> Notes:
    """A gateway that we begin with, and that any certificate of a CA proves: users have certificates, too."""
    remote = connection.remote
    known = remote.id is not None or remote.certs or remote.pubkeys
    places = [one for one in connection.remote_addrs if isinstance(one, IPv4Address | IPv6Address | DnsName)]
    if places and remote.auth.kind == "pubkey" and not known:
        yield (
            f"{key}.remote.id",
            f"absent: whoever has a certificate of an accepted CA can pretend to be {places[0]}, users among "
            'them; write whose certificate it has to be, as "gw.example.org"',
        )


def _lifetimes(connection: Connection, key: str) -> Notes:
    for child in connection.children.values():
        yield from _life(child, f"{key}.children.{child.name}")
    for name in ("rekey_time", "reauth_time"):
        seconds = getattr(connection, name)
        if seconds and connection.random_time > seconds:
            absent = " (absent: over_time)" if connection.rand_time is None else ""
            yield (
                f"{key}.{name}",
                f"rand_time{absent} is longer, so that chance may have it happen at once, again and again; "
                f"take rand_time below {seconds:g} seconds",
            )


def _life(child: Child, key: str) -> Notes:
    """Lifetimes (time, bytes, packets) that end before the rekey, or whose random part exceeds it."""
    for what, rekey, life, rand in (
        ("time", child.rekey_time, child.life_time, child.rand_time),
        ("bytes", child.rekey_bytes, child.life_bytes, child.rand_bytes),
        ("packets", child.rekey_packets, child.life_packets, child.rand_packets),
    ):
        if rekey and life and life <= rekey:
            yield (
                f"{key}.life_{what}",
                f"ends the child before rekey_{what} ({rekey:g}) replaces it: traffic stops meanwhile; "
                "take more than that, or leave it out for a tenth more",
            )
        spread = max(life - rekey, 0) if rand is None and life else rand or 0
        if rekey and spread > rekey:
            yield (
                f"{key}.rekey_{what}",
                f"{'life' if rand is None else 'rand'}_{what} is so large that chance may have it happen at "
                f"once, again and again; take rand_{what} below {rekey:g}",
            )


def _weak_algorithms(connection: Connection, key: str) -> Notes:
    for check in (weak_algorithms.weak, weak_algorithms.too_large):
        for text in check(connection.proposals):
            yield f"{key}.proposals", text
    for child in connection.children.values():
        for text in weak_algorithms.weak(child.esp_proposals):
            yield f"{key}.children.{child.name}.esp_proposals", text


def _into_itself(connection: Connection, key: str) -> Notes:
    """Networks routed into the tunnel that cover the address its own IKE and ESP packets go to."""
    peers = [one for one in connection.remote_addrs if isinstance(one, IPv4Address | IPv6Address)]
    for where, network in _routed(connection):
        for peer in peers:
            if _covers(network, peer):
                yield (
                    f"{key}.{where}",
                    f"covers the peer's own address {peer}: IKE and ESP packets to it must not enter the "
                    "tunnel, so that this address is exempted from it; leave it out",
                )


def _in_the_clear(connection: Connection, key: str) -> Notes:
    """Transport mode with peers to whose addresses nothing leads before they have a child."""
    unknown = [
        one for one in connection.remote_addrs if not isinstance(one, IPv4Address | IPv6Address | DnsName)
    ]
    if unknown and any(child.transport for child in connection.children.values()):
        yield (
            f"{key}.remote_addrs",
            "names a peer of transport mode by no address of its own: what this host sends to it leaves in "
            "the clear while it has no child; write its address or name, or have a firewall drop that",
        )


def _routed(connection: Connection) -> Iterator[tuple[str, Network | Selector]]:
    vti = connection.vti
    for index, address in enumerate(vti.addresses):
        yield f"vti.addresses[{index}]", address.network
    for index, route in enumerate(vti.routes or ()):
        if (route.table or vti.table) not in (None, MAIN_TABLE):  # routes there leave peers' addresses out
            yield f"vti.routes[{index}]", route.to
    if vti.routes is None and vti.table not in (None, MAIN_TABLE):
        for child in connection.children.values():
            for index, selector in enumerate(child.remote_ts):
                if isinstance(selector, Selector) and not selector.all_addresses:
                    yield f"children.{child.name}.remote_ts[{index}]", selector


def _unreachable(config: Config) -> Notes:
    """Connections that can't initiate, of a daemon whose ports nobody can know."""
    if config.daemon.port or config.daemon.port_nat_t:
        return
    for connection in config.connections.values():
        if not any(isinstance(one, IPv4Address | IPv6Address | DnsName) for one in connection.remote_addrs):
            yield (
                f"connections.{connection.name}.remote_addrs",
                "holds no address to initiate to, and daemon.port = 0 is a port that no peer knows: nobody "
                "can set this connection up; name the peer's address, or take port 500",
            )


def _covers(network: Network | Selector, address: Address) -> bool:
    if isinstance(network, Selector):
        return network.version == address.version and network.first <= int(address) <= network.last
    return network.version == address.version and address in network


def _same_selectors(config: Config) -> Notes:
    """Equal selectors of two connections; not 0/0, where routes decide, nor "dynamic", where addresses do."""
    taken: dict[Same, str] = {}
    for connection in config.connections.values():
        own: dict[Same, str] = {}
        for child in connection.children.values():
            if _narrow(child):
                vti = connection.vti
                same = vti.table, vti.metric, frozenset(child.local_ts), frozenset(child.remote_ts)
                own.setdefault(same, f"connections.{connection.name}.children.{child.name}")
        for same, key in own.items():
            if same in taken:
                yield (
                    f"{key}.remote_ts",
                    f"{taken[same]} has the same selectors: while both tunnels are up they share the flows "
                    "(ECMP); a larger vti.metric makes one of them the standby of the other",
                )
        for same, key in own.items():
            taken.setdefault(same, key)


def _narrow(child: Child) -> bool:
    return all(isinstance(one, Selector) and not one.all_addresses for one in child.remote_ts)


# The checks of every connection.
EACH: tuple[Callable[[Connection, str], Notes], ...] = (
    _users,
    _eap_of_both,
    _anybody,
    _lifetimes,
    _weak_algorithms,
    _into_itself,
    _in_the_clear,
)
