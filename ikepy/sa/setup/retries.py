"""Queues demands until their next try: at most one for each child."""

from __future__ import annotations

import heapq
from collections.abc import Callable

from ikepy.sa.setup.demand import Demand, Key


class Retries:
    """A queue by time. It may hold thousands: a heap, in which stale entries stay until they are due."""

    def __init__(self) -> None:
        self._due: dict[Key, tuple[float, Demand]] = {}
        self._heap: list[tuple[float, Key]] = []

    def __bool__(self) -> bool:
        return bool(self._due)

    def put(self, demand: Demand, at: float) -> None:
        """Schedule the demand's children for this time; an earlier schedule of theirs is replaced."""
        for name in demand.children:
            key = demand.connection.name, name
            self._due[key] = at, demand.only(name)
            heapq.heappush(self._heap, (at, key))

    def take_back(self, wanted: Callable[[Key], bool]) -> list[Demand]:
        """Remove and return the demands of all children for which `wanted` is true."""
        return [self._due.pop(key)[1] for key in list(self._due) if wanted(key)]

    def discard(self, key: Key) -> None:
        """Remove this child's demand, if there is one."""
        self._due.pop(key, None)

    def due_at(self, key: Key) -> float | None:
        """When the next try of this child is; None if there is to be none."""
        entry = self._due.get(key)
        return None if entry is None else entry[0]

    @property
    def deadline(self) -> float | None:
        """When the first demand is due; None if there is none."""
        while self._heap and self._is_stale(*self._heap[0]):
            heapq.heappop(self._heap)
        return self._heap[0][0] if self._heap else None

    def pop(self, now: float) -> Demand | None:
        """Remove and return the first demand if it is due."""
        if (at := self.deadline) is None or at > now:
            return None
        _, key = heapq.heappop(self._heap)
        return self._due.pop(key)[1]

    def hasten(self, soon: float) -> None:
        """Let every demand be due at `soon` at the latest."""
        self._due = {key: (min(at, soon), demand) for key, (at, demand) in self._due.items()}
        self._heap = [(at, key) for key, (at, _) in self._due.items()]
        heapq.heapify(self._heap)

    def clear(self) -> None:
        self._due.clear()
        self._heap.clear()

    def _is_stale(self, at: float, key: Key) -> bool:
        entry = self._due.get(key)
        return entry is None or entry[0] != at
