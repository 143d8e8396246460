"""Calls the IKE machine, and carries out its effects in order: on sockets, workers, devices, log and clients.

`_guarded` catches every exception: a fault of ours in the work for one IKE_SA is logged with its context, and
that IKE_SA alone is torn down. What it has in workers and devices goes with it (`_compare`).
"""

from __future__ import annotations

import asyncio
import logging
import math
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
from ikepy.errors import PeerError
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
    LookUp,
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
from ikepy.wire.constants import NotifyType

T = TypeVar("T")
P = ParamSpec("P")
Context = tuple[object, ...]  # what is being done, in words that are joined only if it fails
Call = Callable[[float], Sequence[Effect]]
Guilty = Callable[[], int | None]  # the ike_id of the IKE_SA to blame
FAULT_PAUSE = 1.0  # seconds
LOST = "what was to be computed was lost by a fault of the daemon's own"
FAULTS = Peer("fault")  # the source of log lines on our own faults, which a peer may know how to trigger
OPERATORS = (Initiate, Terminate, Rekey, Shutdown, LocalAddressesChanged)  # commands that no peer can cause
SPI = 8  # octets of an IKE SPI: the first two fields of every message


class Network(Protocol):
    """Where IKE messages go: `ikepy.daemon.net.listeners.Listeners`."""

    def send(self, path: Path, data: bytes) -> None: ...

    def send_keepalive(self, path: Path) -> None: ...


class Pool(Protocol):
    """Where workers' messages go: `ikepy.daemon.workers.WorkerPool`."""

    def send(self, slot: int, message: messages.Message) -> None: ...


class EffectsRunner:
    """Drives the machine: each call into it goes through here, its timer's too."""

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
        self._faulty = False  # a fault was caught since the timer was set last
        self._compare_at, self._compared_at = math.inf, -math.inf  # when `_compare` is due, and was last
        self._pending: set[int] = set()  # tickets of the machine's jobs and look-ups that are under way
        self._refused: list[int] = []  # children that no worker can have; the machine is told after the call
        self.log = LimitedLog(EventBus(), self._clock) if written is None else written
        self.bus = self.log.bus
        self._ordered = False  # the next call is an operator's command
        devices.tell = self.log.tell
        self.idle = asyncio.Event()  # set while no IKE_SA lives
        self.settled: Callable[[], None] = lambda: None  # called after each call into the machine
        # called with each IKE message, as it comes in and as it goes out
        self.received: Callable[[bytes], None] = _ignored
        self.sent: Callable[[bytes], None] = _ignored
        # called with each ESP SA that is installed
        self.installed: Callable[[InstallInbound | InstallOutbound], None] = lambda effect: None
        # called with each of both, its path, and whether it goes out
        self.seen: Callable[[bytes, Path, bool], None] = lambda message, path, outgoing: None
        self.leases_changed: Callable[[], None] = lambda: None  # called when they may have
        self.look_up: Callable[[LookUp], None] = self._not_looked_up
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
            LookUp: self._look_up,
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
        self.received(datagram)
        self.seen(datagram, path, False)
        call = partial(self._machine.receive, datagram, path)
        self._drive(call, ("message from", path.remote), partial(self._owner_of_spis, datagram))

    def refuse(self, datagram: bytes, remote: Endpoint) -> bytes | None:
        """What a stranger's message is answered with in a flood (b"": nothing); None: it is to be
        received."""
        if self._stopped:
            return b""
        context = ("refusing a stranger",)
        return self._guarded(context, _nobody, self._machine.refuse, datagram, remote, self._clock())

    def knows(self, datagram: bytes) -> bool:
        """Whether a message, by its header, belongs to an IKE_SA that is not a stranger's."""
        return bool(self._guarded(("looking for an IKE_SA",), _nobody, self._machine.knows, datagram))

    def drops(self, datagram: bytes, path: Path) -> bool:
        """Whether receiving the message would have no effect."""
        context = ("judging a message",)
        return bool(self._guarded(context, _nobody, self._machine.drops, datagram, path, self._clock()))

    def complete(self, ticket: int, result: object) -> None:
        """A job of the machine's (`Compute`) has this result."""
        self._pending.discard(ticket)
        call = partial(self._machine.complete, ticket, result)
        self._drive(call, ("going on with job", ticket), lambda: self._machine.ticking)

    def request(self, command: Command) -> None:
        call = partial(self._machine.request, command)
        self._ordered = isinstance(command, OPERATORS)
        if not self._drive(call, (type(command).__name__,), partial(_ike_id_of, command)):
            self.waiting.failed(command, ENDING if self._stopped else FAULT)

    def replace_config(self, config: Config) -> None:
        """Let the machine use `config` from now on."""
        self._ordered = True
        self._drive(partial(self._machine.replace_config, config), ("another configuration",), _nobody)

    def has_ike_sa(self, connection: str) -> bool:
        return self._machine.has_ike_sa(connection)

    def peer_moved(self, child_id: int, remote: Endpoint) -> None:
        """A child's peer sends from another endpoint."""
        call = partial(self._machine.peer_moved, child_id, remote)
        self._drive(call, ("peer moved to", remote), partial(self._owner_of_child, child_id))

    def usage(self, child_id: int, octets: int, packets: int) -> None:
        """A child has carried so much, in the direction that carried more."""
        call = partial(self._machine.usage, child_id, octets, packets)
        self._drive(call, ("usage of child", child_id), partial(self._owner_of_child, child_id))

    def unknown_spi(self, spi: int, path: Path) -> None:
        """ESP came in under an SPI for which no worker has an SA."""
        self._drive(partial(self._machine.unknown_spi, spi, path), ("unknown SPI", f"{spi:08x}"), _nobody)

    def not_permitted(self, child_id: int, start: bytes) -> None:
        """A packet came in under a child whose selectors do not permit it; `start`: its first octets."""
        call = partial(self._machine.not_permitted, child_id, start)
        self._drive(call, ("refused packet of child", child_id), partial(self._owner_of_child, child_id))

    def children_lost(self, children: Sequence[Child]) -> None:
        """A worker lost these SAs: take them from their devices, and let the machine negotiate anew."""
        for child in children:
            self._devices.child_down(child.child_id, child.device.connection.name)
            self._children.remove(child.child_id)
        if children:
            self.request(ChildrenLost(tuple(child.child_id for child in children)))

    def stop(self) -> None:
        """Call the machine no more: what comes in while the daemon's parts are closed is dropped."""
        self._stopped = True
        self._timer.cancel()
        self.computing.close()
        self.waiting.end()
        self.log.close()

    # The edge

    def _drive(self, call: Call, context: Context, guilty: Guilty) -> bool:
        """Call the machine, and tear down the IKE_SAs whose work failed. Whether the machine took the
        call."""
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
        if self._faulty:
            self._compare_at = min(self._compare_at, self._compared_at + FAULT_PAUSE)
        if self._clock() >= self._compare_at:
            self._guarded(("comparing with the machine",), _nobody, self._compare)
        if self._refused:
            self._run(self._tell_refused, ("no room for children",), _nobody)
        self._guarded(("after it",), _nobody, self._follow)
        return taken

    def _compare(self) -> None:
        """After a fault, as the effects of its call are lost: take from workers and devices what the machine
        does not have, and tell it of what they lack, and of jobs that nobody does.

        Whoever knows how to trigger a fault of ours does not have all SAs compared more often than that.
        """
        self._compared_at, self._compare_at = self._clock(), math.inf
        self._run(self._machine.recover, ("recovering",), _nobody)
        known = self._machine.child_ids()
        installed = {child.child_id for child in self._children}
        for child_id in installed.difference(known):
            self._remove_child(RemoveChild(child_id))
        self._refused += sorted(set(known) - installed - set(self._refused))
        self._devices.end_settings(self._machine.ike_ids())
        for ticket in sorted(set(self._machine.awaited()) - self._pending):
            lost = partial(self._machine.complete, ticket, PeerError(NotifyType.TEMPORARY_FAILURE, LOST))
            self._run(lost, ("giving up job", ticket), lambda: self._machine.ticking)

    def _tell_refused(self, now: float) -> Sequence[Effect]:
        refused, self._refused = tuple(self._refused), []
        return self._machine.request(ChildrenLost(refused), now)

    def _follow(self) -> None:
        """Set the timer to the machine's deadline; after a fault with a pause, for it may stay in the
        past."""
        if self._machine.idle:
            self.idle.set()
        else:
            self.idle.clear()
        deadline = self._machine.deadline
        if self._faulty and deadline is not None:
            deadline = max(deadline, self._clock() + FAULT_PAUSE)
        self._faulty = False
        if self._compare_at < math.inf:
            deadline = self._compare_at if deadline is None else min(deadline, self._compare_at)
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
        except Exception as error:  # a fault costs the IKE_SA that it belongs to, and no other
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
            case SendKeepalive() | Log() | Outcome() | Compute() | LookUp():
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
        self.sent(effect.data)
        self.seen(effect.data, effect.path, True)
        self._network.send(effect.path, effect.data)

    def _send_keepalive(self, effect: SendKeepalive) -> None:
        self._network.send_keepalive(effect.path)

    def _install_inbound(self, effect: InstallInbound) -> None:
        device = self._devices.of(effect.connection)
        child = self._child(effect, device)
        if child is None:
            return
        self._children.set_spi(child, effect.spi)
        self.installed(effect)
        self._pool.send(device.slot, sa_messages.add_inbound(effect, child))

    def _child(self, effect: InstallInbound | InstallOutbound, device: VtiDevice) -> Child | None:
        """The record of a child; None, and an event, if no worker can have it: other SAs are not affected."""
        if effect.child_id in self._refused:
            return None
        try:
            if not device.lacks:
                return self._children.add(effect.child_id, device, effect.suite, effect.child)
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
        self.installed(effect)
        child.tfc_padding = effect.tfc_padding
        if child.tfc_padding:
            self._devices.path_changed(device, effect.path, effect.encap, effect.suite)
        self._pool.send(device.slot, sa_messages.add_outbound(effect, child))
        # Routes to what this child or another one of its policy carries; transport mode has none.
        wanted = () if effect.transport else effect.ts_remote + effect.trapped
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
        self.leases_changed()

    def _update_path(self, effect: UpdatePath) -> None:
        child = self._children.get(effect.child_id)
        if child is None:
            return
        self._devices.path_changed(child.device, effect.path, effect.encap, child.suite)
        self._tell(effect.child_id, sa_messages.update_path(effect, child))

    def mtu_changed(self, device: VtiDevice) -> None:
        """The MTU of a device has changed: what its children send is padded to other lengths."""
        for child_id in device.users:
            child = self._children.get(child_id)
            if child is not None and child.tfc_padding:
                self._tell(child_id, messages.SetTfcPadding(child_id, child.tfc_octets))

    def _tell(self, child_id: int, message: messages.Message) -> None:
        """Send a child's worker a message; a worker that is down has lost the child anyway."""
        child = self._children.get(child_id)
        if child is not None:
            with suppress(WorkerDown):
                self._pool.send(child.device.slot, message)

    def _compute(self, effect: Compute) -> None:
        self._pending.add(effect.ticket)
        self.computing.submit(effect)

    def _look_up(self, effect: LookUp) -> None:
        self._pending.add(effect.ticket)
        self.look_up(effect)

    def _not_looked_up(self, effect: LookUp) -> None:
        """Nobody looks names up: each is as unknown as before."""
        asyncio.get_running_loop().call_soon(self.complete, effect.ticket, None)


def _ignored(datagram: bytes) -> None:
    """Nobody counts messages."""


def _nobody() -> int | None:
    """No IKE_SA is to blame, or none is known."""
    return None


def _ike_id_of(command: Command) -> int | None:
    return command.ike_id if isinstance(command, Terminate) else None
