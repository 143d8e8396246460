"""IPv6 router advertisements in the model: what an interface of ours announces while tunnels are up.

RFC 4861 6.2.1, RFC 4191, RFC 8106.
"""

from __future__ import annotations

import re
from ipaddress import IPv6Address, IPv6Network
from typing import Annotated, Literal, Self

from pydantic import PlainValidator, model_validator

from ikepy.config import fields, values
from ikepy.config.section import Boolean, Seconds, Section

Preference = Literal["low", "medium", "high"]
Require = Literal["any", "all"]

MAX_ROUTES, MAX_PREFIXES, MAX_SERVERS, MAX_DOMAINS = 256, 32, 16, 16
MAX_ROUTER_LIFETIME = 9000  # seconds (RFC 4861 6.2.1)
MAX_DNSSL = 1200  # octets of all names: they stand in one option, which has to fit a packet of 1280
_WORDS = {word: word for word in ("low", "medium", "high")}
_REQUIRE = {word: word for word in ("any", "all")}
_LABEL = r"[A-Za-z0-9_]([A-Za-z0-9_-]{0,61}[A-Za-z0-9_])?"
_LINK_LOCAL = IPv6Network("fe80::/10")
_MULTICAST = IPv6Network("ff00::/8")


def _network(value: object) -> IPv6Network:
    network = values.network(value)
    if not isinstance(network, IPv6Network):
        raise ValueError('allowed: an IPv6 network, like "fd00:2::/64"')
    return network


def _prefix(value: object) -> IPv6Network:
    network = _network(value)
    if network.overlaps(_LINK_LOCAL) or network.overlaps(_MULTICAST):
        raise ValueError("allowed: a prefix of unicast addresses that are not link-local (RFC 4861 6.2.3)")
    return network


def _server(value: object) -> IPv6Address:
    address = values.address(value)
    if not isinstance(address, IPv6Address) or address.is_multicast or address.is_unspecified:
        raise ValueError('allowed: the IPv6 address of a DNS server, like "fd00:2::53"')
    return address


def _domain(value: object) -> str:
    name = values.text(value).strip().removesuffix(".")
    if len(name) > 253 or not re.fullmatch(rf"{_LABEL}(\.{_LABEL})*", name, re.ASCII):
        raise ValueError('allowed: a domain name in ASCII, like "site-b.example"')
    return name.lower()


class RouterAdvertisement(Section):
    """What one interface announces, and while which connections are up. Times are in seconds.

    `connections` empty: those that may carry IPv6, by their children's `remote_ts`. `routes` None: those of
    the connections, where we are not the default router. `reachable_time`, `retrans_timer`: in milliseconds.
    """

    name: Annotated[str, PlainValidator(values.device_name)]
    connections: Annotated[tuple[str, ...], fields.each(values.text)] = ()
    require: Annotated[Require, fields.choice("condition", _REQUIRE)] = "any"
    default_router: Boolean = True
    router_lifetime: Seconds | None = None  # None: three times max_interval
    preference: Annotated[Preference, fields.choice("preference", _WORDS)] = "medium"
    routes: Annotated[tuple[IPv6Network, ...] | None, fields.each(_network, most=MAX_ROUTES)] = None
    route_lifetime: Seconds | None = None  # None: three times max_interval
    route_preference: Annotated[Preference, fields.choice("preference", _WORDS)] = "medium"
    prefixes: Annotated[tuple[IPv6Network, ...], fields.each(_prefix, most=MAX_PREFIXES)] = ()
    on_link: Boolean = True
    autonomous: Boolean = True
    valid_lifetime: Seconds = 2_592_000.0
    preferred_lifetime: Seconds = 604_800.0
    deprecate: Boolean = False  # set the preferred lifetime to 0 when we withdraw
    rdnss: Annotated[tuple[IPv6Address, ...], fields.each(_server, most=MAX_SERVERS)] = ()
    dnssl: Annotated[tuple[str, ...], fields.each(_domain, most=MAX_DOMAINS)] = ()
    dns_lifetime: Seconds | None = None  # None: three times max_interval
    mtu: Annotated[int | None, fields.integer(fields.MIN_IPV6_MTU, fields.MAX_MTU, "octets")] = None
    hop_limit: Annotated[int, fields.integer(0, 255, "0: unspecified")] = 64
    managed: Boolean = False
    other_config: Boolean = False
    reachable_time: Annotated[int, fields.integer(0, 3_600_000, "milliseconds; 0: unspecified")] = 0
    retrans_timer: Annotated[int, fields.integer(0, 2**32 - 1, "milliseconds; 0: unspecified")] = 0
    source_link_layer: Boolean = True
    max_interval: Annotated[float, fields.number(4, 1800, "seconds")] = 600.0
    min_interval: Annotated[float | None, fields.number(3, 1350, "seconds")] = None

    @model_validator(mode="after")
    def _consistent(self) -> Self:
        """RFC 4861 6.2.1, RFC 4191 2.3."""
        problems: list[tuple[str, str]] = []
        if self.min_interval is not None and self.min_interval > 0.75 * self.max_interval:
            longest = f"{0.75 * self.max_interval:g}"
            problems.append(("min_interval", f"allowed: 3 to {longest} seconds, 0.75 of max_interval"))
        if not self.max_interval <= self.default_lifetime <= MAX_ROUTER_LIFETIME:
            text = f"allowed: {self.max_interval:g} (max_interval) to {MAX_ROUTER_LIFETIME} seconds"
            problems.append(("router_lifetime", f"{text}; default_router = false for none"))
        for key, lifetime in ("route_lifetime", self.route_lifetime), ("dns_lifetime", self.dns_lifetime):
            if lifetime is not None and lifetime < self.max_interval:
                text = (
                    f"allowed: at least max_interval ({self.max_interval:g} seconds), or it ends in between"
                )
                problems.append((key, text))
        if self.preferred_lifetime > self.valid_lifetime:
            problems.append(("preferred_lifetime", "allowed: at most valid_lifetime"))
        if sum(len(domain) + 2 for domain in self.dnssl) > MAX_DNSSL:
            problems.append(("dnssl", f"allowed: at most {MAX_DNSSL} octets in all"))
        if problems:
            raise fields.fail([fields.problem((key,), text) for key, text in problems])
        return self

    @property
    def default_lifetime(self) -> float:
        """Seconds for which hosts use us as default router (AdvDefaultLifetime)."""
        return 3 * self.max_interval if self.router_lifetime is None else self.router_lifetime

    @property
    def routes_lifetime(self) -> float:
        return 3 * self.max_interval if self.route_lifetime is None else self.route_lifetime

    @property
    def dns_servers_lifetime(self) -> float:
        return 3 * self.max_interval if self.dns_lifetime is None else self.dns_lifetime

    @property
    def intervals(self) -> tuple[float, float]:
        """The least and the greatest number of seconds between two (MinRtrAdvInterval, MaxRtrAdvInterval)."""
        return max(
            3.0, 0.33 * self.max_interval
        ) if self.min_interval is None else self.min_interval, self.max_interval
