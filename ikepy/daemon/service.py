"""The control process: puts the daemon's parts together, runs them until a signal, and closes them."""

from __future__ import annotations

import asyncio
import os
import signal
import socket
import time
from collections.abc import Callable, Sequence
from contextlib import AsyncExitStack
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Protocol

from esp.net import sockets
from ikepy.config.difference import ConfigDifference
from ikepy.config.model import Config, Http
from ikepy.daemon import log
from ikepy.daemon.bus.daemon_events import ConnectionRemoved, DaemonEnding, DaemonStarted
from ikepy.daemon.bus.event_bus import EventBus
from ikepy.daemon.bus.limited_log import LimitedLog
from ikepy.daemon.checks import check, wait_for_devices
from ikepy.daemon.config_watch import ConfigWatch, WatchedFile
from ikepy.daemon.control.control_socket import ControlSocket
from ikepy.daemon.control.take_snapshot import Sources, with_traffic
from ikepy.daemon.desired_config import ConfigSource, DesiredConfig
from ikepy.daemon.device import sysctls
from ikepy.daemon.device.devices import SETTLING, DeviceTable
from ikepy.daemon.device.exemptions import Exemptions
from ikepy.daemon.device.vxlans import VxlanDevices
from ikepy.daemon.diagnosis.history import History
from ikepy.daemon.effects.children import ChildTable
from ikepy.daemon.effects.entropy import SystemEntropy
from ikepy.daemon.effects.past_traffic import PastTraffic
from ikepy.daemon.effects.runner import EffectsRunner
from ikepy.daemon.errors import RunError, StartError
from ikepy.daemon.events.addresses import AddressFollower
from ikepy.daemon.events.reconciler import Reconciler
from ikepy.daemon.events.traffic_limits import EspHeard, TrafficWatch
from ikepy.daemon.events.worker_events import WorkerEvents
from ikepy.daemon.interfaces import (
    Changes,
    Facts,
    Machine,
    MakeMachine,
    MakeWatch,
    NetworkConfig,
    SocketOpener,
    Tun,
)
from ikepy.daemon.net import own_ports
from ikepy.daemon.net.listeners import Listeners
from ikepy.daemon.net.name_threads import NameThreads
from ikepy.daemon.net.names import NameService
from ikepy.daemon.net.own_ports import OwnPorts
from ikepy.daemon.net.reception import Reception
from ikepy.daemon.net.resolver import Resolver
from ikepy.daemon.net.route_check import RouteCheck
from ikepy.daemon.net.served_addresses import addresses_to_serve
from ikepy.daemon.privileged.client import Privileged
from ikepy.daemon.privileged.separation import Rights, separate
from ikepy.daemon.probe.echo_socket import OpenEchoSocket, open_echo_socket
from ikepy.daemon.probe.prober import Prober
from ikepy.daemon.process.account import Account, closed_to
from ikepy.daemon.process.chosen_accounts import of_control as account_of_control
from ikepy.daemon.process.chosen_accounts import of_workers as account_of_workers
from ikepy.daemon.process.launcher import WorkerLauncher
from ikepy.daemon.process.own_rights import give_up_the_rest, permit_many_descriptors, tell_what_is_kept
from ikepy.daemon.process.service_manager import ServiceManager
from ikepy.daemon.reconfiguration import Reconfiguration
from ikepy.daemon.reload_requests import ReloadRequests
from ikepy.daemon.router.advertiser import RouterAdvertiser
from ikepy.daemon.router.icmp_socket import OpenSocket, open_icmp_socket
from ikepy.daemon.vici.commands import ViciCommands
from ikepy.daemon.vici.control_commands import ControlCommands
from ikepy.daemon.vici.events import ViciEvents
from ikepy.daemon.vici.exchange_counters import ExchangeCounters
from ikepy.daemon.vici.loading import Loading
from ikepy.daemon.vici.sections import Reqids
from ikepy.daemon.vici.vici_client import ViciClient
from ikepy.daemon.workers.pool import SA_SLOTS, WorkerPool
from ikepy.errors import LocalMisuse
from ikepy.sa.api.capacity import Capacity
from ikepy.sa.api.commands import Shutdown
from ikepy.sa.api.names import NameTable
from ikepy.sa.api.path import Address

WORKERS_START = 2.0  # seconds that the first IKE message waits for the workers, at most
PORT_TRIES = 3  # of ports that the kernel chooses, beside the last
FAREWELL = 4.0  # seconds for the peers to answer our deletes
SUBJECT = "daemon"


@dataclass(frozen=True, slots=True)
class Dependencies:
    """What the daemon uses of the outside; tests put fakes here."""

    make_machine: MakeMachine
    create_tun: Callable[[str], Tun]
    network: NetworkConfig
    make_watch: MakeWatch
    drop_capabilities: bool = True
    sysctls: Path = sysctls.ROOT
    open_icmp_socket: OpenSocket = open_icmp_socket
    open_echo_socket: OpenEchoSocket = open_echo_socket


class Monitoring(Protocol):
    """`ikepy.daemon.http.monitoring.HttpMonitoring`."""

    def start(self, sources: Sources) -> None: ...

    async def close(self) -> None: ...


class ConfigFile(ConfigSource, WatchedFile, Protocol):
    """`ikepy.config.sources.config_file.ConfigFile`."""


class Daemon:
    """One run of the daemon: `serve` starts, waits for `stop` and ends."""

    def __init__(
        self,
        config: Config,
        control: Path,
        dependencies: Dependencies,
        file: ConfigFile | None = None,
        remarks: Sequence[tuple[str, str]] = (),
        *,
        watch: bool = False,
    ) -> None:
        """`control`: the control socket's path; `file`: where `config` is from, for reloads; `remarks`:
        warnings on it that are in the log already; `watch`: reload when a file changes."""
        self._config = config
        self._control = control
        self._file = file
        self._dependencies = dependencies
        self._written = LimitedLog(EventBus(), time.monotonic)
        self._history = History()
        self._history.listen(self._written.bus)
        self.desired = DesiredConfig(config, self._apply, file, self._written.bus.publish, remarks)
        self._reloads = ReloadRequests(self.desired)
        self._file_watch: ConfigWatch | None = None
        if watch and file is not None:
            self._file_watch = ConfigWatch(file, self._file_changed, self._written.bus)
        self._stop = asyncio.Event()
        self._hurry = asyncio.Event()
        self._lost: str | None = None  # without what it can't go on
        self._reconfiguration: Reconfiguration | None = None  # once the daemon runs
        self._ports = OwnPorts()
        self._names = NameTable()
        self.ready = asyncio.Event()  # set once the first IKE_SAs are being initiated

    @property
    def events(self) -> EventBus:
        """What happens: the machine's events and the daemon's own, for whoever imports it."""
        return self._written.bus

    def stop(self) -> None:
        """Delete the SAs at the peers, then end; a second call ends at once."""
        if self._stop.is_set():
            self._hurry.set()
        self._stop.set()

    async def serve(self) -> None:
        """Run until `stop`. Raises StartError, with nothing left behind, if the start fails; RunError after
        an end in order if it can't go on."""
        loop = asyncio.get_running_loop()
        for number in (signal.SIGINT, signal.SIGTERM):
            loop.add_signal_handler(number, self._signalled, number)
        loop.add_signal_handler(signal.SIGHUP, self._reloads.ask, "SIGHUP")
        # `ikepy.start` holds it back until here, and from the end of this on.
        before = signal.pthread_sigmask(signal.SIG_UNBLOCK, {signal.SIGHUP})
        manager = ServiceManager.of_environment(os.environ)
        manager.follow(self._written.bus)
        try:
            async with AsyncExitStack() as stack:
                try:
                    runner = await self._start(stack)
                except OSError as error:
                    raise StartError(str(error)) from error
                if runner is not None:
                    self.ready.set()
                    manager.ready()
                    self._take_reloads(stack)
                    await self._stop.wait()
                    manager.stopping()
                    await self._say_farewell(runner)
        finally:
            manager.close()
            signal.pthread_sigmask(signal.SIG_SETMASK, before)
            for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
                loop.remove_signal_handler(number)
        log.info(SUBJECT, "ended")
        if self._lost is not None:
            raise RunError(self._lost)

    def _signalled(self, number: signal.Signals) -> None:
        self._written.bus.publish(DaemonEnding(number.name, at_once=self._stop.is_set()))
        self.stop()

    def _take_reloads(self, stack: AsyncExitStack) -> None:
        """From now on SIGHUP and changed files reload the configuration."""
        stack.push_async_callback(self._reloads.stop)
        self._reloads.start()
        if self._file_watch is not None:
            stack.push_async_callback(self._file_watch.stop)
            self._file_watch.start()

    def _file_changed(self) -> None:
        self._reloads.ask("a file has changed")

    async def _start(self, stack: AsyncExitStack) -> EffectsRunner | None:
        """Open all parts in order; `stack` closes them in reverse order. None if it is to end meanwhile."""
        bus, settings = self._written.bus, self._config.daemon
        workers = settings.workers or len(os.sched_getaffinity(0))
        check(self._config, self._control)
        account = account_of_workers(settings.worker_user)
        user = account_of_control(settings.user) if self._dependencies.drop_capabilities else None
        permit_many_descriptors()
        privileged = None if user is None else Privileged.start()  # it loads meanwhile
        if privileged is not None:
            stack.callback(privileged.close)

        control = ControlSocket.open(self._control, group=self._config.daemon.socket_group)
        stack.push_async_callback(control.close)
        monitoring = open_monitoring(self._config.daemon.http, self._written.bus, self._stop.is_set)
        if monitoring is not None:
            stack.push_async_callback(monitoring.close)
        await wait_for_devices(self._config, self._stop)
        if self._stop.is_set():
            return None
        sysctls.look(self._config, self._dependencies.sysctls)
        if user is None or privileged is None:
            rights = self._own_rights(account)
        else:
            own = [(control.path, control.inode)]
            rights = separate(privileged, settings, workers, user, account, own, self._files_read())
            privileged.watch(self._lose_rights)
        network = rights.network
        addresses = addresses_to_serve(self._config, network.local_addresses())
        devices, listeners = self._open_network(stack, addresses, workers, rights)
        if user is not None:
            tell_what_is_kept(closed_to(user))
        elif self._dependencies.drop_capabilities:
            give_up_the_rest()
        config = self._config

        children = ChildTable(workers, SA_SLOTS)
        pool = WorkerPool(
            workers,
            listeners.of_slot,
            rights.launcher,
            hurries=config.daemon.worker_priority > 0,
            opener=rights.sockets,
            bus=bus,
        )
        stack.push_async_callback(pool.close)
        route_check = RouteCheck(network, devices.names)
        listeners.tunnel = route_check.tunnel
        resolver = Resolver(network, route_check, self._names)
        machine = self._make_machine(devices, children, pool, resolver, route_check)
        runner = EffectsRunner(machine, listeners, pool, devices, children, self._written)
        stack.callback(runner.stop)
        exemptions = Exemptions(devices, network, route_check)
        stack.callback(exemptions.close)
        reconciler = Reconciler(devices, runner, pool.replace_device, exemptions)
        stack.push_async_callback(reconciler.stop)
        events = WorkerEvents(runner, pool, children, devices, reconciler.suspect, exemptions.led_inside)
        _start_workers(pool, events, devices, reconciler)

        await pool.ready(WORKERS_START)
        reception = Reception(runner.receive, runner.refuse, runner.knows, runner.drops)
        await listeners.start(reception)
        unserved = partial(_unserved, machine, reception, runner)
        past = PastTraffic(pool.counters)
        children.removing = past.note
        bus.listen((ConnectionRemoved,), lambda event: past.forget(event.connection))
        prober = Prober(config, devices.find, bus, rights.open_echo_socket)
        stack.push_async_callback(prober.stop)
        sources = Sources(
            machine,
            devices,
            children,
            pool,
            listeners.endpoints,
            unserved,
            past_traffic=lambda: past.sums,
            probes=prober.states,
        )
        if monitoring is not None:
            monitoring.start(sources)
        clients = self._vici_clients(sources, runner)
        bus.publish(DaemonStarted(tuple(addresses), workers))
        traffic = TrafficWatch(config, runner, children, pool.counters)
        stack.callback(traffic.stop)
        traffic.start()
        follower = AddressFollower(
            config, network, listeners, pool, runner, resolver, devices, route_check, self._names
        )
        stack.push_async_callback(follower.stop)
        vxlans = VxlanDevices(config, network)
        stack.push_async_callback(vxlans.close)
        await vxlans.start()
        router = RouterAdvertiser(config, devices, bus, rights.open_icmp_socket)
        stack.push_async_callback(router.end)
        names = self._name_service(stack, machine, runner, follower, devices, reconciler)
        self._watch(stack, reconciler, follower, router, names, vxlans)
        reconciler.start()
        await follower.start()
        names.start()
        router.start()
        runner.start()
        prober.start()
        self._reconfiguration = Reconfiguration(
            machine,
            runner,
            devices,
            pool,
            listeners,
            follower,
            traffic,
            exemptions,
            reconciler,
            route_check,
            router,
            names,
            self._ports,
            vxlans,
            prober,
        )
        control.start(clients)  # who connected before was kept waiting: every command is executed from now on
        return runner

    def _name_service(
        self,
        stack: AsyncExitStack,
        machine: Machine,
        runner: EffectsRunner,
        follower: AddressFollower,
        devices: DeviceTable,
        reconciler: Reconciler,
    ) -> NameService:
        """What looks DNS names up for the machine; sockets, routes and devices follow what they mean."""
        names = NameService(self._names, NameThreads())
        stack.push_async_callback(names.stop)

        async def changed() -> None:
            devices.name_peers(machine.config.connections.values())
            reconciler.refit()
            await follower.look()

        names.complete, names.changed = runner.complete, changed
        runner.look_up = names.look_up
        names.configure(self._config)
        return names

    def _files_read(self) -> list[Path]:
        """The configuration's file and those that it names, as they were read."""
        return [] if self._file is None else list(self._file.files_read.files)

    def _own_rights(self, account: Account | None) -> Rights:
        """This process's; `account`: whom workers become."""
        given = self._dependencies
        launcher = WorkerLauncher(account, self._config.daemon.worker_priority)
        return Rights(
            given.create_tun, given.network, sockets, launcher, given.open_icmp_socket, given.open_echo_socket
        )

    def _lose_rights(self, how: str) -> None:
        """The privileged process has ended, or is silent, and so have all workers: the peers are told."""
        self._lost = (
            f"the privileged process ended ({how}), and with it the workers: the daemon ends; start it anew"
        )
        log.error(SUBJECT, self._lost)
        self.stop()

    def _open_network(
        self, stack: AsyncExitStack, addresses: list[Address], workers: int, rights: Rights
    ) -> tuple[DeviceTable, Listeners]:
        """Open sockets and devices."""
        listeners = self._open_listeners(addresses, workers, rights.sockets)
        stack.push_async_callback(listeners.close)
        devices = DeviceTable(self._config, workers, rights.create_tun, rights.network, self._names)
        devices.open()
        stack.callback(devices.close)
        return devices, listeners

    def _make_machine(
        self,
        devices: DeviceTable,
        children: ChildTable,
        pool: WorkerPool,
        resolver: Resolver,
        route_check: RouteCheck,
    ) -> Machine:
        entropy = SystemEntropy(pool.workers, devices.slot_of, lambda: children.spis)
        esp_heard = EspHeard(children, pool.counters)
        capacity_of = partial(_room, devices, children)
        facts = Facts(resolver.resolve, route_check.leads_out, esp_heard, capacity_of, self._names)
        return self._dependencies.make_machine(self._config, entropy, facts)

    def _watch(
        self,
        stack: AsyncExitStack,
        reconciler: Reconciler,
        follower: AddressFollower,
        router: RouterAdvertiser,
        names: NameService,
        vxlans: VxlanDevices,
    ) -> None:
        """Report what the kernel says of addresses, links and routes; without that the daemon runs on."""

        def changed(changes: Changes) -> None:
            reconciler.changed(changes)
            if follower.changed(changes):
                names.own_addresses_changed()
            router.changed(changes)
            vxlans.changed(changes)

        try:
            stack.callback(self._dependencies.make_watch(changed).close)
        except OSError as error:
            log.error(SUBJECT, f"what others change of addresses and devices won't be noticed: {error}")

    def _vici_clients(self, sources: Sources, runner: EffectsRunner) -> Callable[[socket.socket], ViciClient]:
        """What makes a client of a connected socket, with all that VICI's clients have in common."""
        reqids = Reqids()
        counters = ExchangeCounters(runner.bus, sources.unserved)
        runner.received, runner.sent = counters.received, counters.sent
        control = ControlCommands(sources, runner, self.desired)
        commands = ViciCommands(sources, control, Loading(self.desired), counters, reqids, self._history)
        events = ViciEvents(runner.bus, partial(with_traffic, sources), reqids)

        def make(sock: socket.socket) -> ViciClient:
            return ViciClient(sock, commands, events)

        return make

    async def replace_config(self, config: Config, source: str = "configuration") -> ConfigDifference:
        """Use `config` in place of the file's, and change nothing else. Returns the difference.

        Raises ConfigError, with nothing changed; `source` is its name there. LocalMisuse before `ready`.
        """
        return await self.desired.change(lambda layers: layers.with_file(config), source, wipe=False)

    async def _apply(self, config: Config, source: str) -> ConfigDifference:
        if self._reconfiguration is None or self._stop.is_set():
            raise LocalMisuse("the daemon is not running")
        return await self._reconfiguration.replace(config, source)

    def _open_listeners(self, addresses: list[Address], workers: int, opener: SocketOpener) -> Listeners:
        """Open the sockets. From now on the configuration has the ports that the kernel chose for 0."""
        native = any(not connection.encap for connection in self._config.connections.values())
        for last in (*(False,) * PORT_TRIES, True):
            ports = own_ports.choose(self._config)
            settings = ports.applied(self._config).daemon
            try:
                listeners = Listeners.open(
                    addresses, (settings.port, settings.port_nat_t), workers, native, opener
                )
                break
            except StartError:  # somebody else may have taken a chosen one meanwhile
                if last or not ports.chosen:
                    raise
        self._ports, self._config = ports, ports.applied(self._config)
        if ports.chosen:
            log.info(SUBJECT, f"UDP ports: {settings.port}, and {settings.port_nat_t} for NATs")
        return listeners

    async def _say_farewell(self, runner: EffectsRunner) -> None:
        if self._reconfiguration is None:
            return
        await self._reconfiguration.stop()
        told_hosts = asyncio.create_task(self._reconfiguration.router.end())
        runner.request(Shutdown())
        waiting = [asyncio.create_task(event.wait()) for event in (runner.idle, self._hurry)]
        _, late = await asyncio.wait(waiting, timeout=FAREWELL, return_when=asyncio.FIRST_COMPLETED)
        await told_hosts
        for task in waiting:
            task.cancel()
        await asyncio.gather(*waiting, return_exceptions=True)
        if len(late) == len(waiting):
            log.warning(SUBJECT, "not every peer has answered the delete")


def _start_workers(
    pool: WorkerPool, events: WorkerEvents, devices: DeviceTable, reconciler: Reconciler
) -> None:
    """Give each device to its worker, and tell the workers, and the reconciler, of its changes."""
    pool.report_to(events.message, events.death, events.service)
    for device in devices:
        pool.add_device(device)
    devices.mtu_changed = pool.set_mss
    call_later = asyncio.get_running_loop().call_later
    devices.settle_later = lambda device: call_later(SETTLING, devices.settled, device)
    devices.peers_changed = reconciler.peers_changed


def _room(devices: DeviceTable, children: ChildTable, connection: str) -> Capacity:
    """How many children a connection can have; none without a device or worker, which could carry nothing."""
    device = devices.find(connection)
    if device is None:
        return Capacity(0, 0, f"{connection} is not configured any more")
    return Capacity(0, 0, device.lacks) if device.lacks else children.room(device.slot)


def _unserved(machine: Machine, reception: Reception, runner: EffectsRunner) -> dict[str, int]:
    """What control did not serve, by reason, as `ikepy counters` prints it."""
    return {
        **machine.counters(),
        "strangers' messages lost": reception.lost,
        "strangers' key exchanges not begun": runner.computing.refused,
        "log lines lost": log.lost(),
        "log lines summed up": runner.log.limiter.suppressed,
    }


def open_monitoring(settings: Http | None, bus: EventBus, ending: Callable[[], bool]) -> Monitoring | None:
    """The HTTP server, if there is to be one: its libraries are loaded only then. Raises StartError."""
    if settings is None:
        return None
    from ikepy.daemon.http.monitoring import HttpMonitoring

    return HttpMonitoring(settings, bus, ending)
