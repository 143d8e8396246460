"""What an IKE_SA gives its device beside its children's selectors (RFC 7296 3.15, RFC 8598).

The configuration gives a device such settings for as long as it is there, and the configuration payload, in
which peers negotiate them, for as long as an IKE_SA lives.
"""

from __future__ import annotations

from dataclasses import dataclass
from ipaddress import IPv4Interface, IPv4Network, IPv6Interface, IPv6Network

from ikepy.sa.api.path import Address


@dataclass(frozen=True, slots=True)
class NetworkSettings:
    """`addresses`: our own inside the tunnel, with their networks (INTERNAL_IP4_ADDRESS and its netmask).

    `subnets`: the networks behind the peer, to be routed into the device (INTERNAL_IP4_SUBNET).
    `dns_servers`, `domains`: which names the peer's name servers resolve (INTERNAL_IP4_DNS,
    INTERNAL_DNS_DOMAIN). `encrypted_dns`: name and addresses of resolvers with TLS, HTTPS or QUIC (RFC 9464).
    All these are shown, and no resolver is changed. `leases`: the addresses that we have given to the peer.
    """

    addresses: tuple[IPv4Interface | IPv6Interface, ...] = ()
    subnets: tuple[IPv4Network | IPv6Network, ...] = ()
    dns_servers: tuple[Address, ...] = ()
    domains: tuple[str, ...] = ()
    encrypted_dns: tuple[str, ...] = ()
    leases: tuple[Address, ...] = ()

    def __bool__(self) -> bool:
        """Whether there is anything in it."""
        return self != NO_SETTINGS


NO_SETTINGS = NetworkSettings()
