"""The daemon's state as values, which `ikepy.daemon.control.status` formats for `list-sas` and others.

Times are in seconds. `at`, the machine's times and the counters' are monotonic (CLOCK_MONOTONIC,
clock_gettime(2)); `unix_at` and `started_at` are since 1970 (CLOCK_REALTIME).
"""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import Enum, auto
from pathlib import Path

from esp.ipc.counters import SaCounters
from ikepy.config.model import Connection
from ikepy.daemon.credentials.certificate_state import CertificateState
from ikepy.daemon.effects.past_traffic import Traffic
from ikepy.daemon.probe.prober import ProbeState
from ikepy.daemon.process.usage import ProcessUsage
from ikepy.sa.api.leases import PoolState
from ikepy.sa.api.path import Endpoint
from ikepy.sa.api.snapshot import ChildSnapshot, ChildWait, IkeSaSnapshot
from tun.state import Route


class Section(Enum):
    """The parts of a snapshot, which can be taken one by one to save time."""

    IKE_SAS = auto()
    CONNECTIONS = auto()
    DEVICES = auto()
    WORKERS = auto()
    LISTENERS = auto()
    COUNTERS = auto()
    TRAFFIC = auto()
    PROBES = auto()
    CERTIFICATES = auto()
    POOLS = auto()


EVERYTHING = frozenset(Section)


@dataclass(frozen=True, slots=True)
class InstalledChild:
    """A CHILD_SA and its traffic. `device`: None before it is installed, and after it was removed."""

    sa: ChildSnapshot
    device: str | None
    traffic: SaCounters


@dataclass(frozen=True, slots=True)
class IkeSaState:
    """An IKE_SA; its children are those of `sa.children`, with their traffic."""

    sa: IkeSaSnapshot
    children: tuple[InstalledChild, ...]

    def of_children(self, name: str | None, child_id: int | None) -> IkeSaState:
        """The IKE_SA with those of its children that match each criterion that is not None."""
        shown = (
            child
            for child in self.children
            if name in (None, child.sa.name) and child_id in (None, child.sa.child_id)
        )
        return IkeSaState(self.sa, tuple(shown))


@dataclass(frozen=True, slots=True)
class ConnectionState:
    """A connection's configuration, which holds no secret, and what its children wait for."""

    config: Connection
    children: tuple[ChildWait, ...]


@dataclass(frozen=True, slots=True)
class DeviceState:
    """A TUN device. `problems`: in words, why it is not in its desired state; empty if it is."""

    name: str
    connection: str
    index: int
    worker: int
    mtu: int
    carrier: bool
    addresses: tuple[str, ...]  # with prefix lengths
    peers: tuple[str, ...]
    routes: tuple[Route, ...]
    children: tuple[int, ...]  # the child_ids that can send through it
    problems: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class WorkerState:
    """A worker slot. `pid` is None while it has no process; `usage` is that of its present process."""

    slot: int
    pid: int | None
    starts: int  # processes so far: all but the first one are replacements
    usage: ProcessUsage | None
    devices: tuple[str, ...]
    drops: dict[str, int]  # packets without an SA, by reason


@dataclass(frozen=True, slots=True)
class ChildTraffic:
    """What a configured child's SAs have carried since the daemon's start, those that are gone included."""

    connection: str
    child: str
    total: Traffic


@dataclass(frozen=True, slots=True)
class DaemonState:
    """`usage`: that of the control process. `key_log`: the directory where all keys are written. `running`:
    seconds since the start, whatever becomes of the clock."""

    version: str
    started_at: float
    usage: ProcessUsage | None = None
    key_log: Path | None = None
    running: float = 0.0


@dataclass(frozen=True, slots=True)
class Snapshot:
    """All sections, empty if not asked for. `unserved`: what control did not serve, by reason.

    `traffic`: of each configured child; `probes`: of each target.
    """

    at: float
    unix_at: float
    daemon: DaemonState
    ike_sas: tuple[IkeSaState, ...] = ()
    connections: tuple[ConnectionState, ...] = ()
    devices: tuple[DeviceState, ...] = ()
    workers: tuple[WorkerState, ...] = ()
    listeners: tuple[Endpoint, ...] = ()
    unserved: dict[str, int] = field(default_factory=dict)
    traffic: tuple[ChildTraffic, ...] = ()
    probes: tuple[ProbeState, ...] = ()
    certificates: tuple[CertificateState, ...] = ()
    pools: tuple[PoolState, ...] = ()
