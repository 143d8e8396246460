"""Takes a snapshot of the daemon's state from the machine, the tables and the workers' counters."""

from __future__ import annotations

import itertools
import os
import time
from collections import defaultdict
from collections.abc import Awaitable, Callable, Collection, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Protocol

from esp.ipc.counters import NOTHING, CounterBlock
from ikepy import __version__
from ikepy.daemon.control.snapshot import (
    EVERYTHING,
    ChildTraffic,
    ConnectionState,
    DaemonState,
    DeviceState,
    IkeSaState,
    InstalledChild,
    Section,
    Snapshot,
    WorkerState,
)
from ikepy.daemon.credentials.certificate_state import CertificateState
from ikepy.daemon.device.devices import DeviceTable
from ikepy.daemon.device.vti_device import VtiDevice
from ikepy.daemon.effects.children import ChildTable
from ikepy.daemon.effects.past_traffic import Traffic
from ikepy.daemon.interfaces import Machine
from ikepy.daemon.probe.prober import ProbeState
from ikepy.daemon.process.usage import usage
from ikepy.sa.api.path import Address, Endpoint
from ikepy.sa.api.snapshot import ChildSnapshot, IkeSaSnapshot

CheckMtu = Callable[[str | None, float], Awaitable[Collection[tuple[str, Address]]]]  # `Prober.check_mtu`


class Workers(Protocol):
    """`ikepy.daemon.workers.pool.WorkerPool`."""

    @property
    def workers(self) -> int: ...

    def counters(self, slot: int) -> CounterBlock | None: ...

    def pid(self, slot: int) -> int | None: ...

    def starts(self, slot: int) -> int: ...


@dataclass(frozen=True, slots=True)
class Sources:
    """The parts that know the state. `listeners`: our IKE endpoints; `unserved`: control's counters by
    reason; `past_traffic`: of the SAs that are gone, by connection and child."""

    machine: Machine
    devices: DeviceTable
    children: ChildTable
    workers: Workers
    listeners: Callable[[], Collection[Endpoint]]
    unserved: Callable[[], Mapping[str, int]]
    clock: Callable[[], float] = time.monotonic
    started_at: float = field(default_factory=time.time)
    began: float = field(default_factory=time.monotonic)  # at the same moment
    past_traffic: Callable[[], Mapping[tuple[str, str], Traffic]] = dict
    probes: Callable[[], Iterable[ProbeState]] = tuple
    check_mtu: CheckMtu | None = None
    certificates: Callable[[], Iterable[CertificateState]] = tuple
    key_log: Path | None = None  # where all keys are written


def take(
    sources: Sources,
    sections: Collection[Section] = EVERYTHING,
    *,
    connection: str | None = None,
    ike_id: int | None = None,
) -> Snapshot:
    """A snapshot of these sections; of the IKE_SAs only those of `connection`, or with `ike_id`, if given."""
    at, devices = sources.clock(), list(sources.devices)
    names: defaultdict[int, list[str]] = defaultdict(list)
    for device in devices:
        names[device.slot].append(device.tun.name)
    return Snapshot(
        at=at,
        unix_at=time.time(),
        daemon=_daemon(sources),
        ike_sas=tuple(
            _ike_sa(sources, sa)
            for sa in (sources.machine.list_sas(at) if Section.IKE_SAS in sections else ())
            if connection in (None, sa.connection) and ike_id in (None, sa.ike_id)
        ),
        connections=tuple(_connections(sources)) if Section.CONNECTIONS in sections else (),
        devices=tuple(map(_device, devices)) if Section.DEVICES in sections else (),
        workers=tuple(
            _worker(sources.workers, slot, tuple(names[slot]))
            for slot in (range(sources.workers.workers) if Section.WORKERS in sections else ())
        ),
        listeners=tuple(sources.listeners()) if Section.LISTENERS in sections else (),
        unserved=dict(sources.unserved()) if Section.COUNTERS in sections else {},
        traffic=tuple(_traffic(sources)) if Section.TRAFFIC in sections else (),
        probes=tuple(sources.probes()) if Section.PROBES in sections else (),
        certificates=tuple(sources.certificates()) if Section.CERTIFICATES in sections else (),
        pools=tuple(sources.machine.pools()) if Section.POOLS in sections else (),
    )


def _daemon(sources: Sources) -> DaemonState:
    running = time.monotonic() - sources.began
    return DaemonState(__version__, sources.started_at, usage(os.getpid()), sources.key_log, running)


def _ike_sa(sources: Sources, sa: IkeSaSnapshot) -> IkeSaState:
    return IkeSaState(sa, tuple(with_traffic(sources, child) for child in sa.children))


def with_traffic(sources: Sources, child: ChildSnapshot) -> InstalledChild:
    """A child with its device and its counters as they are now."""
    known = sources.children.get(child.child_id)
    if known is None:
        return InstalledChild(child, None, NOTHING)
    block = sources.workers.counters(known.device.slot)
    counters = NOTHING if block is None else block.of_child(known.counter, child.child_id)
    return InstalledChild(child, known.device.tun.name, counters)


def _connections(sources: Sources) -> Iterator[ConnectionState]:
    waits = {
        name: tuple(some)
        for name, some in itertools.groupby(sources.machine.list_waits(), lambda wait: wait.connection)
    }
    for connection in sources.machine.config.connections.values():
        yield ConnectionState(connection, waits.get(connection.name, ()))


def _traffic(sources: Sources) -> Iterator[ChildTraffic]:
    """Of all configured children, and of others while they have an SA (as after a change of names)."""
    totals = {
        (connection.name, child): Traffic()
        for connection in sources.machine.config.connections.values()
        for child in connection.children
    }
    for key, past in sources.past_traffic().items():
        if key in totals:
            totals[key] = past
    for child in sources.children:
        block = sources.workers.counters(child.device.slot)
        if block is not None:
            key = (child.device.connection.name, child.name)
            carried = block.of_child(child.counter, child.child_id)
            totals[key] = totals.get(key, Traffic()).plus(carried)
    for (connection, name), total in totals.items():
        yield ChildTraffic(connection, name, total)


def _device(device: VtiDevice) -> DeviceState:
    vti = device.connection.vti
    refused = (f"{operation}: {error}" for operation, error in device.unmet.items())
    taken_down = ("it was taken down by others",) if device.down else ()
    lacks = (device.lacks,) if device.lacks else ()
    return DeviceState(
        name=device.tun.name,
        connection=device.connection.name,
        index=device.tun.index,
        worker=device.slot,
        mtu=device.mtu,
        carrier=device.carrier,
        addresses=tuple(map(str, vti.addresses)),
        peers=tuple(map(str, vti.peers)),
        routes=tuple(sorted(device.routes, key=str)),
        children=tuple(sorted(device.users)),
        problems=(*lacks, *taken_down, *refused),
    )


def _worker(workers: Workers, slot: int, devices: tuple[str, ...]) -> WorkerState:
    block, pid = workers.counters(slot), workers.pid(slot)
    return WorkerState(
        slot=slot,
        pid=pid,
        starts=workers.starts(slot),
        usage=None if pid is None else usage(pid),
        devices=devices,
        drops={} if block is None else block.drops(),
    )
