"""Point-to-point addresses: pairs a device's addresses with the peers' (ip-address(8), `peer`)."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from tun.netlink import Address, Interface


@dataclass(frozen=True, slots=True)
class PointToPoint:
    """The device's addresses, each with its peer's if it has one, and the peers that need a route instead."""

    addresses: tuple[tuple[Interface, Address | None], ...]
    routed_peers: tuple[Address, ...]


def pair_peers(addresses: Sequence[Interface], peers: Sequence[Address]) -> PointToPoint:
    """Pair each peer with the address it belongs to.

    A peer on an address's subnet of two ends (/30, /31, /126, /127) is that address's peer; one that no
    subnet contains is the peer of the first single address (/32, /128) still without one, or gets a route
    of its own. A peer inside a larger subnet needs neither.
    """
    partner: dict[int, Address] = {}
    routed: list[Address] = []
    for peer in peers:
        family = [(at, own) for at, own in enumerate(addresses) if own.version == peer.version]
        around = [(at, own) for at, own in family if peer in own.network]
        pairs = [at for at, own in around if _host_bits(own) in (1, 2) and own.ip != peer]
        singles = [at for at, own in family if _host_bits(own) == 0]
        free = [at for at in (pairs if around else singles) if at not in partner]
        if free:
            partner[free[0]] = peer
        elif not around:
            routed.append(peer)
    return PointToPoint(tuple((own, partner.get(at)) for at, own in enumerate(addresses)), tuple(routed))


def _host_bits(interface: Interface) -> int:
    return interface.max_prefixlen - interface.network.prefixlen
