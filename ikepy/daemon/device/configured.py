"""What the configuration of a connection asks of its device: addresses, routes, carrier for a trap."""

from __future__ import annotations

import logging
from collections.abc import Iterable

from esp.packet.selectors import Selector
from ikepy.config.model import Child as ChildConfig
from ikepy.config.model import Connection
from ikepy.daemon import log
from ikepy.daemon.interfaces import Network
from ikepy.daemon.net.resolver import fixed_addresses
from ikepy.sa.api.network_settings import NetworkSettings
from ikepy.sa.api.path import Address

MOST_ROUTES = 256  # a child's; each is a call into the kernel


def permanent_routes(connection: Connection, trap: bool) -> frozenset[Network]:
    """The configured routes; without them a trap's remote selectors, so that its first packet comes here."""
    if connection.vti.routes is not None:
        return frozenset(connection.vti.routes)
    if not trap:
        return frozenset()
    children = (child for child in connection.children.values() if is_trap(child))
    selectors = [s for child in children for s in child.remote_ts if isinstance(s, Selector)]
    return routable(selectors, connection.name)


def configured_settings(connection: Connection, trap: bool) -> NetworkSettings:
    """The addresses and routes that the configuration gives a device as long as it lives."""
    routes = sorted(permanent_routes(connection, trap), key=str)
    return NetworkSettings(addresses=connection.vti.addresses, subnets=tuple(routes))


def is_trap(child: ChildConfig) -> bool:
    """Whether, now or later, a packet without an SA starts the negotiation of this child."""
    return "trap" in (child.start_action, child.close_action, child.dpd_action)


def has_trap(connection: Connection) -> bool:
    """Whether a packet without an SA may start a child of the connection."""
    return any(is_trap(child) for child in connection.children.values())


def first_addresses(connection: Connection) -> tuple[Address | None, Address | None]:
    """Our first address and the peer's, of one IP version; None for one that is not configured."""
    remote = next(iter(fixed_addresses(connection.remote_addrs)), None)
    own = fixed_addresses(connection.local_addrs)
    return next((a for a in own if remote is None or a.version == remote.version), None), remote


def routable(
    selectors: Iterable[Selector], connection: str, tell: log.Tell = log.device
) -> frozenset[Network]:
    """The networks of the selectors to route into the device; 0/0 only the configuration can route."""
    networks: set[Network] = set()
    for selector in selectors:
        if selector.all_addresses:
            continue
        for network in selector.networks():
            if len(networks) == MOST_ROUTES:
                text = f"more than {MOST_ROUTES} routes wanted: the rest is left out"
                tell(logging.WARNING, connection, text)
                return frozenset(networks)
            networks.add(network)
    return frozenset(networks)
