"""Makes an interface's router advertisement of its configuration and of the networks behind the tunnels.

What was announced before and is not any more is taken back by lifetimes of 0.
"""

from __future__ import annotations

import math
from collections.abc import Iterable
from dataclasses import dataclass
from ipaddress import IPv6Address, IPv6Network

from ikepy.config.router_advertisement import MAX_ROUTES, MAX_SERVERS, RouterAdvertisement
from ikepy.daemon.router.messages import (
    LONGEST,
    Advertisement,
    DnsSearchList,
    Mtu,
    Option,
    Preference,
    PrefixInformation,
    RecursiveDnsServers,
    RouteInformation,
    SourceLinkLayerAddress,
)

MOST_TOLD = 4 * MAX_ROUTES  # routes that are remembered until they were taken back
PREFERENCES = {"low": Preference.LOW, "medium": Preference.MEDIUM, "high": Preference.HIGH}


@dataclass(frozen=True, slots=True)
class Content:
    """What hosts keep of our advertisements, apart from the default route."""

    routes: frozenset[IPv6Network] = frozenset()
    prefixes: frozenset[IPv6Network] = frozenset()
    servers: frozenset[IPv6Address] = frozenset()
    domains: frozenset[str] = frozenset()

    def __or__(self, other: Content) -> Content:
        return Content(
            self.routes | other.routes,
            self.prefixes | other.prefixes,
            self.servers | other.servers,
            self.domains | other.domains,
        )

    def __sub__(self, other: Content) -> Content:
        return Content(
            self.routes - other.routes,
            self.prefixes - other.prefixes,
            self.servers - other.servers,
            self.domains - other.domains,
        )


def content(settings: RouterAdvertisement, far: Iterable[IPv6Network]) -> Content:
    """What is to be announced where `far` are the networks behind the tunnels: at most MAX_ROUTES of them."""
    routes: Iterable[IPv6Network] = settings.routes or ()
    if settings.routes is None and not settings.default_router:
        routes = sorted(far)[:MAX_ROUTES]
    return Content(
        frozenset(routes), frozenset(settings.prefixes), frozenset(settings.rdnss), frozenset(settings.dnssl)
    )


def remembered(told: Content, current: Content) -> Content:
    """What hosts may have once `current` is announced, too.

    A peer whose networks change without end makes no end of routes to take back: beyond MOST_TOLD they are
    left to their lifetimes.
    """
    together = told | current
    return current if len(together.routes) > MOST_TOLD else together


def announced(
    settings: RouterAdvertisement, current: Content, former: Content, link_layer: bytes | None
) -> Advertisement:
    """The advertisement of `current`, which takes back what else was in `former`."""
    options = [*_of_link(settings, link_layer)]
    options += _prefixes(settings, current.prefixes, deprecated=False)
    options += _routes(settings, current.routes, settings.routes_lifetime)
    options += _dns(current, settings.dns_servers_lifetime)
    options += _taken_back(settings, former - current, deprecate=True)
    lifetime = settings.default_lifetime if settings.default_router else 0
    return _advertisement(settings, lifetime, options)


def withdrawn(settings: RouterAdvertisement, former: Content, link_layer: bytes | None) -> Advertisement:
    """The final advertisement (RFC 4861 6.2.5): it takes back all that was in `former`."""
    options = [*_of_link(settings, link_layer), *_taken_back(settings, former, settings.deprecate)]
    return _advertisement(settings, 0, options)


def _advertisement(settings: RouterAdvertisement, lifetime: float, options: list[Option]) -> Advertisement:
    return Advertisement(
        settings.hop_limit,
        settings.managed,
        settings.other_config,
        PREFERENCES[settings.preference],
        _seconds(lifetime),
        settings.reachable_time,
        settings.retrans_timer,
        tuple(options),
    )


def _of_link(settings: RouterAdvertisement, link_layer: bytes | None) -> list[Option]:
    options: list[Option] = []
    if settings.source_link_layer and link_layer is not None:
        options.append(SourceLinkLayerAddress(link_layer))
    if settings.mtu is not None:
        options.append(Mtu(settings.mtu))
    return options


def _taken_back(settings: RouterAdvertisement, gone: Content, deprecate: bool) -> list[Option]:
    """A prefix stays valid, as addresses of it are in use; at most it is deprecated (RFC 4862 5.5.4)."""
    return [
        *_prefixes(settings, gone.prefixes, deprecated=deprecate),
        *_routes(settings, gone.routes, 0),
        *_dns(gone, 0),
    ]


def _prefixes(
    settings: RouterAdvertisement, prefixes: Iterable[IPv6Network], deprecated: bool
) -> list[Option]:
    preferred = 0 if deprecated else _seconds(settings.preferred_lifetime)
    valid = _seconds(settings.valid_lifetime)
    return [
        PrefixInformation(one, settings.on_link, settings.autonomous, valid, preferred)
        for one in sorted(prefixes)
    ]


def _routes(settings: RouterAdvertisement, networks: Iterable[IPv6Network], lifetime: float) -> list[Option]:
    preference = PREFERENCES[settings.route_preference]
    return [RouteInformation(one, preference, _seconds(lifetime)) for one in sorted(networks)]


def _dns(names: Content, lifetime: float) -> list[Option]:
    servers, options = sorted(names.servers), list[Option]()
    for first in range(0, len(servers), MAX_SERVERS):
        some = tuple(servers[first : first + MAX_SERVERS])
        options.append(RecursiveDnsServers(some, _seconds(lifetime)))
    if names.domains:
        options.append(DnsSearchList(tuple(sorted(names.domains)), _seconds(lifetime)))
    return options


def _seconds(value: float) -> int:
    return min(math.ceil(value), LONGEST)
