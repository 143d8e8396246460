"""All TUN devices, from their creation to their removal, and the calls that change one.

`VtiDevice` has a device's desired state. A change that is made here reaches the kernel at once; what others
change in the kernel, `DeviceTable.mend` finds and mends.
"""

from __future__ import annotations

import contextlib
import itertools
import logging
import time
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping

from esp.packet.selectors import Selector
from esp.sa.suites import Suite
from ikepy.config.model import Config, Connection
from ikepy.daemon import log
from ikepy.daemon.device import mtu
from ikepy.daemon.device.absent import AbsentTun
from ikepy.daemon.device.addresses_and_routes import AddressesAndRoutes
from ikepy.daemon.device.configured import (
    configured_settings,
    first_addresses,
    has_trap,
    permanent_routes,
)
from ikepy.daemon.device.host_flows import host_flows
from ikepy.daemon.device.kernel_devices import KernelDevices
from ikepy.daemon.device.route_claims import RouteClaims
from ikepy.daemon.device.route_exclusion import RouteExclusion
from ikepy.daemon.device.vti_device import CONFIGURED, VtiDevice
from ikepy.daemon.device.worker_slots import WorkerSlots
from ikepy.daemon.errors import StartError
from ikepy.daemon.interfaces import Mended, NetworkConfig, Tun
from ikepy.sa.api.names import NameTable
from ikepy.sa.api.network_settings import NO_SETTINGS, NetworkSettings
from ikepy.sa.api.path import Path
from tun.netlink import RouteError
from tun.state import SetMtu

# Seconds after which a device takes traffic over from others that can carry it. A responder could send before
# the initiator has its answer, and with it the SA to receive with (RFC 7296 2.8 has the like of rekeying).
SETTLING = 1.0
# Seconds for which the MTU is taken to fit another child of the same path and suite: to ask the kernel costs
# more than all else that is done here for a child. Whoever is told of other routes calls `refit`.
FITS = 1.0


class DeviceTable:
    """All devices. A device keeps its number and its worker slot (`worker_slots`) for all its life."""

    def __init__(
        self,
        config: Config,
        workers: int,
        create: Callable[[str], Tun],
        network: NetworkConfig,
        names: NameTable | None = None,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        """`names`: what DNS names of peers mean; `name_peers` is to be called when that has changed."""
        self._config = config
        self._clock = clock
        self._names = NameTable() if names is None else names
        self._create = create
        self._network = network
        self._slots = WorkerSlots(workers, config.connections.values())
        self._numbers = itertools.count(1)
        self._by_connection: dict[str, VtiDevice] = {}
        self._by_id: dict[int, VtiDevice] = {}
        self.tell: log.Tell = log.device  # writes what peers can bring about again and again
        self.mtu_changed: Callable[[VtiDevice], None] = lambda device: None  # called after it has
        self.peers_changed: Callable[[VtiDevice], None] = lambda device: None  # its `peers` may be others
        self.settle_later: Callable[[VtiDevice, int], object] = self.settled  # calls that `SETTLING` s later

        def tell(level: int, subject: str, text: str) -> None:
            self.tell(level, subject, text)  # which may be set later

        connections = config.connections.values()
        self._exclusion = RouteExclusion(network, connections, lambda: self.indices, tell, self._names)
        self._kernel = KernelDevices(network, tell)
        self._claims = RouteClaims(self._kernel, tell)
        self._given = AddressesAndRoutes(self._kernel, self._claims, self._exclusion, tell)

    def slot_of(self, connection: str) -> int:
        """The worker slot of a connection's device, which is chosen before there is a device."""
        return self._slots[connection]

    def of(self, connection: str) -> VtiDevice:
        return self._by_connection[connection]

    def find(self, connection: str) -> VtiDevice | None:
        """The device of a connection, None if it has none (any more)."""
        return self._by_connection.get(connection)

    def by_id(self, device_id: int) -> VtiDevice | None:
        return self._by_id.get(device_id)

    def __iter__(self) -> Iterator[VtiDevice]:
        return iter(self._by_connection.values())

    def names(self) -> set[str]:
        """The names that the devices have in the kernel, which may not be the configured ones yet."""
        return {device.tun.name for device in self if not device.gone}

    @property
    def indices(self) -> dict[int, VtiDevice]:
        """The devices that exist in the kernel, by its interface indices."""
        return {device.tun.index: device for device in self if not device.gone}

    def open(self) -> None:
        """Create and configure every device, all or none. Raises StartError."""
        self._network.end_steering()  # a daemon that was killed has left its own
        try:
            for connection in self._config.connections.values():
                self._open_one(connection)
            for device in self:
                self._given.route_settings(device, CONFIGURED)
        except BaseException:
            self.close()
            raise

    def _enter(self, connection: Connection, tun: Tun) -> VtiDevice:
        local, remote = first_addresses(connection)
        size = connection.vti.mtu or mtu.before_child(connection, self._network, local, remote)
        number = next(self._numbers)
        device = VtiDevice(number, connection, self._slots[connection.name], tun, size, has_trap(connection))
        device.names = self._names
        self._configure(device)
        self._by_connection[connection.name] = self._by_id[number] = device
        return device

    @staticmethod
    def _configure(device: VtiDevice) -> None:
        device.settings[CONFIGURED] = configured_settings(device.connection)
        device.permanent = permanent_routes(device.connection, device.trap)

    def _open_one(self, connection: Connection) -> None:
        key = f"connections.{connection.name}.vti"
        try:
            tun = self._create(connection.vti.name)
        except OSError as error:
            raise StartError(error.strerror or str(error), key=f"{key}.name") from error
        device = self._enter(connection, tun)
        try:
            mended = self._network.mend(tun, device.state, new=True)
        except (RouteError, OSError) as error:
            raise StartError(str(error), key=key) from error
        for refused in mended.refused:
            raise StartError(str(refused.error), key=key)
        self._steer(device)

    def set_network(self, connection: str, ike_id: int, settings: NetworkSettings) -> None:
        """From now on the device has these addresses and routes of this IKE_SA; none, if there are none."""
        device = self._by_connection.get(connection)
        if device is not None:
            self._given.set_settings(device, ike_id, settings)

    def end_settings(self, remaining: Collection[int]) -> None:
        """Take from all devices what they have of IKE_SAs that are not among these, by ike_id."""
        for device in self:
            for ike_id in set(device.settings) - {CONFIGURED, *remaining}:
                self._given.set_settings(device, ike_id, NO_SETTINGS)

    def _steer(self, device: VtiDevice) -> None:
        """Lead the host's own packets that children in transport mode carry into the device, later if the
        kernel refuses now."""
        try:
            self._lead_in(device)
        except RouteError as error:
            self.tell(logging.ERROR, device.connection.name, f"{error}; it is tried again")

    def _lead_in(self, device: VtiDevice) -> None:
        """Compare the rules for these packets with what is to be, and mend them. Raises `RouteError`."""
        flows = host_flows(device)
        if device.gone or not (flows or device.steered):
            return
        device.unsteered = True
        device.steered.add(device.index)
        self._network.steer(device.index, flows)
        if not flows:
            device.steered.discard(device.index)
        for former in device.steered - {device.index}:  # their rules come first, and refuse
            self._network.steer(former, ())
            device.steered.discard(former)
        device.unsteered = False

    # Children, and the path to the peer

    def child_up(
        self,
        child_id: int,
        connection: str,
        ts_remote: Iterable[Selector],
        path: Path,
        encap: bool,
        suite: Suite,
    ) -> None:
        """A child can send: carrier, its routes, and the MTU that its suite leaves."""
        device = self._by_connection[connection]
        self.path_changed(device, path, encap, suite)
        comes_up = not device.carrier
        if comes_up:
            device.settling = True
            device.rises += 1
        self._given.child_up(device, child_id, tuple(ts_remote))
        self._steer(device)
        if comes_up:
            self.settle_later(device, device.rises)

    def settled(self, device: VtiDevice, rise: int) -> None:
        """The peer has the child too with which the device came up for the `rise`th time: it takes traffic
        from other devices that can carry it, unless it went down meanwhile."""
        if self._by_id.get(device.device_id) is device and device.rises == rise:
            device.settling = False
            self._claims.liveness_changed(device)

    def child_down(self, child_id: int, connection: str) -> None:
        """A child can't send any more. Nothing happens for one that could not."""
        device = self._by_connection[connection]
        if self._given.child_down(device, child_id):
            self._steer(device)
            if not device.users:
                self.peers_changed(device)
            if not device.carrier:
                self._claims.carrier_changed(device)

    def path_changed(self, device: VtiDevice, path: Path, encap: bool, suite: Suite) -> None:
        """Fit the MTU to the path to the peer, unless the configuration names one."""
        if device.suited is None or device.suited[0] != path or not device.users:
            self.peers_changed(device)
        self._given.peer_met(path.remote.address)
        now, suited = self._clock(), (path, encap, suite)
        if device.fitted_at is None or now >= device.fitted_at + FITS or device.suited != suited:
            device.suited = suited
            self._fit_mtu(device)

    def _fit_mtu(self, device: VtiDevice) -> None:
        device.fitted_at = self._clock()
        try:
            size = mtu.fitting(device, self._network)
        except OSError as error:  # no descriptors: the MTU that it has goes on working
            device.fitted_at = None
            text = f"MTU of {device.name} stays {device.mtu}: {error}"
            self.tell(logging.ERROR, device.connection.name, text)
            return
        if size != device.mtu:
            was, device.mtu = device.mtu, size
            self._kernel.perform(device, [SetMtu(size, was)])
            self.mtu_changed(device)

    def refit(self, device: VtiDevice) -> None:
        """Routes to the peer may have changed: leave it out of ours anew, and fit the MTU."""
        self._given.reroute(device)
        if device.suited is not None and device.users:
            device.fitted_at = None
            self.path_changed(device, *device.suited)

    # The kernel

    def mend(self, device: VtiDevice) -> Mended:
        """Compare the kernel's device with its desired state, and do what is missing.

        Raises `DeviceGone`, `RouteError` and OSError.
        """
        mended = self._kernel.mend(device)
        self._lead_in(device)
        return mended

    def taken_down(self, device: VtiDevice, down: bool) -> None:
        """Others took the interface down, or up again (ip link set down)."""
        device.down = down
        self._claims.liveness_changed(device)

    def serve(self, device: VtiDevice, served: bool) -> None:
        """Its worker runs, or can't be started: without one the device has no carrier, and senders notice."""
        before, device.unserved = device.carrier, not served
        if device.carrier != before:
            self._claims.carrier_changed(device)

    def lost(self, device: VtiDevice) -> None:
        """Others deleted the device from the kernel."""
        device.gone = True
        device.tun.close()
        self._claims.liveness_changed(device)

    def make_again(self, device: VtiDevice) -> Mended:
        """Create a device that was deleted, or could not be created, again. Raises OSError, `RouteError`."""
        device.tun = self._create(device.name)
        device.gone = device.down = False
        device.retired.clear()
        try:
            mended = self._kernel.mend(device, new=True)
        except (RouteError, OSError):
            self.lost(device)  # its worker has not got it: it is made again from the beginning
            raise
        self._claims.liveness_changed(device)
        self._steer(device)
        return mended

    # Another configuration

    def add(self, connection: Connection) -> VtiDevice:
        """Create the device of one more connection; one that can't be created yet is logged, and `gone`.

        Raises OSError, with nothing left of it, where no descriptor is free to ask for the path's MTU.
        """
        self._slots.allot(connection, beside=(device.connection for device in self))
        try:
            device = self._enter(connection, AbsentTun(connection.vti.name))
        except BaseException:
            self._slots.release(connection.name)
            raise
        device.gone = True
        try:
            self.make_again(device)
        except (RouteError, OSError) as error:
            self.tell(logging.ERROR, connection.name, f"{error}; it is tried again")
        self._given.route_settings(device, CONFIGURED)
        return device

    def reconfigure(self, device: VtiDevice, connection: Connection) -> None:
        """Change a device to another configuration of its connection; its SAs stay.

        Raises `DeviceGone`, `RouteError` and OSError for what is to be mended later.
        """
        before, had_carrier = device.state.addresses, device.carrier
        device.connection = connection
        device.trap = has_trap(connection)
        self._configure(device)
        self._given.children_reconfigured(device)
        if device.carrier != had_carrier:
            self._claims.carrier_changed(device)
        self._given.change_addresses(device, before)
        self._fit_mtu(device)
        if not device.gone:
            self.mend(device)
            self._steer(device)

    def name_peers(self, connections: Iterable[Connection]) -> None:
        """The configured connections are these now, or their names mean other addresses: packets to their
        peers are led into no tunnel."""
        self._exclusion.name(connections)

    def make_way(self, names: Mapping[str, str]) -> None:
        """Rename devices whose name another one is to have. `names`: the new ones, by connection.

        One that can't be renamed keeps its name from the other until `mend` finds out what has become of it.
        """
        taken = set(names.values())
        for device in self:
            name = device.tun.name
            if not device.gone and name in taken and names.get(device.connection.name, name) != name:
                try:
                    device.tun.rename(f"ikepy-{device.device_id}")
                except OSError as error:
                    self.tell(logging.ERROR, device.connection.name, f"{error}; it is tried again")

    def leave(self, device: VtiDevice, leaving: bool) -> None:
        """Its connection is not configured any more (or again), and its IKE_SAs end: other devices that claim
        its routes get them."""
        device.leaving = leaving
        self._claims.liveness_changed(device)

    def remove(self, device: VtiDevice) -> None:
        """Remove a device for good: other devices that claim its routes get them."""
        name = device.connection.name
        for index in device.steered:
            with contextlib.suppress(RouteError):
                self._network.steer(index, ())
        self._claims.leave_shared(device)
        device.gone = True  # nothing is asked of the kernel any more: all goes with the device
        self._given.release_all(device)
        del self._by_connection[name], self._by_id[device.device_id]
        self._slots.release(name)
        device.tun.close_later()

    def close(self) -> None:
        """Remove the devices; the kernel removes their addresses and routes with them."""
        self._network.end_steering()
        for device in self._by_connection.values():
            device.tun.close()
        self._by_connection.clear()
        self._by_id.clear()
