"""The interfaces (protocols) of the machine, devices and kernel that the daemon uses, or tests' fakes."""

from __future__ import annotations

import socket
from collections.abc import Callable, Collection, Iterable, Sequence
from dataclasses import dataclass
from ipaddress import IPv4Network, IPv6Network
from pathlib import Path as FilePath
from typing import Protocol

from esp.ipc.counters import CounterBlock
from ikepy.config.model import Config, Connection
from ikepy.sa.api.capacity import CapacityOf
from ikepy.sa.api.commands import Command
from ikepy.sa.api.effects import Effect, InstallInbound, InstallOutbound
from ikepy.sa.api.entropy import Entropy
from ikepy.sa.api.key_log import NOBODY, KeyLog
from ikepy.sa.api.leases import Lease, PoolState
from ikepy.sa.api.names import NameTable
from ikepy.sa.api.path import Address, Endpoint, Path
from ikepy.sa.api.restart_keys import RestartKeys
from ikepy.sa.api.snapshot import ChildWait, IkeSaSnapshot
from ikepy.sa.auth.credentials import Credentials
from ikepy.sa.auth.relay import Relay
from tun.netlink import HostAddress
from tun.network import Mended as Mended
from tun.rtnetlink import BestRoute, Hop
from tun.state import DeviceState
from tun.state import Operation as Operation
from tun.steering import HostFlow
from tun.vxlan import MendedVxlan as MendedVxlan
from tun.vxlan_state import VxlanState
from tun.watch import Changes as Changes

Network = IPv4Network | IPv6Network
Counters = Callable[[int], CounterBlock | None]  # of a worker's slot
Resolve = Callable[[Connection, Collection[Address]], tuple[Address, Address] | str]


class Machine(Protocol):
    """The sans-IO IKE machine, `ikepy.sa.manager.IkeManager`. Times are monotonic seconds."""

    @property
    def deadline(self) -> float | None: ...

    @property
    def idle(self) -> bool: ...

    @property
    def ticking(self) -> int | None: ...

    def start(self, now: float) -> list[Effect]: ...

    def receive(self, datagram: bytes, path: Path, now: float) -> list[Effect]: ...

    def refuse(self, datagram: bytes, remote: Endpoint, now: float) -> bytes | None: ...

    def knows(self, datagram: bytes) -> bool: ...

    def drops(self, datagram: bytes, path: Path, now: float) -> bool: ...

    def complete(self, ticket: int, result: object, now: float) -> list[Effect]: ...

    def request(self, command: Command, now: float) -> list[Effect]: ...

    def tick(self, now: float) -> list[Effect]: ...

    def usage(self, child_id: int, octets: int, packets: int, now: float) -> list[Effect]: ...

    def unknown_spi(self, spi: int, path: Path, now: float) -> list[Effect]: ...

    def not_permitted(self, child_id: int, start: bytes, now: float) -> list[Effect]: ...

    def peer_moved(self, child_id: int, remote: Endpoint, now: float) -> list[Effect]: ...

    def recover(self, now: float) -> list[Effect]: ...

    def awaited(self) -> Collection[int]: ...

    def ike_ids(self) -> Collection[int]: ...

    def child_ids(self) -> Collection[int]: ...

    def counters(self) -> dict[str, int]: ...

    @property
    def config(self) -> Config: ...

    def replace_config(self, config: Config, now: float) -> list[Effect]: ...

    def has_ike_sa(self, connection: str) -> bool: ...

    def list_sas(self, now: float) -> Sequence[IkeSaSnapshot]: ...

    def list_waits(self) -> Sequence[ChildWait]: ...

    def pools(self) -> Sequence[PoolState]: ...

    def leases(self) -> Sequence[Lease]: ...

    def restore_leases(self, leases: Iterable[Lease]) -> None: ...


@dataclass(frozen=True, slots=True)
class Facts:
    """What the machine asks of the host. `resolve`: the two addresses of a connection; `leads_out`: whether a
    path leaves the host, not into a device of ours; `esp_heard`: when ESP came in last under a child
    (monotonic seconds, None: never); `capacity_of`: how many children a connection's worker can have;
    `names`: what DNS names mean; `restart_keys`: keys that may outlive the machine; `credentials`:
    certificates and keys; `relay`: hands EAP on to an AAA server; `key_log`: is told all keys."""

    resolve: Resolve
    leads_out: Callable[[Path], bool]
    esp_heard: Callable[[int], float | None]
    capacity_of: CapacityOf
    names: NameTable
    restart_keys: RestartKeys
    credentials: Credentials
    relay: Relay | None = None
    key_log: KeyLog = NOBODY


MakeMachine = Callable[[Config, Entropy, Facts], Machine]


class Tun(Protocol):
    """One TUN device, `tun.device.TunDevice`."""

    @property
    def fd(self) -> int: ...

    @property
    def name(self) -> str: ...

    @property
    def index(self) -> int: ...

    def rename(self, name: str, /) -> None: ...

    def set_carrier(self, up: bool, /) -> None: ...

    def close(self) -> None: ...

    def close_later(self) -> None: ...


class NetworkConfig(Protocol):
    """The kernel's network configuration, the module `tun.network`: devices, addresses, routes,
    exemptions, steering."""

    def mend(self, tun: Tun, desired: DeviceState, *, new: bool = False) -> Mended: ...

    def perform(self, tun: Tun, operations: Sequence[Operation], desired: DeviceState) -> Mended: ...

    def uplink_mtu(self, remote: Address, local: Address | None) -> int: ...

    def outlet(self, remote: Address, local: Address) -> str | None: ...

    def best_route(
        self, remote: Address, local: Address | None = None, device: int | None = None
    ) -> BestRoute | None: ...

    def exempt(self, remote: Address, hop: Hop, source: Address | None) -> None: ...

    def end_exemption(self, remote: Address) -> None: ...

    def end_exemptions(self) -> None: ...

    def steer(self, index: int, flows: Collection[HostFlow]) -> None: ...

    def end_steering(self) -> None: ...

    def device_indices(self) -> list[int]: ...

    def source_address(self, remote: Address) -> Address: ...

    def local_addresses(self) -> list[Address]: ...

    def host_addresses(self) -> list[HostAddress]: ...

    def is_local(self, address: Address) -> bool: ...

    def has_link(self, name: str) -> bool: ...

    def mend_vxlan(self, desired: VxlanState) -> MendedVxlan: ...

    def remove_vxlan(self, name: str) -> None: ...


class SocketOpener(Protocol):
    """Opens the daemon's sockets, the module `esp.net.sockets`."""

    def open_udp(self, address: Address, port: int, *, reuse_port: bool) -> socket.socket: ...

    def open_raw(self, address: Address) -> socket.socket: ...

    def refuse_shared(self, address: Address, port: int) -> None: ...

    def size_queue(self, sock: socket.socket, *, prompt: bool) -> None: ...


class Launcher(Protocol):
    """Starts and ends worker processes, `ikepy.daemon.process.launcher.WorkerLauncher`."""

    def start(self, fd: int) -> tuple[int, int]: ...

    def kill(self, pid: int) -> None: ...

    def reap(self, pid: int) -> int: ...

    def set_priority(self, pid: int, *, busy: bool) -> str | None: ...


class KeyLogDirectory(KeyLog, Protocol):
    """Writes all keys into a directory, `ikepy.daemon.process.key_log.KeyLogFiles`."""

    @property
    def directory(self) -> FilePath: ...

    @property
    def own_file(self) -> FilePath: ...

    def installed(self, effect: InstallInbound | InstallOutbound) -> None: ...

    def close(self) -> None: ...


class Watch(Protocol):
    """Reports changes of addresses, links and routes, `tun.watch.Watch`."""

    def close(self) -> None: ...


MakeWatch = Callable[[Callable[[Changes], None]], Watch]
