"""The SAs of one worker: inbound by SPI, outbound by device and packet (RFC 4301 4.4)."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Callable, Hashable, Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from functools import lru_cache
from ipaddress import IPv4Address, IPv6Address
from itertools import count
from typing import NamedTuple, NoReturn

from esp.datapath.flow_cache import FlowCache
from esp.datapath.limits import RateLimit, RecentSet
from esp.datapath.loop_detection import UDP, LocalEndpoints
from esp.ipc.messages import AddInboundSa, AddOutboundSa, UpdateSaPath
from esp.packet.address_index import AddressIndex
from esp.packet.headers import IPV4_NO_OPTIONS, Buffer, Flow, address_key, flow_of
from esp.packet.policy import Policy
from esp.packet.selectors import Selector
from esp.sa.inbound import InboundSa
from esp.sa.outbound import OutboundSa
from esp.sa.suites import refuse_copy

Address = IPv4Address | IPv6Address
Selectors = tuple[tuple[Selector, ...], tuple[Selector, ...]]  # local, remote

CACHE_LIMIT = 16384  # answers kept for a device; all are forgotten when there are more

REMEMBERED = 65536  # children whose numbers and keys are remembered, so that neither comes twice
_PATHS = 4096  # that are not made again for the next SA
_MOVED_INTERVAL = 1.0  # seconds between two PeerMoved of one SA
_NOT_PERMITTED_INTERVAL = 10.0  # seconds between two NotPermitted of one SA


class InstallError(Exception):
    """This SA can't be installed."""


@dataclass(frozen=True, slots=True)
class OuterPath:
    """Between which endpoints an SA's packets travel, and whether in UDP. Raises ValueError for nonsense."""

    encap: bool
    local_address: Address
    local_port: int
    remote_address: Address
    remote_port: int
    remote: tuple[str, int] = field(init=False)  # as a socket wants it
    local: tuple[bytes, int] = field(init=False)  # our address and port (0 without UDP), quick to look up

    def __post_init__(self) -> None:
        if self.local_address.version != self.remote_address.version:
            raise ValueError(f"{self.local_address} and {self.remote_address} are of different versions")
        if max(self.local_port, self.remote_port) > 0xFFFF:
            raise ValueError("a port above 65535")
        remote = str(self.remote_address), self.remote_port if self.encap else 0
        object.__setattr__(self, "remote", remote)
        object.__setattr__(self, "local", (self.local_address.packed, self.local_port if self.encap else 0))

    @classmethod
    def of(cls, message: AddInboundSa | AddOutboundSa | UpdateSaPath) -> OuterPath:
        """The same object for the same endpoints, as a rule: quick to compare."""
        return _path(
            message.encap,
            message.local_address,
            message.local_port,
            message.remote_address,
            message.remote_port,
        )

    def shares_send_with(self, other: OuterPath) -> bool:
        """Whether one send can take packets of both."""
        return self is other or (self.local == other.local and self.remote == other.remote)


_path = lru_cache(_PATHS)(OuterPath)


@dataclass(slots=True, eq=False)
class InboundEntry:
    """An inbound SA and what belongs to it."""

    child_id: int
    device_id: int
    slot: int
    sa: InboundSa
    path: OuterPath
    moved: RateLimit = field(default_factory=lambda: RateLimit(_MOVED_INTERVAL))
    not_permitted: RateLimit = field(default_factory=lambda: RateLimit(_NOT_PERMITTED_INTERVAL))


@dataclass(slots=True, eq=False)
class OutboundEntry:
    """An outbound SA and what belongs to it."""

    child_id: int
    device_id: int
    slot: int
    sa: OutboundSa
    policy: Policy
    path: OuterPath
    active: bool
    order: int  # in the order of installation
    trap: bool
    low_reported: bool = False
    exhausted_reported: bool = False


class BatchColumns(NamedTuple):
    """What packets of a medley need of their SAs, a column each; all SAs can be part of one."""

    entries: Sequence[OutboundEntry]
    sas: Sequence[OutboundSa]
    slots: Sequence[int]
    paths: Sequence[OuterPath]
    spi_salts: Sequence[bytes]  # of their `Member`, as the next two
    calls: Sequence[Callable[..., object]]
    esn: Sequence[bool]

    def __reduce__(self) -> NoReturn:
        refuse_copy(self)

    def __repr__(self) -> str:
        """Without the stamps, which are keying material in part."""
        return f"Seats(children={[entry.child_id for entry in self.entries]})"


@dataclass(slots=True, eq=False)
class _SelectorGroup:
    """The outbound SAs of one device that have the same selectors: as a rule one, two while it is rekeyed."""

    policy: Policy
    entries: dict[int, OutboundEntry] = field(default_factory=dict)  # by number: the newest last

    def newest(self) -> OutboundEntry | None:
        """Of the active ones."""
        return next((each for each in reversed(self.entries.values()) if each.active), None)


class _DeviceSas:
    """The outbound SAs of one device, and answers already found."""

    __slots__ = ("_cache", "_columns", "_groups", "_index", "_local_endpoints", "_traps", "_with_ports")

    def __init__(self, own: LocalEndpoints) -> None:
        self._local_endpoints = own
        self._groups: dict[Selectors, _SelectorGroup] = {}
        self._index = AddressIndex[_SelectorGroup]()  # by the remote selectors
        self._cache: dict[bytes | Flow, OutboundEntry | None] = {}
        self._columns: dict[bytes, tuple[object, ...]] = {}  # rows of `BatchColumns`, by `address_key`
        self._with_ports = 0  # how many select by more than addresses
        self._traps = 0  # how many want packets without an SA to be kept, and asked for

    def add(self, entry: OutboundEntry) -> None:
        policy = entry.policy
        group = self._groups.get((policy.ts_local, policy.ts_remote))
        if group is None:
            group = self._groups[policy.ts_local, policy.ts_remote] = _SelectorGroup(policy)
            self._index.add(policy.ts_remote, group)
            self._with_ports += not policy.addresses_only
        entry.policy = group.policy
        group.entries[entry.order] = entry
        self._traps += entry.trap
        self.changed()

    def remove(self, entry: OutboundEntry) -> list[OutboundEntry]:
        """Those that are left with the same selectors."""
        policy = entry.policy
        group = self._groups[policy.ts_local, policy.ts_remote]
        del group.entries[entry.order]
        self._traps -= entry.trap
        if not group.entries:
            del self._groups[policy.ts_local, policy.ts_remote]
            self._index.remove(policy.ts_remote, group)
            self._with_ports -= not policy.addresses_only
        self.changed()
        return list(group.entries.values())

    @property
    def by_addresses(self) -> bool:
        return not self._with_ports

    @property
    def trap(self) -> bool:
        return self._traps > 0

    def __iter__(self) -> Iterator[OutboundEntry]:
        return (entry for group in self._groups.values() for entry in group.entries.values())

    def changed(self) -> None:
        self._cache.clear()
        self._columns.clear()

    def find(self, packet: Buffer) -> OutboundEntry | None:
        key: bytes | Flow
        if self._with_ports:
            key = flow_of(packet)
        else:  # `address_key`, for IPv4 without a call
            key = bytes(packet[12:20]) if packet[0] >> 4 == 4 else address_key(packet)
        try:
            return self._cache[key]
        except KeyError:
            pass
        if not isinstance(key, Flow) and self._local_endpoints.may_have_sent(key):
            key = _narrow_key(packet)  # addresses alone don't tell
            if key in self._cache:
                return self._cache[key]
        flow = flow_of(packet)
        found = None if self._local_endpoints.sent(flow) else self._search(flow)
        if len(self._cache) >= CACHE_LIMIT:
            self._cache.clear()
        self._cache[key] = found
        return found

    def batch_columns(self, keys: Sequence[bytes], packet: Callable[[int], Buffer]) -> BatchColumns | None:
        """`find` for the packets of these addresses, by whose index `packet` gives them, if they are all that
        tells; None if one of them has no SA, or one that can't be part of a medley."""
        known = self._columns
        try:
            rows = list(map(known.__getitem__, keys))
        except KeyError:
            for index, key in enumerate(keys):
                if key not in known:
                    row = (
                        None
                        if self._local_endpoints.may_have_sent(key)
                        else _column_row(self.find(packet(index)))
                    )
                    if row is None:
                        return None
                    known[key] = row
            rows = list(map(known.__getitem__, keys))
            if len(known) >= CACHE_LIMIT:
                known.clear()
        return BatchColumns._make(zip(*rows, strict=True))

    def _search(self, flow: Flow) -> OutboundEntry | None:
        """The narrowest selectors that match, then the newest SA."""
        matches = (
            (width, -newest.order, newest)
            for each in self._index.find(flow.version, flow.destination)
            if (newest := each.newest()) is not None
            and (width := each.policy.match_outbound(flow)) is not None
        )
        best = min(matches, key=lambda match: match[:2], default=None)
        return None if best is None else best[2]


def _narrow_key(packet: Buffer) -> bytes | Flow:
    """What `LocalEndpoints.sent` looks at. Usual IPv4 is not parsed: protocol, addresses, and UDP's source
    port."""
    if packet[0] == IPV4_NO_OPTIONS and not (packet[6] & 0x1F or packet[7]):  # nor a later fragment
        return bytes(packet[9:10]) + bytes(packet[12 : 22 if packet[9] == UDP else 20])
    return flow_of(packet)


def _column_row(entry: OutboundEntry | None) -> tuple[object, ...] | None:
    aead = None if entry is None else entry.sa.aead
    if entry is None or aead is None or entry.sa.tfc:
        return None
    return entry, entry.sa, entry.slot, entry.path, *aead


class SaDatabase:
    """All SAs of the worker. It can be neither copied nor pickled."""

    __reduce__ = refuse_copy

    def __init__(self) -> None:
        self._spis: dict[int, InboundEntry] = {}
        self._inbound: dict[int, InboundEntry] = {}  # by child
        self._outbound: dict[int, OutboundEntry] = {}  # by child
        self.standby: set[int] = set()  # children whose outbound SA is not active
        self._devices: dict[int, _DeviceSas] = {}
        self._order = count()
        self._installed_before = RecentSet(4 * REMEMBERED)
        self._hash_key = os.urandom(16)
        self.flow_cache = FlowCache()  # forgotten with each change here
        self.local_endpoints = LocalEndpoints()

    # Changes

    def _refuse_reinstall(self, message: AddInboundSa | AddOutboundSa) -> tuple[Hashable, ...]:
        """What to remember of an SA; InstallError if it is remembered already."""
        inbound = isinstance(message, AddInboundSa)
        digest = hashlib.blake2b(
            message.keys, key=self._hash_key, digest_size=16, person=b"in" if inbound else b"out"
        ).digest()
        digests = 2 * message.child_id + inbound, digest
        if any(mark in self._installed_before for mark in digests):
            raise InstallError("this SA was installed before")
        return digests

    def _remember(self, digests: tuple[Hashable, ...]) -> None:
        self.flow_cache.invalidate()
        for mark in digests:
            self._installed_before.add(mark)

    def install_inbound(self, message: AddInboundSa) -> None:
        """Raises InstallError, also for a child or keys that had an inbound SA before: with an empty window
        every old packet would be accepted again."""
        if message.spi in self._spis:
            raise InstallError(f"SPI {message.spi:08x} is in use")
        digests = self._refuse_reinstall(message)
        policy = Policy(message.ts_local, message.ts_remote)
        try:
            sa = InboundSa(
                message.spi, message.suite, message.keys, message.esn, message.replay_window, policy
            )
            path = OuterPath.of(message)
        except ValueError as error:
            raise InstallError(str(error)) from None
        self._remember(digests)
        entry = InboundEntry(message.child_id, message.device_id, message.slot, sa, path)
        self._spis[message.spi] = self._inbound[message.child_id] = entry

    def install_outbound(self, message: AddOutboundSa) -> None:
        """Raises InstallError, also for a child or keys that had an outbound SA before: a sequence number
        that starts again under the same key repeats a nonce."""
        digests = self._refuse_reinstall(message)
        try:
            tfc = message.tfc_padding
            sa = OutboundSa(message.spi, message.suite, message.keys, message.esn, tfc=tfc)
            path = OuterPath.of(message)
        except ValueError as error:
            raise InstallError(str(error)) from None
        self._remember(digests)
        entry = OutboundEntry(
            child_id=message.child_id,
            device_id=message.device_id,
            slot=message.slot,
            sa=sa,
            policy=Policy(message.ts_local, message.ts_remote),
            path=path,
            active=not message.standby,
            order=next(self._order),
            trap=message.trap,
        )
        self._outbound[message.child_id] = entry
        if message.standby:
            self.standby.add(message.child_id)
        if message.device_id not in self._devices:
            self._devices[message.device_id] = _DeviceSas(self.local_endpoints)
        self._devices[message.device_id].add(entry)

    def activate(self, child_id: int) -> int | None:
        """Use a standby outbound SA from now on; the device that has one more active SA now, if any."""
        entry = self._outbound.get(child_id)
        if entry is None or entry.active:
            return None
        entry.active = True
        self.flow_cache.invalidate()
        self.standby.discard(child_id)
        self._devices[entry.device_id].changed()
        return entry.device_id

    def activate_each(self, entries: Sequence[InboundEntry]) -> list[int]:
        """`activate` for all these children; the devices that have one more active SA each."""
        if not self.standby:
            return []
        devices = [self.activate(entry.child_id) for entry in entries]
        return [device for device in devices if device is not None]

    def remove_outbound(self, child_id: int) -> int | None:
        """Forget an outbound SA; the device whose standby SA took its place, if any.

        When the last active SA of its selectors goes, standing by makes no sense any more.
        """
        entry = self._outbound.pop(child_id, None)
        if entry is None:
            return None
        self.flow_cache.invalidate()
        self.standby.discard(child_id)
        sas = self._devices[entry.device_id]
        group = sas.remove(entry)
        promote = entry.active and not any(each.active for each in group)
        if promote and group:
            self.standby.discard(group[0].child_id)
            group[0].active = True  # the oldest: the peer is most likely to be ready for that
        return entry.device_id if promote and group else None

    def remove_child(self, child_id: int) -> int | None:
        """Forget both directions; the device whose standby SA took over, if any."""
        entry = self._inbound.pop(child_id, None)
        if entry is not None:
            del self._spis[entry.sa.spi]
            self.flow_cache.invalidate()
        return self.remove_outbound(child_id)

    def remove_device(self, device_id: int) -> None:
        """Forget all SAs of a device."""
        self.flow_cache.remove_device(device_id)
        for entry in [each for each in self._inbound.values() if each.device_id == device_id]:
            del self._inbound[entry.child_id], self._spis[entry.sa.spi]
        sas = self._devices.pop(device_id, None)
        for outbound in sas or ():
            del self._outbound[outbound.child_id]
            self.standby.discard(outbound.child_id)

    def set_local_endpoints(self, ends: Iterable[tuple[Address, int]]) -> None:
        """ESP leaves from these endpoints: address, and port (0 without UDP)."""
        self.flow_cache.invalidate()
        self.local_endpoints.set(ends)
        for sas in self._devices.values():
            sas.changed()

    def update_path(self, message: UpdateSaPath) -> None:
        """Both directions of a child travel another way."""
        path = OuterPath.of(message)
        self.flow_cache.invalidate()
        for entry in (self._inbound.get(message.child_id), self._outbound.get(message.child_id)):
            if entry is not None:
                entry.path = path
        outbound = self._outbound.get(message.child_id)
        if outbound is not None:
            outbound.sa.tfc = message.tfc_padding
            self._devices[outbound.device_id].changed()

    # Questions

    def knows(self, child_id: int) -> bool:
        """Whether one direction of the child is installed."""
        return child_id in self._outbound or child_id in self._inbound

    def inbound(self, spi: int) -> InboundEntry | None:
        return self._spis.get(spi)

    def outbound(self, device_id: int, packet: Buffer) -> OutboundEntry | None:
        """The active SA for a whole packet: the narrowest selectors that match, then the newest. None also
        for what we have sent ourselves (`local_endpoints`)."""
        sas = self._devices.get(device_id)
        return None if sas is None else sas.find(packet)

    def inbound_each(self, spis: Sequence[int]) -> list[InboundEntry] | None:
        """`inbound` for all of these, None if one of them is unknown."""
        try:
            return [self._spis[spi] for spi in spis]
        except KeyError:
            return None

    def batch_columns(
        self, device_id: int, keys: Sequence[bytes], packet: Callable[[int], Buffer]
    ) -> BatchColumns | None:
        """`outbound` for packets of these addresses (`address_key`), by whose index `packet` gives them, if
        `by_addresses` holds; None if one of them has no SA, or one that can't be part of a medley."""
        sas = self._devices.get(device_id)
        return None if sas is None else sas.batch_columns(keys, packet)

    def by_addresses(self, device_id: int) -> bool:
        """Whether all packets between the same two addresses have the same SA, unless `local_endpoints` may
        have sent them."""
        sas = self._devices.get(device_id)
        return sas is None or sas.by_addresses

    def traps(self, device_id: int) -> bool:
        """Whether one of the device's SAs wants packets without one to be kept, and asked for."""
        sas = self._devices.get(device_id)
        return sas is not None and sas.trap
