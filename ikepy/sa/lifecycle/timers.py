"""Finds the IKE_SA whose timer is due next, among thousands: a heap with lazy updates."""

from __future__ import annotations

import heapq

from ikepy.sa.driver.clock import deadline
from ikepy.sa.state.ike_sa import IkeSa, Registry


class Timers:
    """Deadlines of living IKE_SAs. A deadline that has moved later is corrected when the old one is due."""

    def __init__(self, registry: Registry) -> None:
        self._registry = registry
        self._heap: list[tuple[float, int]] = []  # (deadline, ike_id); outdated if not in `_due`
        self._due: dict[int, float] = {}  # ike_id -> when to check it: its deadline, or earlier

    @property
    def deadline(self) -> float | None:
        """When the first IKE_SA is due; None if none has a timer."""
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
        """Remove and return an IKE_SA to tick; its timer is off until `note`. None if none is due."""
        while self._heap and self._heap[0][0] <= now:
            at, ike_id = heapq.heappop(self._heap)
            if self._due.get(ike_id) != at:
                continue
            self._schedule(ike_id, None)
            if ike_id in self._registry.sas:
                return self._registry.sas[ike_id]
        return None

    def note(self, sa: IkeSa) -> None:
        """Take the deadline of an IKE_SA that changed, if it is earlier than the known one."""
        at, known = deadline(sa), self._due.get(sa.ike_id)
        if at is not None and (known is None or at < known):
            self._schedule(sa.ike_id, at)

    def _schedule(self, ike_id: int, at: float | None) -> None:
        """Set the time at which an IKE_SA is checked, or clear it (None)."""
        self._due.pop(ike_id, None)
        if at is not None:
            self._due[ike_id] = at
            heapq.heappush(self._heap, (at, ike_id))
