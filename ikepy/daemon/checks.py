"""What is checked before anything is opened, so that a start that can't succeed leaves no trace."""

from __future__ import annotations

import errno
import socket
from collections.abc import Sequence
from ipaddress import IPv4Address, IPv6Address
from pathlib import Path

from ikepy.config.model import Config
from ikepy.daemon import log
from ikepy.daemon.control_socket import refuse_living
from ikepy.daemon.errors import StartError
from ikepy.daemon.resolver import fixed_addresses, permits
from ikepy.sa.path import Address


def check(config: Config, control: Path) -> None:
    """Raise StartError for what the system wouldn't permit: addresses, device names, a daemon that runs."""
    for connection in config.connections.values():
        key = f"connections.{connection.name}"
        for number, address in enumerate(connection.local_addrs):
            if isinstance(address, IPv4Address | IPv6Address) and not is_ours(address):
                text = f"{address} is not an address of this machine"
                raise StartError(text, key=f"{key}.local_addrs[{number}]")
        if device_exists(connection.vti.name):
            text = f"a device {connection.vti.name} exists already"
            raise StartError(text, key=f"{key}.vti.name")
    if config.daemon.port == config.daemon.port_nat_t:
        raise StartError("must differ from daemon.port", key="daemon.port_nat_t")
    refuse_living(control)


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


def device_exists(name: str) -> bool:
    try:
        socket.if_nametoindex(name)
    except OSError:
        return False
    return True


def served(config: Config, local: Sequence[Address]) -> list[Address]:
    """Those of `local` that a connection names, or that a network or "%any" among its addresses permits."""
    patterns = [pattern for each in config.connections.values() for pattern in each.local_addrs]
    return [address for address in local if permits(patterns, address)]


def addresses_to_serve(config: Config, local: Sequence[Address]) -> list[Address]:
    """The connections' local addresses, and those of `local` that a network or "%any" among them permits."""
    addresses: dict[Address, None] = {}
    patterns: list[object] = []
    for connection in config.connections.values():
        addresses.update(dict.fromkeys(fixed_addresses(connection.local_addrs)))
        patterns += connection.local_addrs
    for address in local:
        if address in addresses or not permits(patterns, address):
            continue
        if is_ours(address):
            addresses[address] = None
        else:
            log.warning("net", f"{address} can't be used: it is not listened on")
    return list(addresses)
