"""Holds the demands whose connection's DNS names are being looked up: one look-up a connection at a time."""

from __future__ import annotations

from collections.abc import Callable, KeysView
from dataclasses import dataclass, field, replace

from ikepy.sa.setup.demand import Demand, Key


@dataclass(slots=True)
class _LookUp:
    ticket: int
    demands: list[Demand] = field(default_factory=list)


class NameLookups:
    """The demands by connection. Packets may ask again and again: those that nobody waits for are merged."""

    def __init__(self) -> None:
        self._by_connection: dict[str, _LookUp] = {}
        self._names: dict[int, str] = {}  # of the connections, by ticket

    def __bool__(self) -> bool:
        return bool(self._by_connection)

    def add(self, demand: Demand, new_ticket: Callable[[], int]) -> int:
        """Let a demand wait. The ticket of the look-up to begin; 0 if one is under way."""
        name = demand.connection.name
        under_way = self._by_connection.get(name)
        if under_way is None:
            ticket = new_ticket()
            self._by_connection[name] = _LookUp(ticket, [demand])
            self._names[ticket] = name
            return ticket
        if not any(demand.tickets) and demand.replaces is None:
            under_way.demands = [one for one in under_way.demands if not _is_like(one, demand)]
        under_way.demands.append(demand)
        return 0

    def take(self, ticket: int) -> list[Demand]:
        """Remove and return the demands that waited for this look-up."""
        name = self._names.pop(ticket, None)
        return [] if name is None else self._by_connection.pop(name).demands

    @property
    def tickets(self) -> KeysView[int]:
        """Of the look-ups under way."""
        return self._names.keys()

    def waits(self, key: Key) -> bool:
        """Whether this child waits for a look-up."""
        under_way = self._by_connection.get(key[0])
        return under_way is not None and any(key[1] in one.children for one in under_way.demands)

    def take_back(self, wanted: Callable[[Key], bool]) -> list[Key]:
        """Forget the children for which `wanted` is true. Commands, and reauthentications, still hear of it:
        that their demand has no child any more."""
        forgotten: dict[Key, None] = {}
        for name, under_way in self._by_connection.items():
            left = []
            for demand in under_way.demands:
                gone = [child for child in demand.children if wanted((name, child))]
                forgotten.update(dict.fromkeys((name, child) for child in gone))
                children = tuple(child for child in demand.children if child not in gone)
                if children or any(demand.tickets) or demand.replaces is not None:
                    left.append(replace(demand, children=children))
            under_way.demands = left
        return list(forgotten)

    def clear(self) -> list[int]:
        """Forget all demands. Returns the tickets of the commands that waited."""
        demands = [one for each in self._by_connection.values() for one in each.demands]
        self._by_connection.clear()
        self._names.clear()
        return [ticket for one in demands for ticket in one.tickets]


def _is_like(one: Demand, other: Demand) -> bool:
    """Whether `other` asks for the same children, and nobody waits for the outcome of `one`."""
    return not any(one.tickets) and one.replaces is None and one.children == other.children
