"""Demands that wait for their next try: one a child at most, whoever asked for it."""

from __future__ import annotations

import heapq
from collections.abc import Callable

from ikepy.sa.setup.demand import Demand, Key


class Retries:
    """A queue by time. There may be thousands: a heap, in which what was put off anew or taken back stays."""

    def __init__(self) -> None:
        self._due: dict[Key, tuple[float, Demand]] = {}
        self._heap: list[tuple[float, Key]] = []

    def __bool__(self) -> bool:
        return bool(self._due)

    def put(self, demand: Demand, at: float) -> None:
        """Let its children be tried at this time, and no earlier or later."""
        for name in demand.children:
            key = demand.connection.name, name
            self._due[key] = at, demand.only(name)
            heapq.heappush(self._heap, (at, key))

    def take_back(self, wanted: Callable[[Key], bool]) -> list[Demand]:
        """Those of the children that are meant are tried no more."""
        return [self._due.pop(key)[1] for key in list(self._due) if wanted(key)]

    def discard(self, key: Key) -> None:
        """This child is tried no more, or at once."""
        self._due.pop(key, None)

    @property
    def deadline(self) -> float | None:
        """When the first one is due."""
        while self._heap and self._is_stale(*self._heap[0]):
            heapq.heappop(self._heap)
        return self._heap[0][0] if self._heap else None

    def pop(self, now: float) -> Demand | None:
        """One that is due."""
        if (at := self.deadline) is None or at > now:
            return None
        _, key = heapq.heappop(self._heap)
        return self._due.pop(key)[1]

    def hasten(self, soon: float) -> None:
        """None waits longer than until then."""
        self._due = {key: (min(at, soon), demand) for key, (at, demand) in self._due.items()}
        self._heap = [(at, key) for key, (at, _) in self._due.items()]
        heapq.heapify(self._heap)

    def clear(self) -> None:
        self._due.clear()
        self._heap.clear()

    def _is_stale(self, at: float, key: Key) -> bool:
        entry = self._due.get(key)
        return entry is None or entry[0] != at
