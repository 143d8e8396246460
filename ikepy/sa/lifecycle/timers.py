"""Which of thousands of IKE_SAs is due next: a heap that is put right when it is looked at."""

from __future__ import annotations

import heapq

from ikepy.sa.driver.clock import deadline
from ikepy.sa.state.ike_sa import IkeSa, Registry


class Timers:
    """Deadlines of living IKE_SAs. One that has become later is noticed when its time comes."""

    def __init__(self, registry: Registry) -> None:
        self._registry = registry
        self._heap: list[tuple[float, int]] = []  # (deadline, ike_id); outdated if not in `_due`
        self._due: dict[int, float] = {}  # ike_id -> when to look at it, at its deadline or before

    @property
    def deadline(self) -> float | None:
        """When the first one is due."""
        while self._heap:
            at, ike_id = self._heap[0]
            outdated = self._due.get(ike_id) != at
            sa = self._registry.sas.get(ike_id)
            current = None if outdated or sa is None else deadline(sa)
            if current == at:
                return at
            heapq.heappop(self._heap)
            if not outdated:
                self._schedule(ike_id, current)
        return None

    def pop(self, now: float) -> IkeSa | None:
        """The first one that is due, which is not looked at again until `note`."""
        while self._heap and self._heap[0][0] <= now:
            at, ike_id = heapq.heappop(self._heap)
            if self._due.get(ike_id) != at:
                continue
            self._schedule(ike_id, None)
            if ike_id in self._registry.sas:
                return self._registry.sas[ike_id]
        return None

    def note(self, sa: IkeSa) -> None:
        """Something happened to it: its deadline may be an earlier one."""
        at, known = deadline(sa), self._due.get(sa.ike_id)
        if at is not None and (known is None or at < known):
            self._schedule(sa.ike_id, at)

    def _schedule(self, ike_id: int, at: float | None) -> None:
        """Look at an IKE_SA then, and not when it was meant before."""
        self._due.pop(ike_id, None)
        if at is not None:
            self._due[ike_id] = at
            heapq.heappush(self._heap, (at, ike_id))
