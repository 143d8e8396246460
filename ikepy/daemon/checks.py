"""What is checked and waited for before anything is opened: a start that can't succeed leaves no trace."""

from __future__ import annotations

import asyncio
import errno
import socket
from collections.abc import Sequence
from ipaddress import IPv4Address, IPv6Address
from pathlib import Path

from ikepy.config.model import Config, Connection
from ikepy.daemon import log
from ikepy.daemon.control_socket import refuse_living
from ikepy.daemon.errors import StartError
from ikepy.daemon.resolver import permits
from ikepy.sa.api.path import Address
from tun.links import link_driver

GOING_AWAY = 5.0  # seconds that a device of the last daemon is waited for; a thousand of them go one by one
LOOK_AGAIN = 0.02  # seconds between two looks
MOST_LISTED = 5  # addresses in a line


def check(config: Config, control: Path) -> None:
    """Raise StartError for what won't change by itself: a daemon that runs, a device of another kind."""
    refuse_living(control)
    for connection in config.connections.values():
        if device_exists(connection.vti.name) and not is_tun(connection.vti.name):
            raise _taken(connection)
    if config.daemon.port == config.daemon.port_nat_t:
        raise StartError("must differ from daemon.port", key="daemon.port_nat_t")


async def wait_for_devices(config: Config) -> None:
    """Until the names are free: the kernel takes the devices of a daemon that was killed away one by one.

    Raises StartError for one that stays.
    """
    clock, told = asyncio.get_running_loop().time, False
    for connection in config.connections.values():
        end = clock() + GOING_AWAY
        while device_exists(connection.vti.name):
            if clock() >= end:
                raise _taken(connection)
            if not told:
                log.info("daemon", f"waiting for {connection.vti.name} of the last daemon to go away")
                told = True
            await asyncio.sleep(LOOK_AGAIN)


def _taken(connection: Connection) -> StartError:
    name, key = connection.vti.name, f"connections.{connection.name}.vti.name"
    what = "in use by another program" if is_tun(name) else "none of ikepy's"
    return StartError(f"a device {name} exists already, {what}: choose another name or remove it", key=key)


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


def is_tun(name: str) -> bool:
    """Whether it is a TUN or TAP device, as ours are."""
    try:
        return link_driver(name) == "tun"
    except OSError:
        return False


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
    """The connections' local addresses, and those of `local` that a network or "%any" among them permits.

    What is not there yet is left out, with one line: it is listened on once it has come.
    """
    named: dict[Address, str] = {}  # and where
    patterns: list[object] = []
    for connection in config.connections.values():
        for number, one in enumerate(connection.local_addrs):
            if isinstance(one, IPv4Address | IPv6Address):
                named.setdefault(one, f"connections.{connection.name}.local_addrs[{number}]")
        patterns += connection.local_addrs
    missing = [address for address in named if not is_ours(address)]
    if missing:
        listed = ", ".join(f"{one} ({named[one]})" for one in missing[:MOST_LISTED])
        more = f" and {len(missing) - MOST_LISTED} more" if len(missing) > MOST_LISTED else ""
        is_not = "is not an address" if len(missing) == 1 else "are no addresses"
        log.warning("net", f"{listed}{more} {is_not} of this machine yet: waited for")
    addresses = dict.fromkeys(address for address in named if address not in missing)
    for address in local:
        if address in named or not permits(patterns, address):
            continue
        if is_ours(address):
            addresses[address] = None
        else:
            log.warning("net", f"{address} can't be used: it is not listened on")
    if not addresses and not missing:
        log.warning("net", "no address of this machine is in any local_addrs yet: waited for")
    return list(addresses)
