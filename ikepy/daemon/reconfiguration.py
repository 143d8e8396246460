"""Another configuration while the daemon runs: sockets, devices, workers and machine take what differs.

What can be checked is checked before anything is changed. What the kernel refuses after that (a device, an
address that is not there yet) is part of the desired state, named in the log and tried again, as if it had
been lost later. What did not change is not touched.
"""

from __future__ import annotations

import asyncio
from dataclasses import dataclass, field

from ikepy.config import checks
from ikepy.config.difference import ConfigDifference, difference
from ikepy.config.model import Config, Connection
from ikepy.daemon import log
from ikepy.daemon.checks import device_exists, is_tun
from ikepy.daemon.device.configured import is_trap
from ikepy.daemon.device.devices import DeviceTable
from ikepy.daemon.device.exemptions import Exemptions
from ikepy.daemon.device.vti_device import VtiDevice
from ikepy.daemon.effects.runner import EffectsRunner
from ikepy.daemon.errors import StartError
from ikepy.daemon.events.addresses import AddressFollower
from ikepy.daemon.events.reconciler import Reconciler
from ikepy.daemon.events.traffic_limits import TrafficWatch
from ikepy.daemon.interfaces import Machine
from ikepy.daemon.net.listeners import Listeners
from ikepy.daemon.net.route_check import RouteCheck
from ikepy.daemon.workers.pool import WorkerPool
from ikepy.errors import ConfigError
from ikepy.sa.api.commands import Terminate
from tun.netlink import RouteError

FAREWELL = 12.0  # seconds for the peer of a removed connection to answer our delete: two retransmissions
SUBJECT = "configuration"
PORTS = ("daemon.port", "daemon.port_nat_t")  # on which connections depend


@dataclass(slots=True, eq=False)
class Reconfiguration:
    """The parts of a daemon that know its configuration."""

    machine: Machine
    runner: EffectsRunner
    devices: DeviceTable
    pool: WorkerPool
    listeners: Listeners
    follower: AddressFollower
    traffic: TrafficWatch
    exemptions: Exemptions
    reconciler: Reconciler
    route_check: RouteCheck
    _leaving: dict[str, VtiDevice] = field(default_factory=dict)  # of removed connections, by name
    _busy: asyncio.Lock = field(default_factory=asyncio.Lock)

    def __post_init__(self) -> None:
        self.runner.settled = self._remove_unused

    async def replace(self, config: Config, source: str) -> ConfigDifference:
        """Use `config` from now on; gives what differed. Raises ConfigError, with nothing changed.

        `source`: what the error calls the configuration, as a file's name.
        """
        async with self._busy:
            change = difference(self.machine.config, config)
            self._check(change, source)
            self._open_raw(change.config, source)
            self._change_devices(change)
            await self.follower.replace_config(change.config)
            self.runner.replace_config(change.config)
            self.traffic.replace_config(change.config)
            for connection in change.removed:
                self._leave(connection.name)
            self._remove_unused()
            log.set_level(change.config.daemon.log_level)
            for key, text in change.fixed:
                log.warning(SUBJECT, f"{source}: {key}: {text}")
            log.info(SUBJECT, f"{source}: {change}")
            return change

    # -- before ------------------------------------------------------------------------------------

    def _check(self, change: ConfigDifference, source: str) -> None:
        problems = [(key, text) for key, text in change.fixed if key in PORTS]
        problems += checks.check(change.config)
        own = {device.tun.name for device in self.devices if not device.gone}
        for connection in (*change.added, *(each.new for each in change.changed if each.device)):
            name = connection.vti.name
            if name not in own and device_exists(name):
                what = "in use by another program" if is_tun(name) else "none of ikepy's"
                text = f"a device {name} exists already, {what}: choose another name or remove it"
                problems.append((f"connections.{connection.name}.vti.name", text))
        if problems:
            raise ConfigError(source, problems)

    def _open_raw(self, config: Config, source: str) -> None:
        """Native ESP needs sockets that a daemon whose connections all had `encap` does not have."""
        native = [one.name for one in config.connections.values() if not one.encap]
        if not native:
            return
        try:
            opened = self.listeners.add_raw()
        except (StartError, OSError) as error:
            raise ConfigError(source, [(f"connections.{native[0]}.encap", str(error))]) from error
        for slot, one in opened:
            self.pool.add_socket(slot, one)

    # -- devices -----------------------------------------------------------------------------------

    def _change_devices(self, change: ConfigDifference) -> None:
        connections = change.config.connections
        names = {name: one.vti.name for name, one in connections.items()}
        try:
            self.devices.make_way(names)
        except OSError as error:
            log.error(SUBJECT, f"{error}; it is tried again")
        for each in change.changed:
            if each.device or _traps(each.old) != _traps(each.new):
                self._reconfigure(self.devices.of(each.name), each.new)
            else:
                self.devices.of(each.name).connection = each.new
        for connection in change.added:
            device = self._leaving.pop(connection.name, None)
            if device is not None:
                self._reconfigure(device, connection)
            else:
                self.pool.add_device_later(self.devices.add(connection))
        self.devices.name_peers([*connections.values(), *(one.connection for one in self._leaving.values())])
        if change.added or change.removed or change.changed:
            self.reconciler.refit()
        self._names_changed()

    def _reconfigure(self, device: VtiDevice, connection: Connection) -> None:
        try:
            self.devices.reconfigure(device, connection)
        except (RouteError, OSError) as error:
            log.error(connection.name, f"{error}; it is tried again")
            self.reconciler.suspect(device)
        self.pool.replace_device(device)

    def _names_changed(self) -> None:
        self.route_check.devices = frozenset(device.tun.name for device in self.devices)
        self.route_check.forget()

    def _leave(self, connection: str) -> None:
        """The device stays until the connection has no IKE_SA any more; the peer is not waited for long."""
        device = self.devices.find(connection)
        if device is not None:
            self._leaving[connection] = device
            asyncio.get_running_loop().call_later(FAREWELL, self._end, device)

    def _end(self, device: VtiDevice) -> None:
        name = device.connection.name
        if self._leaving.get(name) is device and self.runner.has_ike_sa(name):
            log.warning(name, "the peer has not answered the delete")
            self.runner.request(Terminate(ike=name, force=True))

    def _remove_unused(self) -> None:
        """Remove the devices of removed connections that have no IKE_SA any more."""
        if not self._leaving:
            return
        unused = [name for name in self._leaving if not self.runner.has_ike_sa(name)]
        for name in unused:
            device = self._leaving.pop(name)
            self.exemptions.forget(device)
            self.pool.remove_device(device)
            self.devices.remove(device)
            self.reconciler.forget(device)
            log.info(name, f"{device.tun.name} is removed: its connection is not configured any more")
        if unused:
            self._names_changed()
            for device in self.devices:
                if device.gone:
                    self.reconciler.suspect(device)  # the name that it waits for may be free


def _traps(connection: Connection) -> list[object]:
    """What the carrier and the permanent routes of a device depend on beside its own section."""
    return [one.remote_ts for one in connection.children.values() if is_trap(one)]
