"""Which device has the route to a network: one that needs it, and of several that do, one that can carry.

The selectors of children, the settings of IKE_SAs and the configuration may ask for one network on several
devices. A device claims a network as long as one of them asks for it; the claimants share the routes.
"""

from __future__ import annotations

import logging
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from ikepy.daemon import log
from ikepy.daemon.device.kernel_devices import KernelDevices
from ikepy.daemon.device.vti_device import Place, VtiDevice
from ikepy.daemon.interfaces import Network, Operation
from tun.state import AddRoute, RemoveRoute, SetCarrier


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
    route. Of equal metric only one can have a route: the one that holds it, else the first one.
    """
    able = [one.live for one in claims] if any(one.live for one in claims) else [True] * len(claims)
    holder: dict[int, int] = {}
    for at, claim in enumerate(claims):
        if able[at] and (
            claim.metric not in holder or (claim.holds and not claims[holder[claim.metric]].holds)
        ):
            holder[claim.metric] = at
    return [holder.get(claim.metric) == at for at, claim in enumerate(claims)]


class RouteClaims:
    """The claims of all devices on routes, and the routes that follow from them."""

    def __init__(self, kernel: KernelDevices, tell: log.Tell) -> None:
        self._kernel = kernel
        self._tell = tell
        self._claims: dict[Place, list[VtiDevice]] = {}  # the devices that want it, in the order of asking
        self._contested: set[Place] = set()  # by more than one

    def claimants(self, places: Iterable[Place]) -> list[VtiDevice]:
        """The devices that want a route to one of these places, each once."""
        return list(dict.fromkeys(device for place in places for device in self._claims.get(place, ())))

    def claim(self, device: VtiDevice, networks: Iterable[Network]) -> None:
        """One more child, or one more settings, needs routes to these networks through the device."""
        wanted = []
        for network in sorted(networks, key=str):
            device.needed[network] += 1
            if device.needed[network] == 1:
                place = device.place(network)
                claims = self._claims.setdefault(place, [])
                claims.append(device)
                if len(claims) > 1:
                    self._contested.add(place)
                wanted.append(place)
        self._share(wanted)
        for place in wanted:
            if device.route(place[0]) not in device.routes:
                self._tell_taken(device, place)

    def _tell_taken(self, device: VtiDevice, place: Place) -> None:
        others = [one for one in self._claims[place] if one.route(place[0]) in one.routes]
        where = ", ".join(f"{one.name} ({one.connection.name})" for one in others)
        text = f"{place[0]} leads into {where} for now; {device.name} has it when that one can't carry it"
        text = f"{text}, or beside it with another vti.metric"
        self._tell(logging.WARNING, device.connection.name, text)

    def release(self, device: VtiDevice, networks: Iterable[Network]) -> None:
        """One child, or settings, less needs these routes; other devices get those that have no claim left
        here."""
        free = []
        for network in sorted(networks, key=str):
            device.needed[network] -= 1
            if not device.needed[network]:
                del device.needed[network]
                place = device.place(network)
                claims = self._claims[place]
                claims.remove(device)
                if len(claims) < 2:
                    self._contested.discard(place)
                if not claims:
                    del self._claims[place]
                free.append(place)
        removed = [device.route(network) for network, _ in free if device.route(network) in device.routes]
        device.routes.difference_update(removed)
        self._kernel.perform(device, [RemoveRoute(route) for route in removed])
        self._share(free)

    def carrier_changed(self, device: VtiDevice) -> None:
        """Set the carrier in the kernel to `VtiDevice.carrier`, and share contested routes anew."""
        self._kernel.perform(device, [SetCarrier(device.carrier)])
        self.liveness_changed(device)

    def liveness_changed(self, device: VtiDevice) -> None:
        """Share the routes that several devices claim anew, for this device can, or can't, carry packets
        now."""
        self._share([place for place in self._contested if device in self._claims[place]])

    def _share(self, places: Iterable[Place]) -> None:
        """Move routes to the devices that `granted` names: remove first, for of one metric there can be
        one."""
        losing: dict[VtiDevice, list[Operation]] = {}
        winning: dict[VtiDevice, list[Operation]] = {}
        for place in places:
            claimants = self._claims.get(place, [])
            routes = [device.route(place[0]) for device in claimants]
            pairs = list(zip(claimants, routes, strict=True))
            claims = [Claim(r.metric, d.live, r in d.routes) for d, r in pairs]
            for (device, route), given in zip(pairs, granted(claims), strict=True):
                if given and route not in device.routes:
                    device.routes.add(route)
                    if len(pairs) > 1:
                        text = f"{place[0]} leads into {device.name} now"
                        self._tell(logging.INFO, device.connection.name, text)
                    winning.setdefault(device, []).append(AddRoute(route))
                elif not given and route in device.routes:
                    device.routes.discard(route)
                    losing.setdefault(device, []).append(RemoveRoute(route))
        for share in (losing, winning):
            for device, operations in share.items():
                self._kernel.perform(device, operations)
