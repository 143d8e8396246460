"""Whose doing something is: the network that a stranger sends from, or a peer; by it use is summed up."""

from __future__ import annotations

import re
from dataclasses import dataclass
from functools import lru_cache
from ipaddress import IPv4Network, IPv6Network, ip_network

from ikepy.sa.api.path import Address

Prefix = IPv4Network | IPv6Network

# The longest prefix that is routed by itself, so commonly one holder's; and what one site is given, within
# which a host takes whatever address it likes (RFC 6177, BCOP 690).
PREFIX_LENGTHS = {4: 24, 6: 56}
_VARIABLE = re.compile(r"#?\b(?:[0-9a-f]*\d|[0-9a-f]*:(?=[0-9a-f:]))[\w.:\[\]/]*")  # numbers, SPIs, addresses


@lru_cache(8192)
def prefix_of(address: Address) -> Prefix:
    """The network that an address is summed up with others under."""
    return ip_network((address, PREFIX_LENGTHS[address.version]), strict=False)


@dataclass(frozen=True, slots=True)
class Peer:
    """The other end of a connection; `identity` is empty as long as it has not proven one."""

    connection: str
    identity: str = ""

    def __str__(self) -> str:
        return self.identity or self.connection


def kind_of(text: str) -> str:
    """What lines that differ in numbers, addresses and details only have in common."""
    return _VARIABLE.sub("#", text).partition(",")[0].partition(" (")[0].strip()
