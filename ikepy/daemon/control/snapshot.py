"""All that the daemon shows of itself, as values: `status`, `list-sas` and the like only format it.

Times are seconds: `at` and all that the machine tells are on its clock (monotonic), `unix_at`, `started_at`
and the counters' on the wall's.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import Enum, auto

from esp.ipc.counters import SaCounters
from ikepy.config.model import Connection
from ikepy.daemon.process.usage import ProcessUsage
from ikepy.sa.api.path import Endpoint
from ikepy.sa.api.snapshot import ChildSnapshot, ChildWait, IkeSaSnapshot
from tun.state import Route


class Section(Enum):
    """Parts of a snapshot, each of which costs time of its own."""

    IKE_SAS = auto()
    CONNECTIONS = auto()
    DEVICES = auto()
    WORKERS = auto()
    LISTENERS = auto()
    COUNTERS = auto()


EVERYTHING = frozenset(Section)


@dataclass(frozen=True, slots=True)
class InstalledChild:
    """A CHILD_SA and what it carried. `device`: None while it has none, before and after it is installed."""

    sa: ChildSnapshot
    device: str | None
    traffic: SaCounters


@dataclass(frozen=True, slots=True)
class IkeSaState:
    """An IKE_SA; its children are those of `sa.children`, with their traffic."""

    sa: IkeSaSnapshot
    children: tuple[InstalledChild, ...]


@dataclass(frozen=True, slots=True)
class ConnectionState:
    """A connection as it is configured (there is no secret in it), and what its children wait for."""

    config: Connection
    children: tuple[ChildWait, ...]


@dataclass(frozen=True, slots=True)
class DeviceState:
    """A TUN device. `problems`: why it is not as it is to be, in words; none if it is."""

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
    """A worker's slot. `pid` None: it has no process. `usage` is of the process that it has now."""

    slot: int
    pid: int | None
    starts: int  # processes so far: all but the first one are replacements
    usage: ProcessUsage | None
    devices: tuple[str, ...]
    drops: dict[str, int]  # packets without an SA, by reason


@dataclass(frozen=True, slots=True)
class DaemonState:
    version: str
    started_at: float


@dataclass(frozen=True, slots=True)
class Snapshot:
    """Sections that were not asked for are empty. `unserved`: what control did not serve, by reason."""

    at: float
    unix_at: float
    daemon: DaemonState
    ike_sas: tuple[IkeSaState, ...] = ()
    connections: tuple[ConnectionState, ...] = ()
    devices: tuple[DeviceState, ...] = ()
    workers: tuple[WorkerState, ...] = ()
    listeners: tuple[Endpoint, ...] = ()
    unserved: dict[str, int] = field(default_factory=dict)
