"""Routes that several devices share: one multipath route with a next hop a device (RFC 2992, ip-route(8)).

The kernel keeps an IPv4 multipath route as one object, which is replaced as a whole; it goes altogether when
one of its devices is deleted. An IPv6 one is a set of routes of one metric, and only routes with a gateway
can be in such a set: `tun.state.SHARED_GATEWAY` is whoever is at the other end of a point-to-point device.
"""

from __future__ import annotations

from collections.abc import Iterable, Set
from dataclasses import dataclass
from ipaddress import ip_address

from pyroute2.netlink import NLM_F_APPEND, NLM_F_CREATE
from pyroute2.netlink.rtnl import RTM_GETROUTE, RTM_NEWROUTE
from pyroute2.netlink.rtnl.rtmsg import rtmsg

from tun import rtnetlink
from tun.netlink import Address
from tun.rtnetlink import FAMILIES, Hop
from tun.state import Route

RTNH_F_DEAD = 1  # linux/rtnetlink.h: its device is down


@dataclass(frozen=True, slots=True)
class Entry:
    """One of the kernel's routes. `dead`: devices (indices) of next hops that are not used: they are down."""

    hops: tuple[Hop, ...]
    dead: frozenset[int]
    source: Address | None

    @property
    def devices(self) -> frozenset[int]:
        return frozenset(hop.device for hop in self.hops)


def entries(route: Route) -> list[Entry]:
    """The kernel's routes to the same network, in the same table and of the same metric. Raises OSError."""
    header = {"family": FAMILIES[route.network.version]}
    found = []
    for one in rtnetlink.dump(rtmsg, RTM_GETROUTE, header, {"RTA_TABLE": route.table}):
        if one["family"] != header["family"]:
            continue
        same = (
            rtnetlink.destination(one),
            one.get_attr("RTA_TABLE") or one["table"],
            one.get_attr("RTA_PRIORITY") or 0,
        )
        if same == (route.network, route.table, route.metric):
            source = one.get_attr("RTA_PREFSRC")
            hops = one.get_attr("RTA_MULTIPATH") or ()
            dead = frozenset(hop["oif"] for hop in hops if hop["flags"] & RTNH_F_DEAD)
            found.append(Entry(tuple(rtnetlink.hops_of(one)), dead, ip_address(source) if source else None))
    return found


def add(device: int, route: Route, neighbours: Set[int]) -> frozenset[int]:
    """Add a route through a device (its index), beside those of its neighbours.

    Returns the devices whose route is in the way (0: a route without a device); nothing is changed then.
    Raises OSError.
    """
    try:
        rtnetlink.add_route(device, route)
    except FileExistsError:
        return _beside(device, route, neighbours)
    return frozenset()


def _beside(device: int, route: Route, neighbours: Set[int]) -> frozenset[int]:
    found = entries(route)
    own = [one for one in found if device in one.devices - one.dead]
    if any(one.source == route.source and _has_gateway(one, device, route) for one in own):
        return frozenset()
    others = frozenset(one for entry in found for one in entry.devices) - {device}
    if not found or not all(one.hops for one in found) or others - neighbours:
        return others or frozenset({0})
    if route.network.version == 4:
        alive = [hop for one in found[:1] for hop in one.hops if hop.device not in {device, *one.dead}]
        _replace(route, [*alive, Hop(device)])
        return frozenset()
    for one in own:
        if _has_gateway(one, device, route):  # with another source address
            rtnetlink.remove_route(device, route)
    rtnetlink.change_route(RTM_NEWROUTE, NLM_F_CREATE | NLM_F_APPEND, "universe", device, route)
    return frozenset()


def _has_gateway(entry: Entry, device: int, route: Route) -> bool:
    return any(hop.device == device and hop.gateway == route.gateway for hop in entry.hops)


def remove(device: int, route: Route, neighbours: Set[int]) -> None:
    """Remove a device's part of a route; the other next hops stay. Raises OSError."""
    if neighbours and route.network.version == 4:
        for one in entries(route):
            if device in one.devices and one.devices != {device}:
                _replace(route, [hop for hop in one.hops if hop.device not in {device, *one.dead}], one)
                return
    rtnetlink.remove_route(device, route)


def _replace(route: Route, hops: Iterable[Hop], before: Entry | None = None) -> None:
    """Make these the next hops of an IPv4 route. `before`: whose preferred source address stays."""
    source = route.source if before is None else before.source
    rtnetlink.replace_hops(route, tuple(hops), source)
