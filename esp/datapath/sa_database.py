"""The SA database of one worker: inbound SAs by SPI, outbound SAs by device and packet (RFC 4301 4.4)."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Callable, Hashable, Iterable, Sequence
from itertools import count

from esp.datapath.flow_cache import FlowCache
from esp.datapath.limits import RecentSet
from esp.datapath.loop_detection import LocalEndpoints
from esp.datapath.outbound_index import OutboundIndex
from esp.datapath.sa_entries import Address, InboundEntry, OutboundEntry, OuterPath, SaRun
from esp.ipc.messages import AddInboundSa, AddOutboundSa, UpdateSaPath
from esp.packet.headers import Buffer
from esp.packet.policy import Policy
from esp.packet.transport import Headers
from esp.sa.ciphers import refuse_copy
from esp.sa.inbound import InboundSa
from esp.sa.outbound import OutboundSa

REMEMBERED = 65536  # SA pairs whose numbers and keys are remembered, so that neither is installed twice


class InstallError(Exception):
    """This SA can't be installed."""


class SaDatabase:
    """All SAs of the worker. It can be neither copied nor pickled."""

    __reduce__ = refuse_copy

    def __init__(self, outbound_sa: Callable[..., OutboundSa] = OutboundSa) -> None:
        """`outbound_sa`: makes outbound SAs, as the class does."""
        self._outbound_sa = outbound_sa
        self._spis: dict[int, InboundEntry] = {}
        self._inbound: dict[int, InboundEntry] = {}  # by child_id
        self._outbound: dict[int, OutboundEntry] = {}  # by child_id
        self.standby: set[int] = set()  # child_ids whose outbound SA is not active
        self._devices: dict[int, OutboundIndex] = {}
        self._order = count()
        self._installed_before = RecentSet(4 * REMEMBERED)
        self._hash_key = os.urandom(16)
        self.flow_cache = FlowCache()  # every change here invalidates it
        self.local_endpoints = LocalEndpoints()

    # Changes

    def _refuse_reinstall(self, message: AddInboundSa | AddOutboundSa) -> tuple[Hashable, ...]:
        """Refuse an SA whose child_id or keys were installed before, with InstallError; else what to remember
        of it."""
        inbound = isinstance(message, AddInboundSa)
        digest = hashlib.blake2b(
            message.keys, key=self._hash_key, digest_size=16, person=b"in" if inbound else b"out"
        ).digest()
        marks = 2 * message.child_id + inbound, digest
        if any(one in self._installed_before for one in marks):
            raise InstallError("this SA was installed before")
        return marks

    def _remember(self, marks: tuple[Hashable, ...]) -> None:
        self.flow_cache.invalidate()
        for mark in marks:
            self._installed_before.add(mark)

    def install_inbound(self, message: AddInboundSa) -> None:
        """Raises InstallError, also for a child_id or keys that had an inbound SA before: an empty replay
        window would accept every old packet again."""
        if message.spi in self._spis:
            raise InstallError(f"SPI {message.spi:08x} is in use")
        marks = self._refuse_reinstall(message)
        policy = Policy(message.ts_local, message.ts_remote)
        try:
            headers = None
            if message.transport:
                headers = Headers(message.ts_local, message.ts_remote, nat=message.encap)
            sa = InboundSa(
                message.spi,
                message.suite,
                message.keys,
                message.esn,
                message.replay_window,
                policy,
                replay_top=message.replay_top,
                transport=headers,
            )
            path = OuterPath.of(message)
        except ValueError as error:
            raise InstallError(str(error)) from None
        self._remember(marks)
        entry = InboundEntry(message.child_id, message.device_id, message.slot, sa, path)
        self._spis[message.spi] = self._inbound[message.child_id] = entry

    def install_outbound(self, message: AddOutboundSa) -> None:
        """Raises InstallError, also for a child_id or keys that had an outbound SA before: sequence numbers
        that start again under the same key repeat nonces."""
        marks = self._refuse_reinstall(message)
        try:
            sa = self._outbound_sa(
                message.spi,
                message.suite,
                message.keys,
                message.esn,
                message.last_sequence,
                tfc=message.tfc_padding,
                transport=message.transport,
            )
            path = OuterPath.of(message)
        except ValueError as error:
            raise InstallError(str(error)) from None
        self._remember(marks)
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
            self._devices[message.device_id] = OutboundIndex(self.local_endpoints)
        self._devices[message.device_id].add(entry)

    def activate(self, child_id: int) -> int | None:
        """Activate a standby outbound SA. Returns the device that has one more active SA, if any."""
        entry = self._outbound.get(child_id)
        if entry is None or entry.active:
            return None
        entry.active = True
        self.flow_cache.invalidate()
        self.standby.discard(child_id)
        self._devices[entry.device_id].invalidate()
        return entry.device_id

    def activate_each(self, entries: Sequence[InboundEntry]) -> list[int]:
        """`activate` for all of these; the devices that have one more active SA each."""
        if not self.standby:
            return []
        devices = [self.activate(entry.child_id) for entry in entries]
        return [device for device in devices if device is not None]

    def remove_outbound(self, child_id: int) -> int | None:
        """Remove an outbound SA. Returns the device whose standby SA took its place, if any.

        When the last active SA of its selectors goes, a standby SA becomes active.
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
            group[0].active = True  # the oldest: the peer most likely has its inbound SA
        return entry.device_id if promote and group else None

    def remove_pair(self, child_id: int) -> int | None:
        """Remove both SAs of a pair. Returns the device whose standby SA took over, if any."""
        entry = self._inbound.pop(child_id, None)
        if entry is not None:
            del self._spis[entry.sa.spi]
            self.flow_cache.invalidate()
        return self.remove_outbound(child_id)

    def remove_device(self, device_id: int) -> None:
        """Remove all SAs of a device."""
        self.flow_cache.remove_device(device_id)
        for entry in [each for each in self._inbound.values() if each.device_id == device_id]:
            del self._inbound[entry.child_id], self._spis[entry.sa.spi]
        sas = self._devices.pop(device_id, None)
        for outbound in sas or ():
            del self._outbound[outbound.child_id]
            self.standby.discard(outbound.child_id)

    def set_local_endpoints(self, endpoints: Iterable[tuple[Address, int]]) -> None:
        """Set the endpoints from which ESP leaves: address, and port (0 without UDP)."""
        self.flow_cache.invalidate()
        self.local_endpoints.set(endpoints)
        for sas in self._devices.values():
            sas.invalidate()

    def update_path(self, message: UpdateSaPath) -> None:
        """Change the path of both SAs of a pair."""
        path = OuterPath.of(message)
        for entry in (self._inbound.get(message.child_id), self._outbound.get(message.child_id)):
            if entry is not None:
                entry.path = path
        self.set_tfc(message.child_id, message.tfc_padding)

    def set_tfc(self, child_id: int, octets: int) -> None:
        """Pad what an outbound SA sends to so many octets from now on (`OutboundSa.set_tfc`)."""
        self.flow_cache.invalidate()
        outbound = self._outbound.get(child_id)
        if outbound is not None:
            outbound.sa.set_tfc(octets)
            self._devices[outbound.device_id].invalidate()

    # Look-ups

    def knows(self, child_id: int) -> bool:
        """Whether one SA of the pair is installed."""
        return child_id in self._outbound or child_id in self._inbound

    def inbound(self, spi: int) -> InboundEntry | None:
        return self._spis.get(spi)

    def outbound(self, device_id: int, packet: Buffer) -> OutboundEntry | None:
        """The active SA for a whole packet: the narrowest selectors that match, then the newest. None also
        for our own ESP (`local_endpoints`)."""
        sas = self._devices.get(device_id)
        return None if sas is None else sas.find(packet)

    def inbound_each(self, spis: Sequence[int]) -> list[InboundEntry] | None:
        """`inbound` for all of these SPIs; None if one is unknown."""
        try:
            return [self._spis[spi] for spi in spis]
        except KeyError:
            return None

    def runs(
        self, device_id: int, keys: Sequence[bytes], packet: Callable[[int], Buffer]
    ) -> list[SaRun] | None:
        """`outbound` for packets with these `address_key`s, which `packet` gives by index, if `by_addresses`
        holds: a run for each. None if one of them has no SA, or one whose packets are padded (TFC)."""
        sas = self._devices.get(device_id)
        return None if sas is None else sas.runs(keys, packet)

    def by_addresses(self, device_id: int) -> bool:
        """Whether all packets between the same two addresses have the same SA, unless `local_endpoints` may
        have sent them."""
        sas = self._devices.get(device_id)
        return sas is None or sas.by_addresses

    def traps(self, device_id: int) -> bool:
        """Whether one of the device's SAs has `trap`: packets without an SA are queued and acquired."""
        sas = self._devices.get(device_id)
        return sas is not None and sas.trap
