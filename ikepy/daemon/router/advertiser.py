"""Router advertisements of a daemon: on every configured interface, as long as its tunnels are up."""

from __future__ import annotations

import asyncio

from ikepy.config.model import Config
from ikepy.daemon.bus.daemon_events import (
    ConnectionRemoved,
    DeviceDeleted,
    DeviceMadeAgain,
    DeviceRestored,
    DeviceTakenDown,
    DeviceUp,
    WorkerServed,
    WorkerUnserved,
)
from ikepy.daemon.bus.event_bus import EventBus
from ikepy.daemon.device.devices import DeviceTable
from ikepy.daemon.interfaces import Changes
from ikepy.daemon.router.icmp_socket import OpenSocket
from ikepy.daemon.router.interface_advertiser import InterfaceAdvertiser
from ikepy.daemon.router.tunnels import Tunnels, tunnels
from ikepy.sa.api.events import ChildDown, ChildRekeyed, ChildUp

PAUSE = 0.1  # seconds between two looks at the tunnels: a thousand may come up in one
# After these the tunnels may be others: they are looked at, whatever the event says.
CHANGES = (
    *(ChildUp, ChildDown, ChildRekeyed, WorkerServed, WorkerUnserved, ConnectionRemoved),
    *(DeviceTakenDown, DeviceUp, DeviceDeleted, DeviceMadeAgain, DeviceRestored),
)


class RouterAdvertiser:
    """From `start` to `end`."""

    def __init__(self, config: Config, devices: DeviceTable, bus: EventBus, open_socket: OpenSocket) -> None:
        self._config = config
        self._devices = devices
        self._bus = bus
        self._open = open_socket
        self._interfaces: dict[str, InterfaceAdvertiser] = {}
        self._leaving: dict[str, InterfaceAdvertiser] = {}
        self._soon: asyncio.TimerHandle | None = None
        self._looked = float("-inf")  # when the tunnels were looked at last
        self._running = False
        kinds: tuple[type[object], ...] = CHANGES
        bus.listen(kinds, self._tunnels_changed)

    def start(self) -> None:
        self._running = True
        for name in self._config.router_advertisements:
            self._begin(name)

    def _begin(self, name: str) -> None:
        settings, state = self._config.router_advertisements[name], self._tunnels(name)
        former = self._leaving.pop(name, None)
        if former is not None:
            self._interfaces[name] = former
            former.follow(settings, state)
            return
        one = InterfaceAdvertiser(settings, self._open, self._bus, self._done)
        self._interfaces[name] = one
        one.start(state)

    def _tunnels(self, name: str) -> Tunnels:
        return tunnels(self._config.router_advertisements[name], self._config, self._devices)

    def _tunnels_changed(self, event: object) -> None:
        """Look once what is being done now is done: of a rekey, say, both halves."""
        if self._running and self._interfaces and self._soon is None:
            loop = asyncio.get_running_loop()
            self._soon = loop.call_at(max(loop.time(), self._looked + PAUSE), self._follow)

    def _follow(self) -> None:
        self._soon, self._looked = None, asyncio.get_running_loop().time()
        for name, one in self._interfaces.items():
            one.follow(self._config.router_advertisements[name], self._tunnels(name))

    def changed(self, changes: Changes) -> None:
        """The kernel reports changes of interfaces or addresses."""
        for one in (*self._interfaces.values(), *self._leaving.values()):
            one.look()

    def replace_config(self, config: Config) -> None:
        """Announce what `config` asks for from now on; what it does not any more is withdrawn."""
        self._config = config
        wanted = config.router_advertisements
        for name in [name for name in self._interfaces if name not in wanted]:
            self._leave(name, self._interfaces.pop(name))
        self._follow()
        for name in wanted:
            if name not in self._interfaces:
                self._begin(name)

    def _leave(self, name: str, one: InterfaceAdvertiser) -> None:
        self._leaving[name] = one
        one.leave()
        if one.idle.is_set() or not one.can_send:
            self._forget(one)

    def _done(self, one: InterfaceAdvertiser) -> None:
        if one in self._leaving.values():
            self._forget(one)

    def _forget(self, one: InterfaceAdvertiser) -> None:
        self._leaving.pop(one.name, None)
        one.close()

    async def end(self) -> None:
        """Withdraw all, and close the sockets. May be called twice, and without `start`."""
        self._running = False
        if self._soon is not None:
            self._soon.cancel()
        everyone = (*self._interfaces.values(), *self._leaving.values())
        await asyncio.gather(*(one.end() for one in everyone))
        for one in everyone:
            one.close()
        self._interfaces.clear()
        self._leaving.clear()
