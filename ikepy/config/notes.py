"""Finds settings that are valid but probably unintended; `ikepy check` and the start warn of them."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from ipaddress import IPv4Address, IPv6Address

from esp.packet.selectors import Selector
from ikepy.config import router_notes
from ikepy.config.model import Child, Config, Connection, DnsName
from ikepy.config.values import Address, Dynamic, Network

Notes = Iterator[tuple[str, str]]
MAIN_TABLE = 254  # linux/rtnetlink.h
Same = tuple[int | None, int | None, frozenset[Selector | Dynamic], frozenset[Selector | Dynamic]]


def notes(config: Config) -> list[tuple[str, str]]:
    """All of them, as (key path, text)."""
    found: list[tuple[str, str]] = []
    for connection in config.connections.values():
        for one in EACH:
            found += one(connection, f"connections.{connection.name}")
    return [*found, *_unreachable(config), *_same_selectors(config), *router_notes.notes(config)]


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
EACH: tuple[Callable[[Connection, str], Notes], ...] = (_lifetimes, _into_itself)
