"""Finds the outbound SA of a packet among those of its device: by selectors, with caches (RFC 4301 4.4.1)."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field

from esp.datapath.loop_detection import UDP, LocalEndpoints
from esp.datapath.sa_entries import OutboundEntry, SaRun
from esp.packet.address_index import AddressIndex
from esp.packet.headers import IPV4_NO_OPTIONS, Buffer, Flow, address_key, flow_of
from esp.packet.policy import Policy
from esp.packet.selectors import Selector

Selectors = tuple[tuple[Selector, ...], tuple[Selector, ...]]  # local, remote

CACHE_LIMIT = 16384  # cached answers of a device; the cache is cleared when it is full


@dataclass(slots=True, eq=False)
class _SelectorGroup:
    """The outbound SAs of one device with the same selectors: usually one, two while it is rekeyed."""

    policy: Policy
    entries: dict[int, OutboundEntry] = field(default_factory=dict)  # by order of installation

    def newest(self) -> OutboundEntry | None:
        """The newest active SA."""
        return next((each for each in reversed(self.entries.values()) if each.active), None)


class OutboundIndex:
    """The outbound SAs of one device, with caches of answers."""

    __slots__ = (
        "_cache",
        "_formats",
        "_groups",
        "_index",
        "_local_endpoints",
        "_runs",
        "_traps",
        "_with_ports",
    )

    def __init__(self, local_endpoints: LocalEndpoints) -> None:
        self._local_endpoints = local_endpoints
        self._groups: dict[Selectors, _SelectorGroup] = {}
        self._index = AddressIndex[_SelectorGroup]()  # by the remote selectors
        self._cache: dict[bytes | Flow, OutboundEntry | None] = {}
        self._runs: dict[bytes, SaRun] = {}  # of one packet, by `address_key`
        self._formats: set[tuple[int, ...]] = set()  # of these
        self._with_ports = 0  # groups that select by more than addresses
        self._traps = 0  # SAs with `trap`

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
        self.invalidate()

    def remove(self, entry: OutboundEntry) -> list[OutboundEntry]:
        """Remove an SA; returns those that are left with the same selectors."""
        policy = entry.policy
        group = self._groups[policy.ts_local, policy.ts_remote]
        del group.entries[entry.order]
        self._traps -= entry.trap
        if not group.entries:
            del self._groups[policy.ts_local, policy.ts_remote]
            self._index.remove(policy.ts_remote, group)
            self._with_ports -= not policy.addresses_only
        self.invalidate()
        return list(group.entries.values())

    @property
    def by_addresses(self) -> bool:
        return not self._with_ports

    @property
    def trap(self) -> bool:
        return self._traps > 0

    def __iter__(self) -> Iterator[OutboundEntry]:
        return (entry for group in self._groups.values() for entry in group.entries.values())

    def invalidate(self) -> None:
        self._cache.clear()
        self._runs.clear()
        self._formats.clear()

    def find(self, packet: Buffer) -> OutboundEntry | None:
        """The active SA of a whole packet; None if there is none, and for our own ESP
        (`LocalEndpoints.sent`)."""
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
            key = _narrow_key(packet)  # addresses alone do not decide
            if key in self._cache:
                return self._cache[key]
        flow = flow_of(packet)
        found = None if self._local_endpoints.sent(flow) else self._search(flow)
        if len(self._cache) >= CACHE_LIMIT:
            self._cache.clear()
        self._cache[key] = found
        return found

    def runs(self, keys: Sequence[bytes], packet: Callable[[int], Buffer]) -> list[SaRun] | None:
        """`find` for packets with these `address_key`s, which `packet` gives by index, where addresses
        decide: a run for each. None if one of them has no SA, or one whose packets are padded (TFC), or if
        they can't share a batch."""
        known = self._runs
        try:
            found = list(map(known.__getitem__, keys))
        except KeyError:
            if not self._learn_runs(keys, packet):
                return None
            found = [known[key] for key in keys]
        if len(self._formats) > 1 and len({run.sa.format for run in found}) > 1:
            return None
        return found

    def _learn_runs(self, keys: Sequence[bytes], packet: Callable[[int], Buffer]) -> bool:
        """False if one has no run."""
        known = self._runs
        if len(known) >= CACHE_LIMIT:
            known.clear()
        for index, key in enumerate(keys):
            if key not in known:
                own = self._local_endpoints.may_have_sent(key)
                entry = None if own else self.find(packet(index))
                if entry is None or entry.sa.copied:
                    return False
                known[key] = SaRun.of(entry, 1)
                self._formats.add(entry.sa.format)
        return True

    def _search(self, flow: Flow) -> OutboundEntry | None:
        """The active SA with the narrowest selectors that match; among equals the newest."""
        matches = (
            (width, -newest.order, newest)
            for each in self._index.find(flow.version, flow.destination)
            if (newest := each.newest()) is not None
            and (width := each.policy.match_outbound(flow)) is not None
        )
        best = min(matches, key=lambda match: match[:2], default=None)
        return None if best is None else best[2]


def _narrow_key(packet: Buffer) -> bytes | Flow:
    """The fields that `LocalEndpoints.sent` decides by. Plain IPv4 is not parsed: protocol, addresses, UDP's
    source port."""
    if packet[0] == IPV4_NO_OPTIONS and not (packet[6] & 0x1F or packet[7]):  # nor a later fragment
        return bytes(packet[9:10]) + bytes(packet[12 : 22 if packet[9] == UDP else 20])
    return flow_of(packet)
