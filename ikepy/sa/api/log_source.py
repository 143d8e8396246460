"""Whom log lines and resource use are attributed to: a peer, or the network of an unknown sender."""

from __future__ import annotations

import re
from dataclasses import dataclass
from functools import lru_cache
from ipaddress import IPv4Network, IPv6Network, ip_network

from ikepy.sa.api.path import Address

Prefix = IPv4Network | IPv6Network

# IPv4: the longest prefix routed on its own, commonly one holder's. IPv6: what one site is assigned, in which
# a host may take any address (RFC 6177, BCOP 690).
PREFIX_LENGTHS = {4: 24, 6: 56}
_VARIABLE = re.compile(r"#?\b(?:[0-9a-f]*\d|[0-9a-f]*:(?=[0-9a-f:]))[\w.:\[\]/]*")  # numbers, SPIs, addresses


@lru_cache(8192)
def prefix_of(address: Address) -> Prefix:
    """The network under which an address is aggregated with its neighbours."""
    return ip_network((address, PREFIX_LENGTHS[address.version]), strict=False)


@dataclass(frozen=True, slots=True)
class NamedSa:
    """The IKE_SA that a log line is about."""

    connection: str
    ike_id: int
    spi_i: bytes
    spi_r: bytes


@dataclass(frozen=True, slots=True)
class Peer:
    """The other end of a connection; `identity` is empty until it has authenticated."""

    connection: str
    identity: str = ""

    def __str__(self) -> str:
        return self.identity or self.connection


def kind_of(text: str) -> str:
    """A log line without its numbers, addresses and details, so that similar lines compare equal."""
    return _VARIABLE.sub("#", text).partition(",")[0].partition(" (")[0].strip()
