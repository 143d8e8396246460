"""Which devices have the route to a network: of those that need it, those that can carry packets.

The selectors of children, the settings of IKE_SAs and the configuration may ask for one network on several
devices. A device claims a route as long as one of them asks for it; the claimants share the network. Those of
one metric are next hops of one multipath route (ECMP); with different metrics the kernel takes the least, and
the others stand by.
"""

from __future__ import annotations

import logging
from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace

from ikepy.daemon import log
from ikepy.daemon.device.kernel_devices import KernelDevices
from ikepy.daemon.device.vti_device import Place, VtiDevice, place_of
from ikepy.daemon.interfaces import Operation
from tun.state import RT_TABLE_MAIN, SHARED_GATEWAY, AddRoute, RemoveRoute, Route, SetCarrier

MOST_NEXT_HOPS = 16  # of one route; further devices wait until one of them can't carry


@dataclass(frozen=True, slots=True)
class Claim:
    """One device's claim on a network. `live`: it can carry packets; `holds`: it has the route now."""

    metric: int
    live: bool
    holds: bool


def granted(claims: Sequence[Claim]) -> list[bool]:
    """Which of the devices that claim one network in one table get a route to it.

    While one of them can carry packets, those that can't get none, whatever their metrics: the kernel would
    send into the best metric. If none can, all count, so that packets do not leave in the clear by another
    route. Of equal metric those that have the route keep it if there are too many.
    """
    able = [one.live for one in claims] if any(one.live for one in claims) else [True] * len(claims)
    hops: dict[int, list[int]] = defaultdict(list)
    for at, claim in enumerate(claims):
        if able[at]:
            hops[claim.metric].append(at)
    chosen: set[int] = set()
    for several in hops.values():
        chosen.update(sorted(several, key=lambda at: not claims[at].holds)[:MOST_NEXT_HOPS])
    return [at in chosen for at in range(len(claims))]


def as_shared(routes: Sequence[Route]) -> list[Route]:
    """The claimed routes to one network, one a device, as the kernel can have those of one metric together.

    An IPv4 one has one preferred source address for all of its next hops, so none if they differ.
    """
    same: dict[int, list[Route]] = defaultdict(list)
    for route in routes:
        same[route.metric].append(route)
    return [_shared(one, same[one.metric]) if len(same[one.metric]) > 1 else one for one in routes]


class RouteClaims:
    """The claims of all devices on routes, and the routes that follow from them."""

    def __init__(self, kernel: KernelDevices, tell: log.Tell) -> None:
        self._kernel = kernel
        self._tell = tell
        # The routes that devices want, in the order of asking
        self._claims: dict[Place, list[tuple[VtiDevice, Route]]] = {}
        self._contested: set[Place] = set()  # by more than one device

    def claimants(self, places: Iterable[Place]) -> list[VtiDevice]:
        """The devices that want a route to one of these places, each once."""
        return list(dict.fromkeys(device for place in places for device, _ in self._claims.get(place, ())))

    def claim(self, device: VtiDevice, routes: Iterable[Route]) -> None:
        """One more child, or one more settings, needs these routes through the device."""
        places = []
        for route in sorted(routes, key=str):
            device.needed[route] += 1
            if device.needed[route] == 1:
                place = place_of(route)
                claims = self._claims.setdefault(place, [])
                for other, _ in claims:
                    _count(device, other, 1)
                claims.append((device, route))
                if len(claims) > 1:
                    self._contested.add(place)
                places.append(place)
        self._share(places)
        for place in places:
            if place not in device.leads:
                self._tell_waiting(device, place)

    def release(self, device: VtiDevice, routes: Iterable[Route]) -> None:
        """One child, or settings, less needs these routes; other devices get those that have no claim left
        here."""
        places = []
        for route in sorted(routes, key=str):
            device.needed[route] -= 1
            if not device.needed[route]:
                del device.needed[route]
                place = place_of(route)
                claims = self._claims[place]
                claims.remove((device, route))
                if len(claims) < 2:
                    self._contested.discard(place)
                places.append(place)
        self._share(places, leaving=device)
        for place in places:
            for other, _ in self._claims[place]:
                _count(device, other, -1)
        for place in set(places):
            if not self._claims[place]:
                del self._claims[place]

    def carrier_changed(self, device: VtiDevice) -> None:
        """Set the carrier in the kernel to `VtiDevice.carrier`, and share contested routes anew."""
        self._kernel.perform(device, [SetCarrier(device.carrier)])
        self.liveness_changed(device)

    def liveness_changed(self, device: VtiDevice) -> None:
        """Share the routes that several devices claim anew, for this device can, or can't, carry packets
        now."""
        self._share([place for place in map(place_of, device.needed) if place in self._contested])

    def leave_shared(self, device: VtiDevice) -> None:
        """Take a device that is about to be removed out of routes that others share: the kernel would remove
        them with it."""
        shared = [
            route for place, routes in device.leads.items() if place in self._contested for route in routes
        ]
        self._kernel.perform(device, [RemoveRoute(route) for route in shared])

    def _share(self, places: Iterable[Place], leaving: VtiDevice | None = None) -> None:
        """Lead these places into the devices that `granted` names, and no others. `leaving`: one that had
        them, and claims them no more.

        Routes are added before others are removed, so that there is one at any time.
        """
        added: dict[VtiDevice, list[Operation]] = defaultdict(list)
        removed: dict[VtiDevice, list[Operation]] = defaultdict(list)
        for place in dict.fromkeys(places):
            wanted = self._wanted(place)
            moved = False
            devices = dict.fromkeys([*self.claimants([place]), *([leaving] if leaving else [])])
            for device in devices:
                before, after = device.leads.pop(place, frozenset()), wanted.get(device, frozenset())
                if after:
                    device.leads[place] = after
                kept = {route.key for route in after}
                moved |= bool(before) != bool(after)
                added[device] += [AddRoute(route) for route in after - before]
                removed[device] += [RemoveRoute(route) for route in before - after if route.key not in kept]
            if moved and len(devices) > 1:
                self._tell_led(place)
        for share in (added, removed):
            for device, operations in share.items():
                self._kernel.perform(device, operations)

    def _wanted(self, place: Place) -> dict[VtiDevice, frozenset[Route]]:
        """The routes to a place, by the device that they are to lead into."""
        first = {(device, route.metric): route for device, route in reversed(self._claims.get(place, ()))}
        claims = [(device, route) for device, route in self._claims.get(place, ())]
        claims = [(device, route) for device, route in claims if first[device, route.metric] is route]
        routes = [route for _, route in claims]
        grants = granted([_claim(device, route, claims) for device, route in claims])
        shared = as_shared(routes)
        found: dict[VtiDevice, frozenset[Route]] = {}
        for (device, _), route, given in zip(claims, shared, grants, strict=True):
            if given:
                found[device] = found.get(device, frozenset()) | {route}
        return found

    def _tell_led(self, place: Place) -> None:
        devices = self.claimants([place])
        leading = [(route.metric, device) for device in devices for route in device.leads.get(place, ())]
        if leading:
            leading.sort(key=lambda one: (one[0], one[1].device_id))
            several = len({metric for metric, _ in leading}) > 1
            into = ", ".join(f"{d.name} with metric {m}" if several else d.name for m, d in leading)
            table = "" if place[1] == RT_TABLE_MAIN else f" in table {place[1]}"
            idle = "" if any(device.live for _, device in leading) else ", though none can carry packets"
            text = f"{place[0]}{table} leads into {into} now{idle}"
            self._tell(logging.INFO, leading[0][1].connection.name, text)

    def _tell_waiting(self, device: VtiDevice, place: Place) -> None:
        into = ", ".join(one.name for one in self.claimants([place]) if place in one.leads)
        if device.live and not device.settling:
            text = (
                f"{place[0]} leads into {MOST_NEXT_HOPS} devices, as many as there may be; {device.name} "
                "takes part when one of them can't carry it"
            )
            self._tell(logging.WARNING, device.connection.name, text)
        else:
            text = f"{place[0]} leads into {into}; {device.name} takes part when it can carry packets"
            self._tell(logging.INFO, device.connection.name, text)


def _count(one: VtiDevice, other: VtiDevice, number: int) -> None:
    """So many more places are claimed by both."""
    if one is not other:
        for here, there in ((one, other), (other, one)):
            here.sharers[there] += number
            if not here.sharers[there]:
                del here.sharers[there]


def _claim(device: VtiDevice, route: Route, claims: Iterable[tuple[VtiDevice, Route]]) -> Claim:
    """A claim beside the others on the same place: who settles takes nothing from those that carry it."""
    holds = _holds(device, route)
    waits = device.settling and not holds and any(one.live and _holds(one, other) for one, other in claims)
    return Claim(route.metric, device.live and not waits, holds)


def _holds(device: VtiDevice, route: Route) -> bool:
    return any(one.metric == route.metric for one in device.leads.get(place_of(route), ()))


def _shared(route: Route, same: Sequence[Route]) -> Route:
    """A route as it is beside others of its metric."""
    if route.network.version == 6:
        return replace(route, gateway=SHARED_GATEWAY)
    return route if len({one.source for one in same}) == 1 else replace(route, source=None)
