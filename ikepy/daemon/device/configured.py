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
from tun.state import Route

MOST_ROUTES = 256  # a child's; each is a call into the kernel


def plain_route(connection: Connection, network: Network) -> Route:
    """The route to a network that a peer or a selector names, as the section vti has it."""
    vti = connection.vti
    return Route.of(network, vti.table, vti.metric, source=vti.source(network.version))


def permanent_routes(connection: Connection, trap: bool) -> frozenset[Route]:
    """The configured routes; without them a trap's remote selectors, so that its first packet comes here."""
    vti = connection.vti
    if vti.routes is not None:
        return frozenset(
            Route.of(
                one.to,
                one.table or vti.table,
                one.metric or vti.metric,
                source=one.src or vti.source(one.to.version),
            )
            for one in vti.routes
        )
    if not trap:
        return frozenset()
    children = (one for one in connection.children.values() if is_trap(one) and not one.transport)
    selectors = [s for child in children for s in child.remote_ts if isinstance(s, Selector)]
    return frozenset(plain_route(connection, one) for one in routable(selectors, connection.name))


def configured_settings(connection: Connection) -> NetworkSettings:
    """The addresses that the configuration gives a device as long as it lives."""
    return NetworkSettings(addresses=connection.vti.addresses)


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
