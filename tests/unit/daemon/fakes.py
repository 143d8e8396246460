"""Stand-ins for the daemon's neighbours: a scripted machine, a TUN device and a routing table."""

from __future__ import annotations

import errno
import itertools
import socket
from collections import defaultdict
from collections.abc import Callable, Collection, Iterable, Sequence
from dataclasses import replace
from ipaddress import IPv4Address, ip_address, ip_interface
from typing import Any

from esp.ipc import messages
from esp.packet.selectors import Selector
from esp.sa.suites import suite_for
from ikepy.config.identity import Identity
from ikepy.config.model import Config
from ikepy.crypto.secret import Secret
from ikepy.daemon.interfaces import Mended, Operation, Tun
from ikepy.sa.api.commands import Command
from ikepy.sa.api.effects import Effect, InstallInbound, InstallOutbound
from ikepy.sa.api.leases import Lease, PoolState
from ikepy.sa.api.network_settings import NO_SETTINGS
from ikepy.sa.api.path import Address, Endpoint, Path
from ikepy.sa.api.snapshot import ChildSnapshot, ChildWait, IkeSaSnapshot
from ikepy.sa.state.address_pools import AddressPools
from ikepy.wire.constants import Encr, ProtocolId, TransformType
from ikepy.wire.proposal import Proposal, Transform
from tun.netlink import HostAddress, RouteError
from tun.network import DeviceGone, Refused
from tun.rtnetlink import BestRoute, Hop
from tun.state import (
    AddAddress,
    AddRoute,
    DeviceState,
    Pairing,
    RemoveAddress,
    RemoveRoute,
    Route,
    Seen,
    SetCarrier,
    SetMtu,
    SetUp,
    difference,
)
from tun.steering import HostFlow
from tun.vxlan import MendedVxlan
from tun.vxlan_state import VxlanState
from tun.watch import Changes

SUITE = suite_for(20, 128, None)
PATH = Path(Endpoint(IPv4Address("192.0.2.1"), 500), Endpoint(IPv4Address("192.0.2.2"), 500))
NETS = (Selector.of("10.2.0.0/24"), Selector.of("fd02::/64"))


def config(vti: dict[str, Any] | None = None, child: dict[str, Any] | None = None, **keys: Any) -> Config:
    """One connection "a" with the child "net", as a source would build it; `keys` are further ones of it."""
    return Config.model_validate({"connections": {"a": connection("a", vti, child, **keys)}})


def connection(
    name: str, vti: dict[str, Any] | None = None, child: dict[str, Any] | None = None, **keys: Any
) -> dict[str, Any]:
    """One connection as a source hands it to the model."""
    return {
        "name": name,
        "local_addrs": ["192.0.2.1"],
        "remote_addrs": ["192.0.2.2"],
        "proposals": ["aes128gcm16-prfsha256-x25519"],
        "children": {
            "net": {
                "name": "net",
                "local_ts": ["10.1.0.0/24"],
                "remote_ts": ["10.2.0.0/24", "fd02::/64"],
                "esp_proposals": ["aes128gcm16", "aes256-sha256"],
                **(child or {}),
            }
        },
        "vti": {"name": f"vti-{name}", **(vti or {})},
        **keys,
    }


_INDICES = itertools.count(1000)


class FakeTun:
    """A device whose packets are datagrams of a socket pair: `wire` is the kernel's end."""

    def __init__(self, name: str) -> None:
        self.name = name
        self.index = next(_INDICES)
        self.carrier: bool | None = None
        self.wire, self._sock = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        self._sock.setblocking(False)

    @property
    def fd(self) -> int:
        return self._sock.fileno()

    @property
    def closed(self) -> bool:
        return self._sock.fileno() < 0

    def rename(self, name: str, /) -> None:
        self.name = name

    def set_carrier(self, up: bool, /) -> None:
        self.carrier = up

    def close(self) -> None:
        self._sock.close()
        self.wire.close()

    def close_later(self) -> None:
        self.close()


class FakeNetwork:
    """A kernel: the routes of each device, its MTU, and what the way to a peer looks like."""

    def __init__(self) -> None:
        self.table: dict[str, set[Route]] = {}
        self.assigned: dict[str, set[Pairing]] = {}  # the addresses of each device
        self.up: dict[str, bool] = {}
        self.carriers: defaultdict[int, bool] = defaultdict(bool)
        self.deleted: set[int] = set()  # devices that somebody has deleted
        self.mtus: dict[str, int] = {}
        self.names: dict[int, str] = {}
        self.removed: list[str] = []  # addresses
        self.uplink = 1500
        self.uplinks_asked = 0
        self.link = True
        self.addresses: list[Address] = [ip_address("127.0.0.1")]
        self.routed: set[Address] = set()  # addresses that are local by a route
        self.best: dict[Address, BestRoute] = {}  # the best route to an address
        self.through: dict[tuple[Address, int], BestRoute] = {}  # the same through a device
        self.exemptions: dict[Address, Hop] = {}
        self.steered: dict[int, set[HostFlow]] = {}  # by device
        self.outside: list[int] = [1]  # devices
        self.outlets: dict[Address, str] = {}  # the device to an address, if it is not eth0
        self.refused: set[str] = set()  # routes that can't be added
        self.vxlans: dict[str, VxlanState] = {}
        self.foreign: set[str] = set()  # VXLAN devices that another program made

    @property
    def routes(self) -> dict[str, set[str]]:
        """The networks that lead into each device."""
        return {name: {str(route.network) for route in table} for name, table in self.table.items()}

    def mend(self, tun: Tun, desired: DeviceState, *, new: bool = False) -> Mended:
        if tun.index in self.deleted:
            raise DeviceGone(tun.name)
        before = self.names.get(tun.index, tun.name)
        if before != tun.name:
            self.mtus[tun.name] = self.mtus.pop(before)
            self.table[tun.name] = self.table.pop(before)
            self.up[tun.name] = self.up.pop(before)
            self.assigned[tun.name] = self.assigned.pop(before)
        self.names[tun.index] = tun.name
        if new:
            self.mtus[tun.name], self.table[tun.name], self.up[tun.name] = 1500, set(), False
            self.assigned[tun.name] = set()
            tun.set_carrier(False)
        seen = Seen(
            up=self.up[tun.name],
            mtu=self.mtus[tun.name],
            carrier=self.carriers[tun.index],
            quiet=True,
            addresses=frozenset(self.assigned[tun.name]),
            routes=frozenset(self.table[tun.name]).union(_on_link(desired)),
        )
        done = self.perform(tun, difference(desired, seen, bring_up=new), desired)
        return Mended(done.done, done.refused, self.up[tun.name])

    def perform(self, tun: Tun, operations: Sequence[Operation], desired: DeviceState) -> Mended:
        refused: list[Refused] = []
        for operation in operations:
            match operation:
                case SetMtu(mtu=mtu):
                    self.mtus[tun.name] = mtu
                case SetUp():
                    self.up[tun.name] = True
                case SetCarrier(on=on):
                    tun.set_carrier(on)
                    self.carriers[tun.index] = on
                case AddAddress(own=own, peer=peer):
                    self.assigned[tun.name].add((own, peer))
                case RemoveAddress(own=own, peer=peer):
                    self.removed.append(str(own))
                    self._remove_address(tun.name, (own, peer))
                case AddRoute(route=route) if str(route.network) in self.refused:
                    text = f"{tun.name}: cannot add the route to {route}"
                    refused.append(Refused(operation, RouteError(text, reason="there is one already")))
                case AddRoute(route=route):
                    others = {
                        index
                        for index, name in self.names.items()
                        for one in self.table.get(name, ())
                        if one.key[:3] == route.key[:3] and index != tun.index
                    }
                    assert others <= desired.neighbours, "somebody else's route is never displaced"
                    self.table[tun.name] -= {one for one in self.table[tun.name] if one.key == route.key}
                    self.table[tun.name].add(route)
                case RemoveRoute(route=route):
                    self.table[tun.name].discard(route)
        not_done = [one.operation for one in refused]
        return Mended(tuple(one for one in operations if one not in not_done), tuple(refused))

    def _remove_address(self, name: str, gone: Pairing) -> None:
        """As the kernel does it: with the last IPv4 address all IPv4 routes go."""
        self.assigned[name].discard(gone)
        if gone[0].version == 4 and not any(own.version == 4 for own, _ in self.assigned[name]):
            self.table[name] = {route for route in self.table[name] if route.network.version == 6}

    def uplink_mtu(self, remote: Address, local: Address | None) -> int:
        self.uplinks_asked += 1
        return self.uplink

    def outlet(self, remote: Address, local: Address) -> str | None:
        return self.outlets.get(remote, "eth0")

    def best_route(
        self, remote: Address, local: Address | None = None, device: int | None = None
    ) -> BestRoute | None:
        return self.best.get(remote) if device is None else self.through.get((remote, device))

    def exempt(self, remote: Address, hop: Hop, source: Address | None) -> None:
        self.exemptions[remote] = hop

    def end_exemption(self, remote: Address) -> None:
        self.exemptions.pop(remote, None)

    def end_exemptions(self) -> None:
        self.exemptions.clear()

    def steer(self, index: int, flows: Collection[HostFlow]) -> None:
        self.steered[index] = set(flows)

    def end_steering(self) -> None:
        self.steered.clear()

    def device_indices(self) -> list[int]:
        return self.outside

    def source_address(self, remote: Address) -> Address:
        for address in self.addresses:
            if address.version == remote.version:
                return address
        raise RouteError(f"no way to {remote}", errno.ENETUNREACH)

    def local_addresses(self) -> list[Address]:
        return self.addresses

    def host_addresses(self) -> list[HostAddress]:
        return [HostAddress(one, 1, "eth0") for one in self.addresses]

    def is_local(self, address: Address) -> bool:
        return address in self.routed

    def has_link(self, name: str) -> bool:
        return self.link

    def mend_vxlan(self, desired: VxlanState) -> MendedVxlan:
        if desired.name in self.foreign:
            raise RouteError(desired.name, reason="a device of this name exists already, none of ikepy's")
        before = self.vxlans.get(desired.name)
        self.vxlans[desired.name] = desired
        changed = before is None or replace(before, retired=frozenset()) != replace(
            desired, retired=frozenset()
        )
        return MendedVxlan(("something",) if changed else (), before is None)

    def remove_vxlan(self, name: str) -> None:
        if name not in self.foreign:
            self.vxlans.pop(name, None)


class FakeWatch:
    """Calls `changed` when a test says so."""

    def __init__(self, changed: Callable[[Changes], None]) -> None:
        self.changed = changed
        self.closed = False

    def close(self) -> None:
        self.closed = True


class FakeMachine:
    """Answers each call with what `answer` gives for its description; `calls` keeps the descriptions."""

    def __init__(self, answer: Callable[[str], list[Effect]] | None = None) -> None:
        self.calls: list[str] = []
        self.sas: list[IkeSaSnapshot] = []
        self.waits: list[ChildWait] = []
        self.deadline: float | None = None
        self.ticking: int | None = None
        self.config = Config()
        self.kept_leases: list[Lease] = []
        self.asked = 0  # how often `has_ike_sa` was
        self.jobs: set[int] = set()
        self.children: Callable[[], Collection[int]] = lambda: ()
        self._answer = answer

    @property
    def idle(self) -> bool:
        return not self.sas

    def replace_config(self, config: Config, now: float) -> list[Effect]:
        self.config = config
        return self._called("replace_config")

    def has_ike_sa(self, connection: str) -> bool:
        self.asked += 1
        return any(sa.connection == connection for sa in self.sas)

    def start(self, now: float) -> list[Effect]:
        return self._called("start")

    def receive(self, datagram: bytes, path: Path, now: float) -> list[Effect]:
        return self._called(f"receive {datagram.hex()} {path}")

    def knows(self, datagram: bytes) -> bool:
        return False

    def drops(self, datagram: bytes, path: Path, now: float) -> bool:
        return False

    def complete(self, ticket: int, result: object, now: float) -> list[Effect]:
        return self._called(f"complete {ticket} {result}")

    def refuse(self, datagram: bytes, remote: Endpoint, now: float) -> bytes | None:
        return None

    def request(self, command: Command, now: float) -> list[Effect]:
        return self._called(f"request {command}")

    def tick(self, now: float) -> list[Effect]:
        return self._called("tick")

    def usage(self, child_id: int, octets: int, packets: int, now: float) -> list[Effect]:
        return self._called(f"usage {child_id} {octets} {packets}")

    def unknown_spi(self, spi: int, path: Path, now: float) -> list[Effect]:
        return self._called(f"unknown_spi {spi:x} {path}")

    def not_permitted(self, child_id: int, start: bytes, now: float) -> list[Effect]:
        return self._called(f"not_permitted {child_id} {start.hex()}")

    def peer_moved(self, child_id: int, remote: Endpoint, now: float) -> list[Effect]:
        return self._called(f"peer_moved {child_id} {remote}")

    def recover(self, now: float) -> list[Effect]:
        return self._called("recover")

    def awaited(self) -> Collection[int]:
        return self.jobs

    def ike_ids(self) -> Collection[int]:
        return [sa.ike_id for sa in self.sas]

    def child_ids(self) -> Collection[int]:
        return self.children()

    def counters(self) -> dict[str, int]:
        return {"cookies asked for": 3}

    def list_sas(self, now: float) -> list[IkeSaSnapshot]:
        return self.sas

    def pools(self) -> list[PoolState]:
        return AddressPools(self.config.pools).states()

    def leases(self) -> list[Lease]:
        return self.kept_leases

    def restore_leases(self, leases: Iterable[Lease]) -> None:
        self.kept_leases += leases

    def list_waits(self) -> list[ChildWait]:
        return self.waits

    def _called(self, what: str) -> list[Effect]:
        self.calls.append(what)
        return self._answer(what) if self._answer is not None else []


class Notes:
    """IKE socket and worker pool in one: what is sent, in order."""

    def __init__(self) -> None:
        self.lines: list[str] = []
        self.messages: list[messages.Message] = []
        self.broken: type[messages.Message] | None = None

    def send(self, path_or_slot: Path | int, data: bytes | messages.Message) -> None:
        if isinstance(data, bytes):
            self.lines.append(f"send {data.hex()} {path_or_slot}")
            return
        if self.broken is not None and isinstance(data, self.broken):
            raise RuntimeError("the worker's queue broke")
        self.messages.append(data)
        self.lines.append(f"worker {path_or_slot} {type(data).__name__}")

    def send_keepalive(self, path: Path) -> None:
        self.lines.append(f"keepalive {path}")


def inbound(child_id: int = 1, spi: int = 0x1000, name: str = "a") -> InstallInbound:
    return InstallInbound(
        child_id=child_id,
        connection=name,
        child="net",
        spi=spi,
        suite=SUITE,
        keys=Secret(bytes(SUITE.key_length)),
        esn=True,
        replay_window=64,
        ts_local=(Selector.of("10.1.0.0/24"),),
        ts_remote=NETS,
        encap=False,
        path=PATH,
    )


def outbound(child_id: int = 1, name: str = "a", ts: tuple[Selector, ...] = NETS) -> InstallOutbound:
    return InstallOutbound(
        child_id=child_id,
        connection=name,
        child="net",
        spi=0x2000,
        suite=SUITE,
        keys=Secret(bytes(SUITE.key_length)),
        esn=True,
        ts_local=(Selector.of("10.1.0.0/24"),),
        ts_remote=ts,
        encap=False,
        path=PATH,
        standby=False,
    )


def ike_info(ike_id: int, *child_ids: int) -> IkeSaSnapshot:
    child = ChildSnapshot(
        child_id=0,
        name="net",
        state="INSTALLED",
        spi_in=0x1000,
        spi_out=0x2000,
        proposal=Proposal(1, ProtocolId.ESP, b"", (Transform(TransformType.ENCR, Encr.AES_GCM_16, 128),)),
        suite=SUITE,
        esn=True,
        encap=False,
        ts_local=NETS[:1],
        ts_remote=NETS[:1],
        installed_at=5.0,
        rekey_at=3600.0,
        expires_at=4000.0,
        replaced_by=None,
    )
    return IkeSaSnapshot(
        ike_id=ike_id,
        connection="a",
        state="ESTABLISHED",
        initiator=True,
        spi_i=bytes([ike_id] * 8),
        spi_r=bytes([ike_id + 100] * 8),
        local_id=Identity.parse("gwa"),
        remote_id=Identity.parse("gwb"),
        path=PATH,
        children_path=PATH,
        nat_local=False,
        nat_remote=True,
        encap=False,
        proposal=Proposal(1, ProtocolId.IKE, b"", (Transform(TransformType.ENCR, Encr.AES_GCM_16, 128),)),
        mobike=True,
        fragmentation=True,
        established_at=1.0,
        heard_at=2.0,
        rekey_at=None,
        expires_at=None,
        reauth_at=86400.0,
        tasks_active=("LIVENESS",),
        tasks_queued=(),
        network=NO_SETTINGS,
        children=tuple(replace(child, child_id=child_id) for child_id in child_ids),
    )


def _on_link(desired: DeviceState) -> set[Route]:
    """What the kernel makes with the addresses."""
    return {
        Route.of(ip_interface(f"{peer or own.ip}/{own.network.prefixlen}").network)
        for own, peer in desired.addresses
    }
