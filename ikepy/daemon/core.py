"""What carries IKE and ESP in the control process, put together: sockets, devices, workers, the IKE machine.

`ikepy.daemon.services` has what follows the kernel, DNS names and the tunnels beside it.
"""

from __future__ import annotations

import asyncio
from contextlib import AsyncExitStack
from dataclasses import dataclass
from functools import partial

from ikepy.config.model import Config
from ikepy.daemon import log
from ikepy.daemon.bus.limited_log import LimitedLog
from ikepy.daemon.device.devices import SETTLING, DeviceTable
from ikepy.daemon.device.exemptions import Exemptions
from ikepy.daemon.device.vti_device import VtiDevice
from ikepy.daemon.effects.children import ChildTable
from ikepy.daemon.effects.entropy import SystemEntropy
from ikepy.daemon.effects.runner import EffectsRunner
from ikepy.daemon.errors import StartError
from ikepy.daemon.events.reconciler import Reconciler
from ikepy.daemon.events.traffic_limits import EspHeard
from ikepy.daemon.events.worker_events import WorkerEvents
from ikepy.daemon.interfaces import Facts, KeyLogDirectory, Machine, MakeMachine, SocketOpener
from ikepy.daemon.net import own_ports
from ikepy.daemon.net.listeners import Listeners
from ikepy.daemon.net.own_ports import OwnPorts
from ikepy.daemon.net.reception import Reception
from ikepy.daemon.net.resolver import Resolver
from ikepy.daemon.net.route_check import RouteCheck
from ikepy.daemon.privileged.separation import Rights
from ikepy.daemon.radius.relay import RadiusRelay
from ikepy.daemon.workers.pool import SA_SLOTS, WorkerPool
from ikepy.sa.api.capacity import Capacity
from ikepy.sa.api.key_log import NOBODY
from ikepy.sa.api.names import NameTable
from ikepy.sa.api.path import Address
from ikepy.sa.api.restart_keys import RestartKeys
from ikepy.sa.auth.credentials import Credentials

PORT_TRIES = 3  # of ports that the kernel chooses, beside the last
WORKERS_START = 2.0  # seconds that the first IKE message waits for the workers, at most
SUBJECT = "daemon"


@dataclass(frozen=True, slots=True, eq=False)
class Core:
    """The parts. Those that are told of each other know it already; `run` lets IKE messages in."""

    rights: Rights
    listeners: Listeners
    devices: DeviceTable
    children: ChildTable
    pool: WorkerPool
    route_check: RouteCheck
    resolver: Resolver
    machine: Machine
    runner: EffectsRunner
    exemptions: Exemptions
    reconciler: Reconciler
    reception: Reception
    relay: RadiusRelay

    async def run(self) -> None:
        """Serve IKE as soon as the workers can take SAs."""
        await self.pool.ready(WORKERS_START)
        self.listeners.start(self.reception)

    def unserved(self) -> dict[str, int]:
        """What control did not serve, by reason, as `ikepy counters` prints it."""
        return {
            **self.machine.counters(),
            "stray ESP packets lost": self.listeners.stray + self.pool.lost,
            "strangers' messages lost": self.reception.lost,
            "strangers' key exchanges not begun": self.runner.computing.refused,
            "log lines lost": log.lost(),
            "log lines summed up": self.runner.log.limiter.suppressed,
        }


def open_listeners(
    config: Config, addresses: list[Address], workers: int, opener: SocketOpener
) -> tuple[Listeners, OwnPorts]:
    """Open the sockets, also of ports that the kernel is to choose. Raises StartError."""
    native = any(not connection.encap for connection in config.connections.values())
    for last in (*(False,) * PORT_TRIES, True):
        ports = own_ports.choose(config)
        settings = ports.applied(config).daemon
        try:
            listeners = Listeners.open(
                addresses, (settings.port, settings.port_nat_t), workers, native, opener
            )
            break
        except StartError:  # somebody else may have taken a chosen one meanwhile
            if last or not ports.chosen:
                raise
    if ports.chosen:
        log.info(SUBJECT, f"UDP ports: {settings.port}, and {settings.port_nat_t} for NATs")
    return listeners, ports


def open_devices(
    stack: AsyncExitStack, config: Config, workers: int, rights: Rights, names: NameTable
) -> DeviceTable:
    """Open the configured devices; `stack` closes them. Raises StartError."""
    devices = DeviceTable(config, workers, rights.create_tun, rights.network, names)
    devices.open()
    stack.callback(devices.close)
    return devices


def assemble(
    stack: AsyncExitStack,
    config: Config,
    workers: int,
    rights: Rights,
    listeners: Listeners,
    devices: DeviceTable,
    make_machine: MakeMachine,
    names: NameTable,
    written: LimitedLog,
    restart_keys: RestartKeys,
    credentials: Credentials,
    key_log: KeyLogDirectory | None = None,
) -> Core:
    """The parts around these sockets and devices; `stack` closes them in reverse order."""
    children = ChildTable(workers, SA_SLOTS)
    pool = WorkerPool(
        workers,
        listeners.of_slot,
        rights.launcher,
        hurries=config.daemon.worker_priority > 0,
        opener=rights.sockets,
        bus=written.bus,
    )
    stack.push_async_callback(pool.close)
    route_check = RouteCheck(rights.network, devices.names)
    listeners.tunnel = route_check.tunnel
    resolver = Resolver(rights.network, route_check, names)
    relay = RadiusRelay()
    relay.configure(config.radius)
    facts = Facts(
        resolver.resolve,
        route_check.leads_out,
        EspHeard(children, pool.counters),
        partial(_room, devices, children),
        names,
        restart_keys,
        credentials,
        relay,
        NOBODY if key_log is None else key_log,
    )
    machine = make_machine(config, SystemEntropy(pool.workers, devices.slot_of, lambda: children.spis), facts)
    runner = EffectsRunner(machine, listeners, pool, devices, children, written)
    if key_log is not None:
        runner.installed = key_log.installed
    stack.callback(runner.stop)
    exemptions = Exemptions(devices, rights.network, route_check)
    stack.callback(exemptions.close)
    reconciler = Reconciler(devices, runner, pool.replace_device, exemptions)
    stack.push_async_callback(reconciler.stop)
    events = WorkerEvents(runner, pool, children, devices, reconciler.suspect, exemptions.led_inside)
    listeners.forward_esp = events.forward
    _start_workers(pool, events, devices, reconciler, runner)
    return Core(
        rights,
        listeners,
        devices,
        children,
        pool,
        route_check,
        resolver,
        machine,
        runner,
        exemptions,
        reconciler,
        Reception(runner.receive, runner.refuse, runner.knows, runner.drops),
        relay,
    )


def _start_workers(
    pool: WorkerPool,
    events: WorkerEvents,
    devices: DeviceTable,
    reconciler: Reconciler,
    runner: EffectsRunner,
) -> None:
    """Give each device to its worker, and tell the workers, and the reconciler, of its changes."""

    def mtu_changed(device: VtiDevice) -> None:
        pool.set_mss(device)
        runner.mtu_changed(device)

    pool.report_to(events.message, events.death, events.service)
    for device in devices:
        pool.add_device(device)
    devices.mtu_changed = mtu_changed
    call_later = asyncio.get_running_loop().call_later
    devices.settle_later = lambda device, rise: call_later(SETTLING, devices.settled, device, rise)
    devices.peers_changed = reconciler.peers_changed


def _room(devices: DeviceTable, children: ChildTable, connection: str) -> Capacity:
    """How many children a connection can have; none without a device or worker, which could carry nothing."""
    device = devices.find(connection)
    if device is None:
        return Capacity(0, 0, f"{connection} is not configured any more")
    return Capacity(0, 0, device.lacks) if device.lacks else children.room(device.slot)
