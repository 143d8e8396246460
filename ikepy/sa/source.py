"""Whence strangers send: by what their use is summed up."""

from __future__ import annotations

from functools import lru_cache
from ipaddress import IPv4Network, IPv6Network, ip_network

from .path import Address

Prefix = IPv4Network | IPv6Network

# The longest prefix that is routed by itself, so commonly one holder's; and what one site is given, within
# which a host takes whatever address it likes (RFC 6177, BCOP 690).
PREFIX_LENGTHS = {4: 24, 6: 56}


@lru_cache(8192)
def prefix_of(address: Address) -> Prefix:
    """The network that an address is summed up with others under."""
    return ip_network((address, PREFIX_LENGTHS[address.version]), strict=False)
