"""The control process: puts the daemon's parts together, runs them until a signal, and closes them."""

from __future__ import annotations

import asyncio
import os
import signal
import socket
import time
from collections.abc import Callable, Sequence
from contextlib import AsyncExitStack
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import NamedTuple, Protocol

from esp.net import sockets
from ikepy.config.difference import ConfigDifference
from ikepy.config.files_read import FilesRead
from ikepy.config.model import Config, Http
from ikepy.daemon import log
from ikepy.daemon.bus.daemon_events import DaemonEnding, DaemonStarted
from ikepy.daemon.bus.event_bus import EventBus
from ikepy.daemon.bus.limited_log import LimitedLog
from ikepy.daemon.checks import check, wait_for_devices
from ikepy.daemon.config_watch import ConfigWatch, WatchedFile
from ikepy.daemon.control.control_socket import ControlSocket
from ikepy.daemon.control.take_snapshot import Sources, with_traffic
from ikepy.daemon.core import SUBJECT, assemble, open_devices, open_listeners
from ikepy.daemon.credentials.collection import Collection
from ikepy.daemon.credentials.store import Store
from ikepy.daemon.desired_config import ConfigSource, DesiredConfig
from ikepy.daemon.device import sysctls
from ikepy.daemon.diagnosis.history import History
from ikepy.daemon.effects.runner import EffectsRunner
from ikepy.daemon.errors import RunError, StartError
from ikepy.daemon.farewell import within
from ikepy.daemon.interfaces import (
    KeyLogDirectory,
    MakeMachine,
    MakeWatch,
    NetworkConfig,
    Tun,
)
from ikepy.daemon.net.icmp_errors import IcmpErrors
from ikepy.daemon.net.own_ports import OwnPorts
from ikepy.daemon.net.served_addresses import addresses_to_serve
from ikepy.daemon.privileged.client import Privileged
from ikepy.daemon.privileged.separation import Rights, separate
from ikepy.daemon.probe.echo_socket import OpenEchoSocket, open_echo_socket
from ikepy.daemon.process.account import Account, closed_to
from ikepy.daemon.process.chosen_accounts import of_control as account_of_control
from ikepy.daemon.process.chosen_accounts import of_workers as account_of_workers
from ikepy.daemon.process.key_keeper import KeyKeeper
from ikepy.daemon.process.launcher import WorkerLauncher
from ikepy.daemon.process.lease_file import LeaseFile
from ikepy.daemon.process.own_rights import (
    give_up_the_rest,
    permit_many_descriptors,
    tell_of_a_bounding_set_that_stays,
    tell_what_is_kept,
)
from ikepy.daemon.process.service_manager import ServiceManager
from ikepy.daemon.reconfiguration import Reconfiguration
from ikepy.daemon.reload_requests import ReloadRequests
from ikepy.daemon.router.icmp_socket import OpenSocket, open_icmp_socket
from ikepy.daemon.services import Services
from ikepy.daemon.signer.configured import load_at_start
from ikepy.daemon.signer.signer import Signer
from ikepy.daemon.vici.commands import ViciCommands
from ikepy.daemon.vici.control_commands import ControlCommands
from ikepy.daemon.vici.events import ViciEvents
from ikepy.daemon.vici.exchange_counters import ExchangeCounters
from ikepy.daemon.vici.loading import Loading
from ikepy.daemon.vici.sections import Reqids
from ikepy.daemon.vici.vici_client import ViciClient
from ikepy.errors import LocalMisuse
from ikepy.sa.api.commands import Shutdown
from ikepy.sa.api.names import NameTable
from ikepy.sa.api.path import Path as NetworkPath

FAREWELL = 4.0  # seconds for a reload that is under way, and for the peers to answer our deletes


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


class Accounts(NamedTuple):
    """Whom the processes become; None: whom they are started as."""

    control: Account | None
    workers: Account | None


class Monitoring(Protocol):
    """`ikepy.daemon.http.monitoring.HttpMonitoring`."""

    @property
    def seen(self) -> Callable[[bytes, NetworkPath, bool], None] | None: ...

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
        self._credentials = Collection(Store())
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
        bus, given, settings = self._written.bus, self._dependencies, self._config.daemon
        workers = settings.workers or len(os.sched_getaffinity(0))
        check(self._config, self._control)
        if given.drop_capabilities:
            tell_of_a_bounding_set_that_stays()
        accounts = self._accounts()
        permit_many_descriptors()
        privileged = None if accounts.control is None else Privileged.start()  # it loads meanwhile
        if privileged is not None:
            stack.callback(privileged.close)
        keeper = KeyKeeper.open(settings)
        stack.callback(keeper.close)
        key_log = open_key_log(settings.keylog_dir)
        if key_log is not None:
            stack.callback(key_log.close)
        leases = LeaseFile.open(settings)
        stack.push_async_callback(leases.close)
        control = ControlSocket.open(self._control, group=settings.socket_group)
        stack.push_async_callback(control.close)
        key_file = None if key_log is None else key_log.own_file
        monitoring = open_monitoring(settings.http, bus, self._stop.is_set, self._control.parent, key_file)
        if monitoring is not None:
            stack.push_async_callback(monitoring.close)
        await wait_for_devices(self._config, self._stop)
        if self._stop.is_set():
            return None
        sysctls.look(self._config, given.sysctls)
        icmp_errors = IcmpErrors.open()
        stack.callback(icmp_errors.close)
        rights = self._rights(privileged, accounts, workers, control)
        network = rights.network
        addresses = addresses_to_serve(self._config, network.local_addresses(), network.is_local)
        listeners, self._ports = open_listeners(self._config, addresses, workers, rights.sockets)
        stack.push_async_callback(listeners.close)
        self._config = config = self._ports.applied(self._config)
        devices = open_devices(stack, config, workers, rights, self._names)
        self._give_up_rights(accounts)
        signer = Signer()  # started with the rights that this process has now
        stack.callback(signer.close)
        await load_at_start(signer, config)

        self._credentials.store.keys = signer
        self._credentials.configure(config)
        core = assemble(
            stack,
            config,
            workers,
            rights,
            listeners,
            devices,
            given.make_machine,
            self._names,
            self._written,
            keeper.keys,
            self._credentials.store,
            key_log,
        )
        keeper.start()
        core.machine.restore_leases(leases.read())
        leases.start(core.machine.leases)
        core.runner.leases_changed = leases.changed
        await core.run()
        icmp_errors.start((config.daemon.port, config.daemon.port_nat_t), self._history.note_icmp)
        services = Services.of(stack, config, core, self._names, bus, signer, self._hurry)
        key_directory = None if key_log is None else key_log.directory
        sources = replace(
            services.sources(core), certificates=self._credentials.states, key_log=key_directory
        )
        if monitoring is not None:
            monitoring.start(sources)
            core.runner.seen = monitoring.seen or core.runner.seen
        clients = self._vici_clients(sources, core.runner, signer)
        bus.publish(DaemonStarted(tuple(addresses), workers))
        await services.start(stack, core, given.make_watch)
        self._reconfiguration = Reconfiguration(core, services, self._ports, self._credentials)
        control.start(clients)  # who connected before was kept waiting: every command is executed from now on
        return core.runner

    def _accounts(self) -> Accounts:
        """Raises StartError."""
        settings = self._config.daemon
        of_workers = account_of_workers(settings.worker_user)
        separated = self._dependencies.drop_capabilities
        return Accounts(account_of_control(settings.user) if separated else None, of_workers)

    def _rights(
        self, privileged: Privileged | None, accounts: Accounts, workers: int, control: ControlSocket
    ) -> Rights:
        """What the privileged process does for us from now on; or, without one, what we do ourselves."""
        if accounts.control is None or privileged is None:
            return self._own_rights(accounts.workers)
        own = [(control.path, control.inode)]
        rights = separate(
            privileged,
            self._config.daemon,
            workers,
            accounts.control,
            accounts.workers,
            own,
            self._files_read(),
        )
        privileged.watch(self._lose_rights)
        return rights

    def _give_up_rights(self, accounts: Accounts) -> None:
        if accounts.control is not None:
            tell_what_is_kept(closed_to(accounts.control))
        elif self._dependencies.drop_capabilities:
            give_up_the_rest()

    def _files_read(self) -> FilesRead:
        """The configuration's file and those that it names, as they were read."""
        return FilesRead() if self._file is None else self._file.files_read

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

    def _vici_clients(
        self, sources: Sources, runner: EffectsRunner, signer: Signer
    ) -> Callable[[socket.socket], ViciClient]:
        """What makes a client of a connected socket, with all that VICI's clients have in common."""
        reqids = Reqids()
        counters = ExchangeCounters(runner.bus, sources.unserved)
        runner.received, runner.sent = counters.received, counters.sent
        control = ControlCommands(sources, runner, self.desired)
        loading = Loading(self.desired, self._credentials, signer, sources.machine.pools)
        commands = ViciCommands(sources, control, loading, counters, reqids, self._history)
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

    async def _say_farewell(self, runner: EffectsRunner) -> None:
        if self._reconfiguration is None:
            return
        clock = asyncio.get_running_loop().time
        end = clock() + FAREWELL
        await self._reconfiguration.stop(self._hurry)
        told_hosts = asyncio.create_task(self._reconfiguration.services.router.end())
        runner.request(Shutdown())
        answered = await within(end - clock(), self._hurry, runner.idle.wait())
        await told_hosts  # within a second: hosts that are not told send into the void for half an hour
        if not answered and not self._hurry.is_set():
            log.warning(SUBJECT, "not every peer has answered the delete")


def open_key_log(directory: Path | None) -> KeyLogDirectory | None:
    """The files of all keys, if there are to be any; loads what writes them only then. Raises StartError."""
    if directory is None:
        return None
    from ikepy.daemon.process.key_log import KeyLogFiles

    return KeyLogFiles.open(directory)


def open_monitoring(
    settings: Http | None,
    bus: EventBus,
    ending: Callable[[], bool],
    directory: Path,
    key_log: Path | None,
) -> Monitoring | None:
    """The HTTP server, if there is to be one: its libraries are loaded only then. Raises StartError."""
    if settings is None:
        return None
    from ikepy.daemon.http.monitoring import HttpMonitoring

    return HttpMonitoring(settings, bus, ending, directory, key_log)
