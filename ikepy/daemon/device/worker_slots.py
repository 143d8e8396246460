"""Chooses the worker slot of each connection's device: the least loaded one, but one slot for one peer's.

The kernel coalesces what comes from one UDP port to another, whatever its SPIs (UDP GRO), and gives it to one
worker as a whole (`esp.net.sockets.open_group`). Another worker's packets would have to be forwarded one by
one. So connections that may have both ends' addresses in common are on one slot; behind a NAT, or with
`encap`, they have the ports in common, too.

Which peer has which address is known in advance only where the configuration says so. Connections without a
single address of the peer's ("%any", networks) are taken for one peer's by its identity; those without one
are taken for different peers'.
"""

from __future__ import annotations

from collections import defaultdict, deque
from collections.abc import Collection, Iterable, Iterator
from dataclasses import dataclass

from ikepy.config.model import Connection
from ikepy.daemon.net.resolver import fixed_addresses, has_patterns

_ANY, _OPEN = "any", "open"  # of our addresses: whichever; one that is not known in advance
_FIXED = "fixed"

Key = tuple[object, ...]


@dataclass(frozen=True, slots=True)
class Ends:
    """What tells whether two connections may have both ends in common: then each presents a key that the
    other one seeks."""

    presented: tuple[Key, ...]
    sought: tuple[Key, ...]

    @classmethod
    def of(cls, connection: Connection) -> Ends:
        ours, ours_sought = _ours(connection)
        peers, peers_sought = _peers(connection)
        return cls(
            tuple((one, *peer) for peer in peers for one in ours),
            tuple((one, *peer) for peer in peers_sought for one in ours_sought),
        )


def _ours(connection: Connection) -> tuple[list[object], list[object]]:
    """What a connection presents and seeks of our addresses."""
    fixed: list[object] = [*fixed_addresses(connection.local_addrs)]
    if len(fixed) < len(connection.local_addrs):
        return [_OPEN, _ANY], [_ANY]
    return [*fixed, _ANY], [*fixed, _OPEN]


def _peers(connection: Connection) -> tuple[list[Key], list[Key]]:
    """What a connection presents and seeks of the peer: addresses and names, and the identity where that has
    to do."""
    patterns = connection.remote_addrs
    is_open, identity = has_patterns(patterns), connection.remote.id
    named: list[Key] = [(one,) for one in patterns if not has_patterns([one])]
    if identity is None or identity.is_pattern:
        return named, named
    sought = [(_OPEN, identity), (_FIXED, identity)] if is_open else [(_OPEN, identity)]
    return [*named, (_OPEN if is_open else _FIXED, identity)], [*named, *sought]


def groups(connections: Collection[Connection]) -> Iterator[list[Connection]]:
    """Connections that may have both ends in common, or have some with a third one's."""
    ends = {one.name: Ends.of(one) for one in connections}
    sought = {key for one in ends.values() for key in one.sought}
    met = {key for one in ends.values() for key in one.presented if key in sought}
    by_key: defaultdict[Key, list[Connection]] = defaultdict(list)
    for one in connections:
        for key in (*ends[one.name].presented, *ends[one.name].sought):
            if key in met:
                by_key[key].append(one)
    seen: set[str] = set()
    for first in connections:
        group, waiting = list[Connection](), deque([first])
        while waiting:
            one = waiting.popleft()
            if one.name not in seen:
                seen.add(one.name)
                group.append(one)
                for key in (*ends[one.name].presented, *ends[one.name].sought):
                    waiting.extend(by_key.pop(key, ()))
        if group:
            yield group


@dataclass(frozen=True, slots=True)
class _Entry:
    connection: Connection
    slot: int
    presented: tuple[Key, ...]


class WorkerSlots:
    """The slots of all connections, by name. One keeps its slot until it is released."""

    def __init__(self, workers: int, connections: Collection[Connection]) -> None:
        self._load = [0] * workers  # devices of each slot
        self._entries: dict[str, _Entry] = {}
        self._by_key: defaultdict[Key, dict[str, None]] = defaultdict(dict)
        for group in sorted(groups(connections), key=len, reverse=True):
            slot = self._least_loaded()
            for one in group:
                self._enter(one, slot)

    def __getitem__(self, name: str) -> int:
        return self._entries[name].slot

    def allot(self, connection: Connection, beside: Iterable[Connection]) -> None:
        """Choose the slot of one more connection. `beside`: those that are there, which stay where they are;
        their ends may have changed."""
        for one in beside:
            if self._entries[one.name].connection is not one:
                self._enter(one, self.release(one.name))
        sought = Ends.of(connection).sought
        near = next((name for key in sought for name in self._by_key.get(key, ())), None)
        self._enter(connection, self._least_loaded() if near is None else self[near])

    def release(self, name: str) -> int:
        """A connection is gone. Returns the slot that it had."""
        entry = self._entries.pop(name)
        for key in entry.presented:
            del self._by_key[key][name]
            if not self._by_key[key]:
                del self._by_key[key]
        self._load[entry.slot] -= 1
        return entry.slot

    def _enter(self, connection: Connection, slot: int) -> None:
        entry = _Entry(connection, slot, tuple(dict.fromkeys(Ends.of(connection).presented)))
        self._entries[connection.name] = entry
        self._load[slot] += 1
        for key in entry.presented:
            self._by_key[key][connection.name] = None

    def _least_loaded(self) -> int:
        return self._load.index(min(self._load))
