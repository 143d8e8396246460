"""Desired and actual state of a device as values, and their difference as operations.

Setting a device up and repairing it after a change from outside use the same `difference`. What others have
added (addresses, routes) stays.

Not held, though it is set once: the queue's length, which an administrator may tune by hand at no loss;
the offloads that we asked for (TUNSETOFFLOAD), some of which `ethtool -K` takes away: packets come in smaller
pieces, and traffic goes on. Never set, so nothing to hold: rp_filter, forwarding, the qdisc, GSO sizes.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from ipaddress import IPv6Address, ip_interface

from tun.netlink import Address, Interface, Network
from tun.point_to_point import pair_peers

RT_TABLE_MAIN = 254  # linux/rtnetlink.h
DEFAULT_METRIC = {4: 0, 6: 1024}  # of a route that is added without one, or with 0
# The next hop of an IPv6 route that devices share: any link-local address that nobody has does.
SHARED_GATEWAY = IPv6Address("fe80::696b:6570")
IPV6_MIN_MTU = 1280  # RFC 8200 5: below it the kernel takes IPv6 off the device

Pairing = tuple[Interface, Address | None]  # an address of a device, and the peer's if it is point-to-point


@dataclass(frozen=True, slots=True)
class Route:
    """A route to `network`, made by `Route.of`.

    `device`: the index of its device; 0: the device to whose state it belongs. `gateway`: the next hop; None:
    the network is on the link. `source`: the address that packets of this host get which have none yet.
    """

    network: Network
    table: int
    metric: int
    gateway: Address | None = None
    device: int = 0
    source: Address | None = None

    @classmethod
    def of(
        cls,
        network: Network,
        table: int | None = None,
        metric: int | None = None,
        gateway: Address | None = None,
        device: int = 0,
        source: Address | None = None,
    ) -> Route:
        """`table` None: the main one; `metric` None: the kernel's default."""
        return cls(
            network,
            table or RT_TABLE_MAIN,
            metric or DEFAULT_METRIC[network.version],
            gateway,
            device,
            source,
        )

    @property
    def key(self) -> tuple[Network, int, int, Address | None]:
        """What tells it from the other routes of a device: one of the same key takes its place."""
        return self.network, self.table, self.metric, self.gateway

    def __str__(self) -> str:
        via = "" if self.gateway in (None, SHARED_GATEWAY) else f" via {self.gateway}"
        table = "" if self.table == RT_TABLE_MAIN else f" in table {self.table}"
        metric = "" if self.metric == DEFAULT_METRIC[self.network.version] else f" with metric {self.metric}"
        source = "" if self.source is None else f" from {self.source}"
        return f"{self.network}{via}{table}{metric}{source}"


@dataclass(frozen=True, slots=True)
class DeviceState:
    """The desired state of a device. Once it was up, its administrator decides whether it is.

    `retired`: addresses of ours that it is to have no more, unlike those that others have added.
    `neighbours`: devices (indices) that may be next hops of the same routes.
    """

    mtu: int  # octets
    addresses: tuple[Pairing, ...] = ()
    routes: frozenset[Route] = frozenset()
    carrier: bool = True
    retired: frozenset[Pairing] = frozenset()
    neighbours: frozenset[int] = frozenset()

    @property
    def with_ipv6(self) -> bool:
        return any(own.version == 6 for own, _ in self.addresses)


@dataclass(frozen=True, slots=True)
class Seen:
    """The actual state of a device. `carrier` is False while it is down; `quiet`: IPv6 autoconfiguration is
    off."""

    up: bool
    mtu: int
    carrier: bool
    quiet: bool
    addresses: frozenset[Pairing]
    routes: frozenset[Route]  # through this device, the kernel's own ones too


@dataclass(frozen=True, slots=True)
class SetMtu:
    mtu: int
    was: int

    def __str__(self) -> str:
        return f"its MTU was {self.was} instead of {self.mtu}"


@dataclass(frozen=True, slots=True)
class StopAutoconfiguration:
    def __str__(self) -> str:
        return "its IPv6 autoconfiguration was on"


@dataclass(frozen=True, slots=True)
class SetUp:
    def __str__(self) -> str:
        return "it was down"


@dataclass(frozen=True, slots=True)
class SetCarrier:
    on: bool

    def __str__(self) -> str:
        return f"its carrier was {'off' if self.on else 'on'}"


@dataclass(frozen=True, slots=True)
class AddAddress:
    """`anew`: it is there, but not the route to its network, which the kernel makes with it."""

    own: Interface
    peer: Address | None
    anew: bool = False

    def __str__(self) -> str:
        return f"{'the route to the network of ' if self.anew else ''}its address {self.own} was missing"


@dataclass(frozen=True, slots=True)
class RemoveAddress:
    own: Interface
    peer: Address | None

    def __str__(self) -> str:
        return f"it had the address {self.own}"


@dataclass(frozen=True, slots=True)
class AddRoute:
    route: Route

    def __str__(self) -> str:
        return f"the route to {self.route} through it was missing"


@dataclass(frozen=True, slots=True)
class RemoveRoute:
    route: Route

    def __str__(self) -> str:
        return f"there was a route to {self.route} through it"


Operation = (
    SetMtu | StopAutoconfiguration | SetUp | SetCarrier | AddAddress | RemoveAddress | AddRoute | RemoveRoute
)


def device_state(
    addresses: Sequence[Interface],
    peers: Sequence[Address],
    mtu: int,
    routes: Iterable[Route] = (),
    *,
    table: int | None = None,
    carrier: bool = True,
) -> DeviceState:
    """The state of a device with these addresses (`tun.point_to_point` pairs them with the peers).

    A peer that needs a route gets it in `table` (None: main).
    """
    point_to_point = pair_peers(addresses, peers)
    further = {Route.of(ip_interface(peer).network, table) for peer in point_to_point.routed_peers}
    return DeviceState(mtu, point_to_point.addresses, frozenset(further.union(routes)), carrier)


def difference(desired: DeviceState, seen: Seen, *, bring_up: bool = False) -> list[Operation]:
    """The operations that bring a device from `seen` to `desired`, in an order that the kernel permits.

    Without `bring_up` a device that is down stays so. Such a device has no routes and no IPv6 addresses, and
    can't have any until it is up; nor can its carrier be seen.
    """
    found: list[Operation] = []
    if seen.mtu != desired.mtu:
        found.append(SetMtu(desired.mtu, seen.mtu))
    if not seen.quiet and desired.mtu >= IPV6_MIN_MTU:
        found.append(StopAutoconfiguration())
    if not seen.up and bring_up:
        found.append(SetUp())
    retired = sorted(desired.retired & seen.addresses, key=str)
    if not seen.up and not bring_up:
        return [*found, *(RemoveAddress(own, peer) for own, peer in retired)]
    if seen.carrier != desired.carrier:
        found.append(SetCarrier(desired.carrier))
    found += removals(retired, desired)
    missing: list[Operation] = [*_addresses(desired, seen)]
    missing += [AddRoute(one) for one in sorted(desired.routes - seen.routes, key=str)]
    found += [one for one in missing if one not in found]
    return found


def removals(gone: Iterable[Pairing], desired: DeviceState) -> list[Operation]:
    """The operations that remove addresses and leave all else of `desired` in place.

    With an IPv4 address the kernel removes the other ones of its subnet that came later, and with the last
    one all IPv4 routes through the device (ip-address(8), `promote_secondaries`): these are added again.
    """
    found: list[Operation] = [RemoveAddress(own, peer) for own, peer in gone]
    if not any(isinstance(one, RemoveAddress) and one.own.version == 4 for one in found):
        return found
    found += [AddAddress(own, peer) for own, peer in desired.addresses if own.version == 4]
    routes = (one for one in desired.routes if one.network.version == 4)
    return found + [AddRoute(one) for one in sorted(routes, key=str)]


def _addresses(desired: DeviceState, seen: Seen) -> Iterator[AddAddress]:
    here = {route.network for route in seen.routes}
    for own, peer in desired.addresses:
        if (own, peer) not in seen.addresses:
            yield AddAddress(own, peer)
        elif seen.up and (network := _on_link(own, peer)) is not None and network not in here:
            yield AddAddress(own, peer, anew=True)


def _on_link(own: Interface, peer: Address | None) -> Network | None:
    """The network to which the kernel adds a route with an address; None: no such route."""
    if peer is None and own.network.prefixlen == own.max_prefixlen:
        return None
    return ip_interface(f"{peer or own.ip}/{own.network.prefixlen}").network
