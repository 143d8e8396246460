"""The addresses and routes that the configuration, IKE_SAs (RFC 7296 3.15) and children give the devices.

Each giver is held by itself in `VtiDevice`, so that an address or a route stays until the last of its givers
has gone. The addresses of peers are left out of the routes (`ikepy.daemon.device.route_exclusion`).
"""

from __future__ import annotations

import logging
from collections.abc import Sequence

from esp.packet.selectors import Selector
from ikepy.daemon import log
from ikepy.daemon.device.configured import plain_route, routable
from ikepy.daemon.device.kernel_devices import KernelDevices
from ikepy.daemon.device.route_claims import RouteClaims
from ikepy.daemon.device.route_exclusion import RouteExclusion, covering
from ikepy.daemon.device.vti_device import CONFIGURED, VtiDevice
from ikepy.sa.api.network_settings import NO_SETTINGS, NetworkSettings
from ikepy.sa.api.path import Address
from tun.state import IPV6_MIN_MTU, RT_TABLE_MAIN, AddAddress, Pairing, Route, removals


class AddressesAndRoutes:
    """Adds and removes addresses and routes, device by device."""

    def __init__(
        self, kernel: KernelDevices, claims: RouteClaims, exclusion: RouteExclusion, tell: log.Tell
    ) -> None:
        self._kernel = kernel
        self._claims = claims
        self._exclusion = exclusion
        self._tell = tell

    def set_settings(self, device: VtiDevice, ike_id: int, settings: NetworkSettings) -> None:
        """Give the device the addresses and routes of an IKE_SA, in the place of those that it had of it."""
        before = device.state.addresses
        if settings:
            device.settings[ike_id] = settings
        else:
            device.settings.pop(ike_id, None)
        if not all(map(device.takes, settings.addresses)):
            text = f"{device.name} gets no IPv6 address: its MTU is {device.mtu}, IPv6 needs {IPV6_MIN_MTU}"
            self._tell(logging.WARNING, device.connection.name, text)
        self.route_settings(device, ike_id)
        self.change_addresses(device, before)

    def change_addresses(self, device: VtiDevice, before: Sequence[Pairing]) -> None:
        """Add the addresses that a device did not have `before`, then remove those that it lost."""
        after = device.state.addresses
        gone = [one for one in before if one not in after]
        device.retired.update(gone)
        device.retired.difference_update(after)
        added = [AddAddress(own, peer) for own, peer in after if (own, peer) not in before]
        self._kernel.perform(device, [*added, *removals(gone, device.state)])

    def route_settings(self, device: VtiDevice, ike_id: int) -> None:
        """Route the subnets of one IKE_SA's settings, or of the configuration's, into the device."""
        before = device.subnets.pop(ike_id, frozenset())
        settings = device.settings.get(ike_id, NO_SETTINGS)
        asked = frozenset(plain_route(device.connection, one) for one in settings.subnets)
        if ike_id == CONFIGURED:
            asked |= device.permanent
        subnets = self._exclusion.without_peers(device, asked)
        if subnets:
            device.subnets[ike_id] = subnets
        self._claims.claim(device, subnets - before)
        self._claims.release(device, before - subnets)

    def child_up(self, device: VtiDevice, child_id: int, ts_remote: tuple[Selector, ...]) -> None:
        """A child can send: the device has carrier, and the routes to what the child carries."""
        device.negotiated[child_id] = ts_remote
        asked = self._asked(device, child_id)
        routes, device.asked[child_id] = self._exclusion.without_peers(device, asked), asked
        before, had_carrier = device.users.get(child_id, frozenset()), device.carrier
        device.users[child_id] = routes
        if not had_carrier:
            self._claims.carrier_changed(device)
        self._claims.claim(device, routes - before)
        self._claims.release(device, before - routes)

    def child_down(self, device: VtiDevice, child_id: int) -> bool:
        """A child can't send any more: its routes go. Whether it could before."""
        routes = device.users.pop(child_id, None)
        device.asked.pop(child_id, None)
        device.negotiated.pop(child_id, None)
        if routes is not None:
            self._claims.release(device, routes)
        return routes is not None

    def _asked(self, device: VtiDevice, child_id: int) -> frozenset[Route]:
        """The routes that a child asks for; none if the configuration names the routes."""
        if device.connection.vti.routes is not None:
            return frozenset()
        networks = routable(device.negotiated[child_id], device.connection.name, self._tell)
        return frozenset(plain_route(device.connection, one) for one in networks)

    def children_reconfigured(self, device: VtiDevice) -> None:
        """The configuration may name routes now, or none any more: what children ask for follows."""
        for child_id in device.users:
            device.asked[child_id] = self._asked(device, child_id)
        self.reroute(device)

    def reroute(self, device: VtiDevice) -> None:
        """Peers' addresses, or the routes to them, have changed: leave them out of all routes anew."""
        for ike_id in device.settings:
            self.route_settings(device, ike_id)
        for child_id, asked in device.asked.items():
            before, after = device.users[child_id], self._exclusion.without_peers(device, asked)
            device.users[child_id] = after
            self._claims.claim(device, after - before)
            self._claims.release(device, before - after)

    def peer_met(self, address: Address) -> None:
        """A peer sends from this address: routes of all devices that covered it go around it."""
        if not self._exclusion.meet(address):
            return
        for device in self._claims.claimants((network, RT_TABLE_MAIN) for network in covering(address)):
            text = f"{address} is left out of what {device.name} leads"
            self._tell(logging.INFO, device.connection.name, text)
            self.reroute(device)

    def release_all(self, device: VtiDevice) -> None:
        """Remove all routes of a device; its settings and children stay."""
        for ike_id, subnets in device.subnets.items():
            device.subnets[ike_id] = frozenset()
            self._claims.release(device, subnets)
        for child_id, routes in device.users.items():
            device.users[child_id] = frozenset()
            self._claims.release(device, routes)
