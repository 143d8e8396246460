"""The daemon's own events, and the log line of each. The IKE machine's are in `ikepy.sa.api.events`."""

from __future__ import annotations

import logging
from dataclasses import dataclass
from typing import TypeAlias, get_args

from ikepy.config.fields import Subsystem
from ikepy.daemon.log_format import Fields
from ikepy.sa.api.path import Address

Line = tuple[int, str, str]  # level, subject, text
MOST_NAMED = 5  # devices in a line
MOST_PROBLEMS = 10  # mistakes of a configuration in a line


@dataclass(frozen=True, slots=True)
class WorkerStarted:
    slot: int
    pid: int


@dataclass(frozen=True, slots=True)
class WorkerDied:
    """A worker process ended, and its SAs with it. `status`: negative for a signal. `lived`: seconds."""

    slot: int
    status: int
    lived: float


@dataclass(frozen=True, slots=True)
class WorkerUnserved:
    """A worker slot has no process and gets none at once: its devices carry nothing."""

    slot: int
    devices: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class WorkerServed:
    """A worker slot has a process again."""

    slot: int
    devices: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class WorkerFault:
    """A worker lost a child, or failed at something else (`child_id` 0), which `error` names."""

    slot: int
    child_id: int
    error: str


@dataclass(frozen=True, slots=True)
class ChildNotInstalled:
    """A child has no worker or device, or no place in its worker."""

    connection: str
    child: str
    child_id: int
    why: str


@dataclass(frozen=True, slots=True)
class DeviceRestored:
    """Others changed a device: it is again as it is to be. `operations`: what that took.

    `contested`: it comes again and again, and is restored with pauses from now on. `was_down`: they had taken
    it down.
    """

    connection: str
    device: str
    operations: tuple[str, ...]
    was_down: bool = False
    contested: bool = False


@dataclass(frozen=True, slots=True)
class DeviceNotRestored:
    """The kernel refuses to restore a device: it is tried again."""

    connection: str
    device: str
    error: str


@dataclass(frozen=True, slots=True)
class DeviceTakenDown:
    """Others took the interface down: it stays down."""

    connection: str
    device: str


@dataclass(frozen=True, slots=True)
class DeviceUp:
    """Others took the interface up again."""

    connection: str
    device: str


@dataclass(frozen=True, slots=True)
class DeviceDeleted:
    """Others deleted a device. `error`: why it can't be created again, or None. `carried`: it had SAs."""

    connection: str
    device: str
    error: str | None
    carried: bool


@dataclass(frozen=True, slots=True)
class DeviceMadeAgain:
    """A deleted device exists again, which could not be created at once."""

    connection: str
    device: str


@dataclass(frozen=True, slots=True)
class AddressGone:
    """An address of ours that connections use has gone."""

    address: Address


@dataclass(frozen=True, slots=True)
class AddressBack:
    """An address of ours that connections use is back."""

    address: Address


@dataclass(frozen=True, slots=True)
class ListeningBegun:
    """Sockets were opened on an address that came after the start."""

    address: Address


@dataclass(frozen=True, slots=True)
class ListeningFailed:
    """Sockets could not be opened on an address: it is tried again."""

    address: Address
    error: str


@dataclass(frozen=True, slots=True)
class ListeningEnded:
    """The sockets of an address that has gone were closed."""

    address: Address


@dataclass(frozen=True, slots=True)
class LoopDetected:
    """Routes lead a peer's address into a device of ours."""

    connection: str
    device: str
    remote: Address


@dataclass(frozen=True, slots=True)
class PacketWithoutSa:
    """Packets came into a device that no child may carry. `count`: since the last event; the addresses and
    the protocol (0: not seen) are the last one's."""

    connection: str
    device: str
    count: int
    source: Address
    destination: Address
    protocol: int

    @property
    def packet(self) -> str:
        """As the IKE machine's events have packets: "10.1.0.1 -> 10.2.0.1, protocol 17"."""
        return f"{self.source} -> {self.destination}, protocol {self.protocol}"


@dataclass(frozen=True, slots=True)
class ConnectionRemoved:
    """A connection is configured no more, its IKE_SAs have ended, and its device is removed."""

    connection: str
    device: str


@dataclass(frozen=True, slots=True)
class RouterAnnounces:
    """Router advertisements begin on an interface, as these connections are up."""

    interface: str
    connections: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class RouterWithdrawn:
    """What an interface's router advertisements announced is taken back."""

    interface: str


@dataclass(frozen=True, slots=True)
class RouterWaits:
    """An interface can't send router advertisements; it is waited for. `why`: as a main clause."""

    interface: str
    why: str


@dataclass(frozen=True, slots=True)
class DaemonStarted:
    """The daemon listens on these addresses."""

    addresses: tuple[Address, ...]
    workers: int


@dataclass(frozen=True, slots=True)
class DaemonEnding:
    """The daemon ends because of a signal; `at_once`: because of a second one."""

    signal: str
    at_once: bool


@dataclass(frozen=True, slots=True)
class ConfigReloading:
    """The configuration is read again now; one of the next two follows. `cause`: who asked for it."""

    cause: str


@dataclass(frozen=True, slots=True)
class ConfigReloaded:
    """The configuration was read again and is in use. `cause`: who asked for it."""

    cause: str


@dataclass(frozen=True, slots=True)
class ConfigRefused:
    """The configuration was read again and is refused; nothing has changed. `problems`: a line each."""

    cause: str
    problems: tuple[str, ...]


DaemonEvent: TypeAlias = (
    WorkerStarted
    | WorkerDied
    | WorkerUnserved
    | WorkerServed
    | WorkerFault
    | ChildNotInstalled
    | DeviceRestored
    | DeviceNotRestored
    | DeviceTakenDown
    | DeviceUp
    | DeviceDeleted
    | DeviceMadeAgain
    | AddressGone
    | AddressBack
    | ListeningBegun
    | ListeningFailed
    | ListeningEnded
    | LoopDetected
    | PacketWithoutSa
    | ConnectionRemoved
    | ConfigReloading
    | ConfigReloaded
    | ConfigRefused
    | RouterAnnounces
    | RouterWithdrawn
    | RouterWaits
    | DaemonStarted
    | DaemonEnding
)
DAEMON_EVENTS: tuple[type[DaemonEvent], ...] = get_args(DaemonEvent)
# Events that a peer, or what it sends, can cause again and again.
BY_PEERS: tuple[type[DaemonEvent], ...] = (
    WorkerFault,
    ChildNotInstalled,
    LoopDetected,
    PacketWithoutSa,
    RouterAnnounces,
    RouterWithdrawn,
)
# Those of other subsystems of the log than "device".
_SUBSYSTEMS: dict[Subsystem, tuple[type[DaemonEvent], ...]] = {
    "config": (ConfigReloaded, ConfigRefused),
    "daemon": (DaemonStarted, DaemonEnding),
    "esp": (
        WorkerStarted,
        WorkerDied,
        WorkerUnserved,
        WorkerServed,
        WorkerFault,
        ChildNotInstalled,
        PacketWithoutSa,
    ),
    "net": (
        *(AddressGone, AddressBack, ListeningBegun, ListeningFailed, ListeningEnded, LoopDetected),
        *(RouterAnnounces, RouterWithdrawn, RouterWaits),
    ),
}
_SUBSYSTEM_OF = {kind: name for name, kinds in _SUBSYSTEMS.items() for kind in kinds}
_FIELDS = ("connection", "device", "child", "child_id", "slot", "pid")  # of events, for lines in JSON


def subsystem_of(event: DaemonEvent) -> Subsystem:
    """The subsystem of the log that an event's line belongs to."""
    return _SUBSYSTEM_OF.get(type(event), "device")


def fields_of(event: DaemonEvent) -> Fields:
    """What an event is about, for lines in JSON."""
    return {name: value for name in _FIELDS if (value := getattr(event, name, None)) is not None}


def line_of(event: DaemonEvent) -> Line:
    """The log line of an event."""
    match event:
        case WorkerStarted(slot, pid):
            return logging.INFO, f"worker {slot}", f"started, pid {pid}"
        case WorkerDied(slot, status, lived):
            cause = f"signal {-status}" if status < 0 else f"status {status}"
            text = f"ended with {cause} after {lived:.1f} s; it is replaced, its SAs are gone"
            return logging.ERROR, f"worker {slot}", text
        case WorkerUnserved(slot, devices):
            text = (
                f"is not there: {_some(devices)} carry nothing and have no carrier, and children are refused"
            )
            return logging.ERROR, f"worker {slot}", f"{text}, until it can be started"
        case WorkerServed(slot, devices):
            return logging.WARNING, f"worker {slot}", f"is there again, for {_some(devices)}"
        case WorkerFault(slot, child_id, error):
            text = f"child {child_id}: {error}" if child_id else error
            return logging.ERROR, f"worker {slot}", text
        case ChildNotInstalled(connection, child, child_id, why):
            return logging.ERROR, connection, f"{child} #{child_id} is not installed: {why}"
        case LoopDetected(connection, device, remote):
            return logging.WARNING, connection, looped(remote, device)
        case PacketWithoutSa(connection, device) as dropped:
            text = f"{device}: dropped {dropped.packet}, which no child's selectors permit"
            return logging.WARNING, connection, text
        case ConnectionRemoved(connection, device):
            text = f"{device} is removed: its connection is not configured any more"
            return logging.INFO, connection, text
        case ConfigReloading(cause):
            return logging.INFO, "configuration", f"is read again ({cause})"
        case ConfigReloaded(cause):
            return logging.INFO, "configuration", f"reloaded ({cause})"
        case ConfigRefused(cause, problems):
            more = f"; and {len(problems) - MOST_PROBLEMS} more" if len(problems) > MOST_PROBLEMS else ""
            text = f"not reloaded ({cause}), nothing has changed: {'; '.join(problems[:MOST_PROBLEMS])}{more}"
            return logging.ERROR, "configuration", text
        case RouterAnnounces(interface, connections):
            text = f"router advertisements begin, with {_some(connections)} up"
            return logging.INFO, interface, text
        case RouterWithdrawn(interface):
            text = "its router advertisements are withdrawn: the tunnels that they depend on are not up"
            return logging.INFO, interface, text
        case RouterWaits(interface, why):
            return logging.WARNING, interface, f"router advertisements wait for it: {why}"
        case DaemonStarted(addresses, workers):
            where = ", ".join(map(str, addresses)) or "no address yet"
            return logging.INFO, "daemon", f"listening on {where}; {workers} worker slots"
        case DaemonEnding(signal, at_once):
            return logging.INFO, "daemon", f"{signal}: {'ending at once' if at_once else 'ending'}"
        case (
            AddressGone() | AddressBack() | ListeningBegun() | ListeningFailed() | ListeningEnded()
        ) as about_address:
            level, text = _about_address(about_address)
            return level, "net", text
        case about_device:
            level, text = _about_device(about_device)
            return level, about_device.connection, text


def _about_address(
    event: AddressGone | AddressBack | ListeningBegun | ListeningFailed | ListeningEnded,
) -> tuple[int, str]:
    match event:
        case AddressGone(address):
            return logging.WARNING, f"our address {address} is gone, or its link is down"
        case AddressBack(address):
            return logging.INFO, f"our address {address} is back"
        case ListeningBegun(address):
            return logging.INFO, f"listening on {address}, too"
        case ListeningFailed(address, error):
            return logging.WARNING, f"{address} is not listened on yet: {error}"
        case ListeningEnded(address):
            return logging.INFO, f"no longer listening on {address}, which is gone"


def _about_device(
    event: DeviceRestored | DeviceNotRestored | DeviceTakenDown | DeviceUp | DeviceDeleted | DeviceMadeAgain,
) -> tuple[int, str]:
    name = event.device
    match event:
        case DeviceRestored(operations=operations, was_down=was_down, contested=False):
            back = f"{name} is up again: " if was_down else f"{name} was changed by others: "
            return logging.WARNING, f"{back}{_listed(operations)}; restored"
        case DeviceRestored(operations=operations):
            return logging.WARNING, (
                f"{name} is changed by others again and again (now {_listed(operations)}): restored "
                "with pauses from now on; which program manages it beside ikepy?"
            )
        case DeviceNotRestored(error=error):
            return logging.ERROR, f"{error}; it is tried again"
        case DeviceTakenDown():
            text = f"{name} was taken down by others and stays so; its SAs stay, nothing goes through it"
            return logging.WARNING, f"{text} until: ip link set {name} up"
        case DeviceUp():
            return logging.WARNING, f"{name} is up again"
        case DeviceDeleted(error=None, carried=carried):
            stay = ", its SAs stay" if carried else ""
            return logging.WARNING, (
                f"{name} was deleted by others: made again with all that belongs to it{stay}"
            )
        case DeviceDeleted(error=error):
            text = f"{name} was deleted by others and can't be made again: {error}"
            return logging.ERROR, f"{text}; its SAs are deleted, and it is tried again"
        case DeviceMadeAgain():
            return logging.WARNING, f"{name} is there again"


def looped(remote: Address, device: str) -> str:
    """The text for an operator on a route that leads a peer's address into a tunnel of ours."""
    return (
        f"the routes lead {remote} into {device}, our own tunnel: what is sent to it there is dropped "
        f"(counted as loop); {remote} needs a route of its own through the uplink"
    )


def _some(devices: tuple[str, ...]) -> str:
    more = f" and {len(devices) - MOST_NAMED} more" if len(devices) > MOST_NAMED else ""
    return ", ".join(devices[:MOST_NAMED]) + more


def _listed(operations: tuple[str, ...]) -> str:
    more = len(operations) - 4
    return ", ".join(operations[:4]) + (f" and {more} more" if more > 0 else "")
