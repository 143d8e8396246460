"""Changes the configuration of a running daemon: of its sockets, devices, workers and IKE machine.

All that can be checked is checked before anything is changed. What the kernel refuses after that (a device,
an address that does not exist yet) stays part of the desired state: it is logged and tried again. After a
fault before the IKE machine has the new configuration all is as the former one asks for again. Connections
that did not change are not touched.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import NamedTuple

from ikepy.config.checks import mistakes
from ikepy.config.difference import ConfigDifference, difference
from ikepy.config.fields import Subsystem
from ikepy.config.model import Config, Connection
from ikepy.daemon import log
from ikepy.daemon.bus.daemon_events import ConnectionRemoved
from ikepy.daemon.checks import device_index, is_tun, missing_libraries, unknown_impairments
from ikepy.daemon.core import Core
from ikepy.daemon.credentials.collection import Collection
from ikepy.daemon.device.configured import is_trap
from ikepy.daemon.device.vti_device import VtiDevice
from ikepy.daemon.errors import StartError
from ikepy.daemon.farewell import within
from ikepy.daemon.net.own_ports import OwnPorts
from ikepy.daemon.services import Services
from ikepy.daemon.signer.configured import load as load_private_keys
from ikepy.daemon.to_the_end import to_the_end
from ikepy.errors import ConfigError, LocalMisuse
from ikepy.sa.api.commands import Terminate
from tun.netlink import RouteError

PATIENCE = 2.0  # seconds for what is under way when the daemon ends: a token may be silent for longer
FAREWELL = 12.0  # seconds for the peer of a removed connection to answer our delete: two retransmissions
AT_ONCE = 4  # devices that are made before others have as much time: a thousand may be added
LOOK_AGAIN = 0.05  # seconds: the machine may be called thousands of times in them
MOST_TOLD = 10  # connections without a secret in the log, at most
SUBJECT = "configuration"
ENDING = "the daemon is ending"
PORTS = ("daemon.port", "daemon.port_nat_t")  # connections depend on them, so they can't change


class Leaving(NamedTuple):
    """The device of a removed connection, and when its peer is waited for no longer."""

    device: VtiDevice
    end: asyncio.TimerHandle


@dataclass(slots=True, eq=False)
class Reconfiguration:
    """Changes the configuration of all parts of a daemon that know it."""

    core: Core
    services: Services
    ports: OwnPorts
    credentials: Collection
    clock: Callable[[], float] = time.monotonic
    _leaving: dict[str, Leaving] = field(default_factory=dict)  # of removed connections, by name
    _going: dict[str, int] = field(default_factory=dict)  # names and indices that the kernel may still have
    _busy: asyncio.Lock = field(default_factory=asyncio.Lock)
    _look: asyncio.TimerHandle | None = None  # for devices that are used no more
    _stopped: bool = False
    _given_up: bool = False  # what was under way then: other parts may be closed

    def __post_init__(self) -> None:
        self.core.runner.settled = self._look_soon

    async def replace(self, config: Config, source: str) -> ConfigDifference:
        """Use `config` from now on. Returns the difference. Raises ConfigError, with nothing changed.

        `source`: what the error calls the configuration, as a file's name. Calls are served one after the
        other; LocalMisuse for one whose turn comes after `stop`.
        """
        async with self._busy:
            if self._stopped:
                raise LocalMisuse("the daemon is not running")
            return await to_the_end(self._replace(config, source))

    async def stop(self, hurry: asyncio.Event) -> None:
        """Change nothing any more. What has begun is finished, or given up after PATIENCE seconds and at
        `hurry`: the machine goes on with its former configuration then."""
        self._stopped = True
        if not await within(PATIENCE, hurry, self._until_idle()):
            self._given_up = True
            log.warning(SUBJECT, "the change that is under way is given up: the daemon ends", "config")
        for handle in (self._look, *(one.end for one in self._leaving.values())):
            if handle is not None:
                handle.cancel()

    async def _until_idle(self) -> None:
        async with self._busy:
            pass

    async def _replace(self, config: Config, source: str) -> ConfigDifference:
        former = self.core.machine.config
        change = difference(former, self.ports.applied(config))
        self._check(change, source)
        self._open_raw(change.config, source)
        try:
            await self._fit_devices(change.config)
            if change.added or change.removed or change.changed:
                self.core.reconciler.refit()
            await self._fit_services(change.config, vxlan=bool(change.vxlan))
            self.core.runner.replace_config(change.config)
        except Exception:
            if not self._stopped:  # else all is closed soon
                log.error(SUBJECT, f"{source}: a fault, the former configuration stays in use", "config")
                await self._take_back()
            raise
        self.services.traffic.replace_config(change.config)
        self.services.router.replace_config(change.config)
        self.services.prober.replace_config(change.config)
        self._leave_all_but(change.config)
        self._remove_unused()
        log.set_style(change.config.daemon.log_format)
        if _levels(change.config) != _levels(former):  # else those that `log-levels` has set stay
            log.set_levels(*_levels(change.config))
        for key, text in change.fixed:
            log.warning(SUBJECT, f"{source}: {key}: {text}", "config")
        log.info(SUBJECT, f"{source}: {change}", "config")
        if change.added or change.changed or change.secrets:
            _tell_lack_of_secrets(former, change)
        return change

    async def _fit_services(self, config: Config, *, vxlan: bool) -> None:
        """Have what the machine needs for a configuration, beside devices."""
        self._go_on()
        self.services.names.configure(config)
        if vxlan:
            await self.services.vxlans.replace_config(config)
            self._go_on()
        self.core.relay.configure(config.radius)
        await self.services.follower.replace_config(config)
        self._go_on()
        # Last of what is waited for: until there are their certificates, new keys serve nobody, and former
        # certificates have none.
        await asyncio.to_thread(load_private_keys, self.services.signer, config)
        self._go_on()
        self.credentials.configure(config)

    def _go_on(self) -> None:
        """Raise LocalMisuse if the daemon's end does not wait for this change."""
        if self._given_up:
            raise LocalMisuse(ENDING)

    async def _take_back(self) -> None:
        """After a fault: have what the machine's configuration asks for again, and no other devices."""
        config = self.core.machine.config
        await self._fit_devices(config)
        self._leave_all_but(config)
        self._remove_unused()
        self.core.reconciler.refit()
        await self._fit_services(config, vxlan=True)

    # -- before ------------------------------------------------------------------------------------

    def _check(self, change: ConfigDifference, source: str) -> None:
        problems = [(key, text) for key, text in change.fixed if key in PORTS]
        # A secret or pool may come after its connection, and go before it, by VICI: it is named then.
        problems += mistakes.check(change.config, {"secrets", "pools"})
        # Of [daemon.http] it finds nothing: that stays as it was when its library was there.
        problems += missing_libraries(change.config)
        problems += unknown_impairments(change.config)
        own = self.core.devices.names()
        self._going = {name: index for name, index in self._going.items() if device_index(name) == index}
        for connection in (*change.added, *(each.new for each in change.changed if each.device)):
            name = connection.vti.name
            if name not in own and name not in self._going and device_index(name) is not None:
                what = "in use by another program" if is_tun(name) else "none of ikepy's"
                text = f"a device {name} exists already, {what}: choose another name or remove it"
                problems.append((f"connections.{connection.name}.vti.name", text))
        if problems:
            raise ConfigError(source, problems)

    def _open_raw(self, config: Config, source: str) -> None:
        """Open sockets for native ESP, which a daemon whose connections all had `encap` does not have."""
        native = [one.name for one in config.connections.values() if not one.encap]
        if not native:
            return
        try:
            opened = self.core.listeners.add_raw()
        except (StartError, OSError) as error:
            raise ConfigError(source, [(f"connections.{native[0]}.encap", str(error))]) from error
        for slot, one in opened:
            self.core.pool.add_socket(slot, one)

    # -- devices -----------------------------------------------------------------------------------

    async def _fit_devices(self, config: Config) -> None:
        """Have the devices of these connections, as they are to be; others stay for now."""
        connections, added = config.connections, list[Connection]()
        self.core.devices.make_way({name: one.vti.name for name, one in connections.items()})
        for connection in connections.values():
            device = self.core.devices.find(connection.name)
            if device is None or connection.name in self._leaving:
                added.append(connection)
            elif device.connection is connection:
                continue  # as most of thousands: nothing is compared
            elif device.connection.vti != connection.vti or _traps(device.connection) != _traps(connection):
                self._reconfigure(device, connection)
            else:
                device.connection = connection
        begin = self.clock()
        for number, connection in enumerate(added, 1):
            former = self._leaving.pop(connection.name, None)
            if former is not None:
                former.end.cancel()
                self.core.devices.leave(former.device, False)
                self._reconfigure(former.device, connection)
            else:
                device = self.core.devices.add(connection)
                if not self.core.pool.add_device_later(device):
                    self.core.devices.serve(device, False)
            if self._stopped:
                raise LocalMisuse(ENDING)
            if number % AT_ONCE == 0:
                await asyncio.sleep(self.clock() - begin)
                begin = self.clock()
        leaving = [one.device.connection for one in self._leaving.values()]
        self.core.devices.name_peers([*connections.values(), *leaving])
        self.core.route_check.forget()

    def _reconfigure(self, device: VtiDevice, connection: Connection) -> None:
        try:
            self.core.devices.reconfigure(device, connection)
        except (RouteError, OSError) as error:
            log.error(connection.name, f"{error}; it is tried again", "config")
            self.core.reconciler.suspect(device)
        self.core.pool.replace_device(device)

    def _leave_all_but(self, config: Config) -> None:
        """Keep the device of a connection that is not configured any more until it has no IKE_SA, but at most
        FAREWELL seconds."""
        for device in list(self.core.devices):
            name = device.connection.name
            if name not in config.connections and name not in self._leaving:
                end = asyncio.get_running_loop().call_later(FAREWELL, self._end, name)
                self._leaving[name] = Leaving(device, end)
                self.core.devices.leave(device, True)

    def _end(self, connection: str) -> None:
        if self.core.runner.has_ike_sa(connection):
            log.warning(connection, "the peer has not answered the delete", "config")
            self.core.runner.request(Terminate(ike=connection, force=True))

    def _look_soon(self) -> None:
        """The machine was called: an IKE_SA may be gone."""
        if self._leaving and self._look is None and not self._stopped:
            self._look = asyncio.get_running_loop().call_later(LOOK_AGAIN, self._remove_unused)

    def _remove_unused(self) -> None:
        """Remove the devices of removed connections that have no IKE_SA any more."""
        if self._look is not None:
            self._look.cancel()
            self._look = None
        unused = [name for name in self._leaving if not self.core.runner.has_ike_sa(name)]
        for name in unused:
            device, end = self._leaving.pop(name)
            end.cancel()
            if not device.gone:
                self._going[device.tun.name] = device.tun.index
            self.core.exemptions.forget(device)
            self.core.pool.remove_device(device)
            self.core.devices.remove(device)
            self.core.reconciler.forget(device)
            self.core.runner.bus.publish(ConnectionRemoved(name, device.tun.name))
        if unused:
            self.core.route_check.forget()
            for device in self.core.devices:
                if device.gone:
                    self.core.reconciler.suspect(device)  # its name may be free now


def _tell_lack_of_secrets(former: Config, change: ConfigDifference) -> None:
    """Warn of connections that no secret fits now: their IKE_SAs can't be authenticated."""
    config = change.config
    if change.secrets:
        concerned = list(config.connections.values())
    else:
        concerned = [*change.added, *(each.new for each in change.changed)]
    lacking = mistakes.without_secret(config, concerned)
    if change.secrets and lacking:
        known = set(mistakes.without_secret(former, former.connections.values()))
        lacking = [problem for problem in lacking if problem not in known]
    hint = mistakes.mistyped(config) if lacking else ""
    for key, text in lacking[:MOST_TOLD]:
        log.warning(SUBJECT, f"{key}: {text}{hint}", "config")
    if len(lacking) > MOST_TOLD:
        log.warning(
            SUBJECT, f"{len(lacking) - MOST_TOLD} more connections have no secret that fits", "config"
        )


def _levels(config: Config) -> tuple[str, dict[Subsystem, str]]:
    return config.daemon.log_level, dict(config.daemon.log_levels)


def _traps(connection: Connection) -> list[object]:
    """The selectors that start children, on which a device's carrier and permanent routes depend."""
    return [one.remote_ts for one in connection.children.values() if is_trap(one)]
