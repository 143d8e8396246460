"""Exempts peers' addresses from routes of others that would lead IKE and ESP packets into a tunnel.

Our own routes leave these addresses out (`ikepy.daemon.device.route_exclusion`). A route that a user or a
routing daemon adds may cover them all the same: workers would drop the packets
(`esp.datapath.loop_detection`), the tunnel would be dead, and perhaps also the way to whoever added the
route. So such an address gets a route of its own in a table that the kernel looks up first (ip-rule(8)),
through the next best route, or through the last one that was known, until no route leads it into a tunnel any
more. Routes of others are not touched.
"""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass, field

from ikepy.daemon import log
from ikepy.daemon.bus.daemon_events import looped
from ikepy.daemon.device.devices import DeviceTable
from ikepy.daemon.device.vti_device import VtiDevice
from ikepy.daemon.interfaces import NetworkConfig
from ikepy.daemon.net.route_check import RouteCheck
from ikepy.sa.api.path import Address
from tun.netlink import RouteError
from tun.rtnetlink import BestRoute, Hop


@dataclass(frozen=True, slots=True)
class WayOut:
    """Where packets to a peer can go. `source`: the address that the route prefers; `why`: for the log."""

    hop: Hop
    source: Address | None
    why: str


@dataclass(slots=True, eq=False)
class _Peer:
    """An address that IKE and ESP go to, from the device's connection at our own one (None: any)."""

    users: dict[VtiDevice, Address | None] = field(default_factory=dict)
    led: set[VtiDevice] = field(default_factory=set)  # those whose packets to it would go into a tunnel
    last: WayOut | None = None  # the way that packets took before
    now: WayOut | None = None  # the exemption
    told: str = ""  # why there is none


class Exemptions:
    """The exemptions of all peers, which are checked device by device."""

    def __init__(self, devices: DeviceTable, network: NetworkConfig, route_check: RouteCheck) -> None:
        self._devices = devices
        self._network = network
        self._route_check = route_check
        self._peers: dict[Address, _Peer] = {}
        self._of: dict[VtiDevice, Mapping[Address, Address | None]] = {}
        network.end_exemptions()  # a daemon that was killed has left its own

    def check(self, device: VtiDevice) -> None:
        """Exempt the device's peers anew: routes may have changed, or the peers' addresses.

        Raises OSError where routes can't be asked now; what is exempted stays so.
        """
        wanted = device.peers
        for remote in self._of.get(device, {}).keys() - wanted.keys():
            self._leave(device, remote)
        self._of[device] = wanted
        for remote, local in wanted.items():  # all of them, before a question comes to no answer
            self._peers.setdefault(remote, _Peer()).users[device] = local
        for remote, local in wanted.items():
            peer = self._peers[remote]
            best = self._network.best_route(remote, local)
            inside = None if best is None else self._inside(best)
            if best is not None and inside is None and best.hops:
                peer.last = WayOut(best.hops[0], best.source, "as before")
            self._decide(remote, peer, device, led=inside)

    def forget(self, device: VtiDevice) -> None:
        """End the exemptions of a device that is removed with its connection."""
        for remote in self._of.pop(device, {}):
            self._leave(device, remote)

    def _leave(self, device: VtiDevice, remote: Address) -> None:
        peer = self._peers[remote]
        peer.users.pop(device, None)
        self._decide(remote, peer, device, led=None)
        if not peer.users:
            del self._peers[remote]

    def led_inside(self, remote: Address) -> bool:
        """A packet to a peer came out of a device of ours: check its devices. Whether it can't be
        exempted."""
        peer = self._peers.get(remote)
        if peer is None:
            return True
        for device in list(peer.users):
            with suppress(OSError):  # the worker tells again
                self.check(device)
        return peer.now is None

    def close(self) -> None:
        self._network.end_exemptions()

    def _inside(self, best: BestRoute) -> str | None:
        """The best route in words, if it leads into a device of ours; else None."""
        ours = self._devices.indices
        names = [ours[hop.device].name for hop in best.hops if hop.device in ours]
        return f"the route to {best.network} into {names[0]}" if names else None

    def _decide(self, remote: Address, peer: _Peer, device: VtiDevice, led: str | None) -> None:
        """Exempt the peer, or end its exemption. `led`: the route, in words, that leads into a tunnel; or
        None."""
        if led is not None:
            peer.led.add(device)
            self._lead_around(remote, peer, device, led)
            return
        peer.led.discard(device)
        if peer.led:
            return
        peer.told = ""
        if peer.now is not None:
            peer.now = None
            self._network.end_exemption(remote)
            self._route_check.forget()
            log.info(
                device.connection.name,
                f"{remote} is led into no tunnel any more: its exemption from other routes is ended",
                "device",
            )

    def _lead_around(self, remote: Address, peer: _Peer, device: VtiDevice, led: str) -> None:
        """Exempt the peer, each time anew: others may have removed the exemption."""
        way, local = self._way_out(remote, peer, device), peer.users.get(device)
        if way is None:
            self._give_up(remote, peer, device, looped(remote, device.name))
            return
        try:
            self._network.exempt(remote, way.hop, way.source)
        except RouteError as error:
            self._give_up(remote, peer, device, f"{led} covers the peer's own address {remote}: {error}")
            return
        self._route_check.forget()
        if local is not None and (inside := self._network.outlet(remote, local)) in self._route_check.devices:
            text = f"{looped(remote, inside or '')}; a rule of a preference below 5 is in the way (ip rule)"
            self._give_up(remote, peer, device, text)
            return
        if peer.now is None or peer.now.hop != way.hop:
            log.warning(
                device.connection.name,
                f"{led} covers the peer's own address {remote}: IKE and ESP packets to it go through "
                f"{way.hop} ({way.why}) instead, while there is such a route",
                "device",
            )
        peer.now, peer.told = way, ""

    def _give_up(self, remote: Address, peer: _Peer, device: VtiDevice, text: str) -> None:
        self._network.end_exemption(remote)
        peer.now = None
        if peer.told != text:
            log.warning(device.connection.name, text, "device")
        peer.told = text

    def _way_out(self, remote: Address, peer: _Peer, device: VtiDevice) -> WayOut | None:
        """The next best route through another device; else the last known way, if its device is there."""
        local, ours = peer.users.get(device), self._devices.indices
        found: list[tuple[int, int, Hop, Address | None, str]] = []
        outside = [index for index in self._network.device_indices() if index not in ours]
        for index in outside:
            best = self._network.best_route(remote, local, index)
            for hop in () if best is None else best.hops:
                if best is not None and hop.device == index:
                    why = f"by the route to {best.network}"
                    found.append((-best.network.prefixlen, best.metric, hop, best.source, why))
        if found:
            _, _, hop, source, why = min(found, key=lambda one: one[:2])
            return WayOut(hop, source, why)
        if peer.last is not None and peer.last.hop.device in outside:
            return peer.last
        return None
