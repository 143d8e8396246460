"""Chooses this host's addresses to listen on: those that the connections' `local_addrs` permit."""

from __future__ import annotations

import errno
import socket
from collections.abc import Callable, Collection, Iterator, Sequence
from ipaddress import IPv4Address, IPv6Address
from itertools import islice

from ikepy.config.model import Config
from ikepy.daemon import log
from ikepy.daemon.net.resolver import EXCHANGE, fixed_addresses, permits
from ikepy.sa.api.names import NameTable, names_of
from ikepy.sa.api.path import Address

NOT_LOOKED_UP = NameTable()  # at the start: an address that a name means gets its sockets a moment later
MOST_LISTED = 5  # addresses in a line


def served(config: Config, local: Sequence[Address], names: NameTable) -> list[Address]:
    """Those of `local` that a connection names, or that a network or "%any" among its addresses permits."""
    patterns = [pattern for each in config.connections.values() for pattern in each.local_addrs]
    return [address for address in local if permits(patterns, address, names)]


def turned_round(config: Config, local: Collection[Address]) -> Iterator[tuple[str, str]]:
    """Connections whose peer is this host by its address, and we are not, as (key path, text). `local`: this
    host's addresses. Two daemons may share an address on different ports."""
    here, ports = frozenset(local), (config.daemon.port, config.daemon.port_nat_t)
    for connection in config.connections.values():
        own = fixed_addresses(connection.local_addrs)
        if connection.remote_port not in ports or not here.isdisjoint(own):
            continue
        for number, remote in enumerate(connection.remote_addrs):
            if remote in here:
                text = f"{remote} is an address of this machine, where the peer's belongs: {EXCHANGE}"
                yield f"connections.{connection.name}.remote_addrs[{number}]", text


def addresses_to_serve(
    config: Config, local: Sequence[Address], is_local: Callable[[Address], bool]
) -> list[Address]:
    """The connections' local addresses, and those of `local` that a network or "%any" among them permits.

    `is_local`: whether one that is not among `local` is this host's by a route. One that this host does not
    have yet is left out, with a log line, even if it can be bound (sysctl ip_nonlocal_bind): it gets its
    sockets once it has come.
    """
    named: dict[Address, str] = {}  # with the key path in the configuration
    patterns: list[object] = []
    for connection in config.connections.values():
        for number, one in enumerate(connection.local_addrs):
            if isinstance(one, IPv4Address | IPv6Address):
                named.setdefault(one, f"connections.{connection.name}.local_addrs[{number}]")
        patterns += connection.local_addrs
    here = set(local)
    missing = [one for one in named if not (is_ours(one) and (one in here or is_local(one)))]
    if missing:
        listed = ", ".join(f"{one} ({named[one]})" for one in missing[:MOST_LISTED])
        more = f" and {len(missing) - MOST_LISTED} more" if len(missing) > MOST_LISTED else ""
        is_not = "is not an address" if len(missing) == 1 else "are no addresses"
        log.warning("net", f"{listed}{more} {is_not} of this machine yet: waited for", "net")
    for key, text in islice(turned_round(config, local), MOST_LISTED):
        log.warning("net", f"{key}: {text}", "net")
    addresses = dict.fromkeys(address for address in named if address not in missing)
    for address in local:
        if address in named or not permits(patterns, address, NOT_LOOKED_UP):
            continue
        if is_ours(address):
            addresses[address] = None
        else:
            log.warning("net", f"{address} can't be used: it is not listened on", "net")
    if not addresses and not missing and not names_of(patterns):
        log.warning("net", "no address of this machine is in any local_addrs yet: waited for", "net")
    return list(addresses)


def is_ours(address: Address) -> bool:
    """Whether a socket can be bound to the address now."""
    family = socket.AF_INET if address.version == 4 else socket.AF_INET6
    try:
        with socket.socket(family, socket.SOCK_DGRAM) as probe:
            probe.bind((str(address), 0))
    except OSError as error:
        if error.errno in (errno.EADDRNOTAVAIL, errno.EAFNOSUPPORT):
            return False
        raise
    return True
