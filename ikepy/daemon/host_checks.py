"""Checks of a configuration that need this machine, for `ikepy check`: its devices and its routes."""

from __future__ import annotations

from collections.abc import Iterator
from ipaddress import IPv4Address, IPv6Address

from ikepy.config.model import Config, Connection
from ikepy.daemon.checks import device_exists, is_tun, missing_libraries
from ikepy.daemon.control.control_socket import refuse_living
from ikepy.daemon.device import sysctls
from ikepy.daemon.device.route_exclusion import around, hole
from ikepy.daemon.errors import StartError
from ikepy.daemon.interfaces import NetworkConfig

RT_TABLE_MAIN = 254  # linux/rtnetlink.h
Problems = Iterator[tuple[str, str]]


def mistakes(config: Config) -> Problems:
    """What `ikepy run` would refuse, as (key path, text)."""
    yield from missing_libraries(config)
    for connection in config.connections.values():
        name = connection.vti.name
        if device_exists(name) and not is_tun(name):
            yield (
                f"connections.{connection.name}.vti.name",
                f"{name} exists on this machine and is none of ikepy's devices; allowed: a free name, "
                'like "vti0"',
            )


def remarks(config: Config, network: NetworkConfig) -> list[tuple[str, str]]:
    """What `ikepy run` would warn of, or perhaps refuse, as (key path, text)."""
    found = [] if _is_running(config) else list(_taken(config))
    if config.daemon.sysctls == "check":
        found += [("daemon.sysctls", text) for text in sysctls.words(sysctls.lacking(config))]
    for connection in config.connections.values():
        found += _on_link(connection, network)
    return found


def _is_running(config: Config) -> bool:
    try:
        refuse_living(config.daemon.socket)
    except (StartError, OSError):
        return True
    return False


def _taken(config: Config) -> Problems:
    for connection in config.connections.values():
        if device_exists(connection.vti.name):
            yield (
                f"connections.{connection.name}.vti.name",
                f"a TUN device {connection.vti.name} exists, and no ikepy answers on {config.daemon.socket}: "
                "if another program has it, the start is refused; take another name",
            )


def _on_link(connection: Connection, network: NetworkConfig) -> Problems:
    """Routes of which nothing is left without the peer's address (`ikepy.daemon.device.route_exclusion`)."""
    vti = connection.vti
    for index, configured in enumerate(vti.routes or ()):
        route = configured.to
        if (configured.table or vti.table) not in (None, RT_TABLE_MAIN):
            continue
        for remote in connection.remote_addrs:
            if not isinstance(remote, IPv4Address | IPv6Address) or remote not in route:
                continue
            best = network.best_route(remote)
            if around(route, [hole(route, remote, best)]):
                continue
            linked = f", and {best.network} is on our own link" if best is not None and best.on_link else ""
            yield (
                f"connections.{connection.name}.vti.routes[{index}]",
                f"holds the peer's own address {remote}{linked}: IKE and ESP packets must not enter the "
                "tunnel, so that it gets no route at all; allowed: networks behind the peer",
            )
