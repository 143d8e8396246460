"""Runs what the IKE machine asks for, in its order: sockets, workers, devices, log and waiting clients.

At its edge stands `except Exception`: a fault of ours in one IKE_SA's work is logged with its
context, and that IKE_SA alone is torn down.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Sequence
from contextlib import suppress
from functools import partial
from typing import ParamSpec, Protocol, TypeVar

from esp.ipc import messages
from ikepy.config.model import Config
from ikepy.daemon import log
from ikepy.daemon.bus.daemon_events import ChildNotInstalled
from ikepy.daemon.bus.event_bus import EventBus
from ikepy.daemon.bus.limited_log import LimitedLog
from ikepy.daemon.device.devices import DeviceTable
from ikepy.daemon.device.vti_device import VtiDevice
from ikepy.daemon.effects import sa_messages
from ikepy.daemon.effects.children import Child, ChildTable, TooManyChildren
from ikepy.daemon.effects.computing import Computing
from ikepy.daemon.effects.timer import DeadlineTimer
from ikepy.daemon.effects.waiting_clients import ENDING, FAULT, Waiting
from ikepy.daemon.interfaces import Machine
from ikepy.daemon.workers.pool import WorkerDown
from ikepy.sa.api.commands import (
    ChildrenLost,
    Command,
    Initiate,
    LocalAddressesChanged,
    Rekey,
    Shutdown,
    Terminate,
)
from ikepy.sa.api.effects import (
    ActivateOutbound,
    Compute,
    Effect,
    InstallInbound,
    InstallOutbound,
    Log,
    Outcome,
    RemoveChild,
    RemoveOutbound,
    Send,
    SendKeepalive,
    SetNetworkSettings,
    UpdatePath,
)
from ikepy.sa.api.events import EVENTS, Event, concerned
from ikepy.sa.api.log_source import Peer, kind_of
from ikepy.sa.api.path import Endpoint, Path

T = TypeVar("T")
P = ParamSpec("P")
Context = tuple[object, ...]  # what is going on, in words: put together only if it fails
Call = Callable[[float], Sequence[Effect]]
Guilty = Callable[[], int | None]  # the ike_id of the IKE_SA to blame
FAULT_PAUSE = 1.0  # seconds
FAULTS = Peer("fault")  # of ours, of which somebody may have found out how to bring them about
OPERATORS = (Initiate, Terminate, Rekey, Shutdown, LocalAddressesChanged)  # no peer can bring these about
SPI = 8  # octets of an IKE SPI: the first two fields of every message


class Network(Protocol):
    """Where IKE messages go: `ikepy.daemon.net.listeners.Listeners`."""

    def send(self, path: Path, data: bytes) -> None: ...

    def send_keepalive(self, path: Path) -> None: ...


class Pool(Protocol):
    """Where workers' messages go: `ikepy.daemon.workers.WorkerPool`."""

    def send(self, slot: int, message: messages.Message) -> None: ...


class EffectsRunner:
    """Drives the machine: every call into it goes through here, and its timer too."""

    def __init__(
        self,
        machine: Machine,
        network: Network,
        pool: Pool,
        devices: DeviceTable,
        children: ChildTable,
        written: LimitedLog | None = None,
    ) -> None:
        self._machine = machine
        self._network = network
        self._pool = pool
        self._devices = devices
        self._children = children
        loop = asyncio.get_running_loop()
        self._clock = loop.time
        self._timer = DeadlineTimer(loop, self.tick)
        self.computing = Computing(self.complete)
        self._stopped = False
        self._guilty: list[Guilty] = []
        self._faulty = False  # since the timer was set last
        self._refused: list[int] = []  # children that no worker has room for, until the machine is told
        self.log = LimitedLog(EventBus(), self._clock) if written is None else written
        self.bus = self.log.bus
        self._ordered = False  # the next call is an operator's command
        devices.tell = self.log.tell
        self.idle = asyncio.Event()  # set while no IKE_SA lives
        self.settled: Callable[[], None] = lambda: None  # called after each call into the machine
        self.waiting = Waiting()
        self._perform: dict[type[Effect], Callable[..., None]] = {
            Send: self._send,
            SendKeepalive: self._send_keepalive,
            InstallInbound: self._install_inbound,
            InstallOutbound: self._install_outbound,
            ActivateOutbound: self._activate_outbound,
            RemoveOutbound: self._remove_outbound,
            RemoveChild: self._remove_child,
            UpdatePath: self._update_path,
            SetNetworkSettings: self._set_network,
            Compute: self._compute,
            **dict.fromkeys((*EVENTS, Log), self.bus.publish),
            Outcome: self.waiting.tell,
        }

    # Calls into the machine

    def start(self) -> None:
        self._drive(self._machine.start, ("start",), _nobody)

    def tick(self) -> None:
        self._drive(self._machine.tick, ("tick",), lambda: self._machine.ticking)

    def receive(self, datagram: bytes, path: Path) -> None:
        """An IKE message came in, without the non-ESP marker."""
        call = partial(self._machine.receive, datagram, path)
        self._drive(call, ("message from", path.remote), partial(self._owner_of_spis, datagram))

    def refuse(self, datagram: bytes, remote: Endpoint) -> bytes | None:
        """What a stranger gets in a flood, b"" for nothing; None: the message is to be received."""
        if self._stopped:
            return b""
        context = ("refusing a stranger",)
        return self._guarded(context, _nobody, self._machine.refuse, datagram, remote, self._clock())

    def knows(self, datagram: bytes) -> bool:
        """Whether a message is for an IKE_SA that is no stranger's, by what its header says."""
        return bool(self._guarded(("looking for an IKE_SA",), _nobody, self._machine.knows, datagram))

    def drops(self, datagram: bytes, path: Path) -> bool:
        """Whether nothing would follow from receiving it."""
        context = ("judging a message",)
        return bool(self._guarded(context, _nobody, self._machine.drops, datagram, path, self._clock()))

    def complete(self, ticket: int, result: object) -> None:
        """A job of the machine's is done."""
        call = partial(self._machine.complete, ticket, result)
        self._drive(call, ("going on with job", ticket), lambda: self._machine.ticking)

    def request(self, command: Command) -> None:
        call = partial(self._machine.request, command)
        self._ordered = isinstance(command, OPERATORS)
        if not self._drive(call, (type(command).__name__,), partial(_ike_id_of, command)):
            self.waiting.failed(command, ENDING if self._stopped else FAULT)

    def replace_config(self, config: Config) -> None:
        """The machine uses `config` from now on."""
        self._ordered = True
        self._drive(partial(self._machine.replace_config, config), ("another configuration",), _nobody)

    def has_ike_sa(self, connection: str) -> bool:
        return self._machine.has_ike_sa(connection)

    def peer_moved(self, child_id: int, remote: Endpoint) -> None:
        """A child's peer sends from another endpoint."""
        call = partial(self._machine.peer_moved, child_id, remote)
        self._drive(call, ("peer moved to", remote), partial(self._owner_of_child, child_id))

    def usage(self, child_id: int, octets: int, packets: int) -> None:
        """How much a child has carried, in the direction that carried more."""
        call = partial(self._machine.usage, child_id, octets, packets)
        self._drive(call, ("usage of child", child_id), partial(self._owner_of_child, child_id))

    def unknown_spi(self, spi: int, path: Path) -> None:
        """ESP came in for which no worker has an SA."""
        self._drive(partial(self._machine.unknown_spi, spi, path), ("unknown SPI", f"{spi:08x}"), _nobody)

    def not_permitted(self, child_id: int, start: bytes) -> None:
        """A packet came under a child whose selectors do not permit it."""
        call = partial(self._machine.not_permitted, child_id, start)
        self._drive(call, ("refused packet of child", child_id), partial(self._owner_of_child, child_id))

    def children_lost(self, children: Sequence[Child]) -> None:
        """A worker lost these SAs: no device may count on them, and the machine negotiates anew."""
        for child in children:
            self._devices.child_down(child.child_id, child.device.connection.name)
            self._children.remove(child.child_id)
        if children:
            self.request(ChildrenLost(tuple(child.child_id for child in children)))

    def stop(self) -> None:
        """The machine is driven no more: what comes in while the parts are taken apart is dropped."""
        self._stopped = True
        self._timer.cancel()
        self.computing.close()
        self.waiting.end()
        self.log.close()

    # The edge

    def _drive(self, call: Call, context: Context, guilty: Guilty) -> bool:
        """Whether the machine took the call."""
        if self._stopped:
            return False
        taken = self._run(call, context, guilty)
        torn_down: set[int | None] = {None}
        while self._guilty:
            ike_id = self._guarded(("looking for the IKE_SA to blame",), _nobody, self._guilty.pop(0))
            if ike_id not in torn_down:
                torn_down.add(ike_id)
                command = Terminate(ike_id=ike_id, force=True, fault=True)
                self._run(partial(self._machine.request, command), ("tearing down", f"#{ike_id}"), _nobody)
        if self._refused:
            self._run(self._tell_refused, ("no room for children",), _nobody)
        self._guarded(("after it",), _nobody, self._follow)
        return taken

    def _tell_refused(self, now: float) -> Sequence[Effect]:
        refused, self._refused = tuple(self._refused), []
        return self._machine.request(ChildrenLost(refused), now)

    def _follow(self) -> None:
        """Wait for the machine's deadline; after a fault not at once: it may stay in the past."""
        if self._machine.idle:
            self.idle.set()
        else:
            self.idle.clear()
        deadline = self._machine.deadline
        if self._faulty and deadline is not None:
            deadline = max(deadline, self._clock() + FAULT_PAUSE)
        self._faulty = False
        self._timer.set(deadline)
        self.settled()

    def _run(self, call: Call, context: Context, guilty: Guilty) -> bool:
        ordered, self._ordered = self._ordered, False
        effects = self._guarded(context, guilty, call, self._clock())
        if effects is None:
            return False
        self.log.unlimited = ordered or any(
            isinstance(effect, Outcome) and effect.ticket in self.waiting for effect in effects
        )
        for effect in effects:
            self._guarded(context, partial(self._owner, effect), self._perform[type(effect)], effect)
        self.log.unlimited = False
        return True

    def _guarded(
        self, context: Context, guilty: Guilty, action: Callable[P, T], *args: P.args, **kwargs: P.kwargs
    ) -> T | None:
        try:
            return action(*args, **kwargs)
        except Exception as error:  # an edge: a fault costs the IKE_SA that it belongs to, and nobody else
            what = " ".join(map(str, context))
            effect = "".join(f": {type(each).__name__}" for each in args if isinstance(each, Effect))
            text = f"{what}{effect}: {type(error).__name__}: {error}"
            if self.log.permits(kind_of(f"{type(error).__name__} {effect}{what}"), FAULTS):
                log.log(logging.ERROR, "fault", text, traceback=error)
            self._faulty = True
            if guilty is not _nobody:
                self._guilty.append(guilty)
            return None

    def _owner(self, effect: Effect) -> int | None:
        match effect:
            case Send(data=data):
                return self._owner_of_spis(data)
            case SetNetworkSettings(ike_id=ike_id):
                return ike_id
            case SendKeepalive() | Log() | Outcome() | Compute():
                return None
        if isinstance(effect, Event):
            sa = concerned(effect)
            return None if sa is None else sa.ike_id
        return self._owner_of_child(effect.child_id)

    def _owner_of_child(self, child_id: int) -> int | None:
        for ike in self._machine.list_sas(self._clock()):
            if any(child.child_id == child_id for child in ike.children):
                return ike.ike_id
        return None

    def _owner_of_spis(self, datagram: bytes) -> int | None:
        spi_i, spi_r = datagram[:SPI], datagram[SPI : 2 * SPI]
        for ike in self._machine.list_sas(self._clock()):
            if ike.spi_i == spi_i and ike.spi_r in (spi_r, bytes(SPI)):
                return ike.ike_id
        return None

    # Effects

    def _send(self, effect: Send) -> None:
        self._network.send(effect.path, effect.data)

    def _send_keepalive(self, effect: SendKeepalive) -> None:
        self._network.send_keepalive(effect.path)

    def _install_inbound(self, effect: InstallInbound) -> None:
        device = self._devices.of(effect.connection)
        child = self._child(effect, device)
        if child is None:
            return
        self._children.set_spi(child, effect.spi)
        self._pool.send(device.slot, sa_messages.add_inbound(effect, child))

    def _child(self, effect: InstallInbound | InstallOutbound, device: VtiDevice) -> Child | None:
        """The record of a child; None where it has no place, which costs this child and no other SA."""
        if effect.child_id in self._refused:
            return None
        try:
            if not device.lacks:
                return self._children.add(effect.child_id, device, effect.suite)
            why = device.lacks
        except TooManyChildren as error:
            why = str(error)
        self.bus.publish(ChildNotInstalled(effect.connection, effect.child, effect.child_id, why))
        self._refused.append(effect.child_id)
        return None

    def _install_outbound(self, effect: InstallOutbound) -> None:
        device = self._devices.of(effect.connection)
        child = self._child(effect, device)
        if child is None:
            return
        child.tfc_padding = effect.tfc_padding
        if child.tfc_padding:
            self._devices.path_changed(device, effect.path, effect.encap, effect.suite)
        self._pool.send(device.slot, sa_messages.add_outbound(effect, child))
        wanted = effect.ts_remote + effect.trapped  # routes, for what this or a further child carries
        self._devices.child_up(
            effect.child_id, effect.connection, wanted, effect.path, effect.encap, effect.suite
        )

    def _activate_outbound(self, effect: ActivateOutbound) -> None:
        self._tell(effect.child_id, messages.ActivateOutboundSa(effect.child_id))

    def _remove_outbound(self, effect: RemoveOutbound) -> None:
        child = self._children.get(effect.child_id)
        if child is not None:
            self._devices.child_down(effect.child_id, child.device.connection.name)
            self._tell(effect.child_id, messages.RemoveOutboundSa(effect.child_id))

    def _remove_child(self, effect: RemoveChild) -> None:
        child = self._children.get(effect.child_id)
        if child is not None:
            self._devices.child_down(effect.child_id, child.device.connection.name)
            self._tell(effect.child_id, messages.RemoveSaPair(effect.child_id))
            self._children.remove(effect.child_id)

    def _set_network(self, effect: SetNetworkSettings) -> None:
        self._devices.set_network(effect.connection, effect.ike_id, effect.settings)

    def _update_path(self, effect: UpdatePath) -> None:
        child = self._children.get(effect.child_id)
        if child is None:
            return
        self._devices.path_changed(child.device, effect.path, effect.encap, child.suite)
        self._tell(effect.child_id, sa_messages.update_path(effect, child))

    def _tell(self, child_id: int, message: messages.Message) -> None:
        """Say something of a child to its worker; one that is down has forgotten the child anyway."""
        child = self._children.get(child_id)
        if child is not None:
            with suppress(WorkerDown):
                self._pool.send(child.device.slot, message)

    def _compute(self, effect: Compute) -> None:
        self.computing.submit(effect)


def _nobody() -> int | None:
    """No IKE_SA is to blame, or none is known."""
    return None


def _ike_id_of(command: Command) -> int | None:
    return command.ike_id if isinstance(command, Terminate) else None
