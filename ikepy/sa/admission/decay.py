"""Exponentially decaying counters by key, in a table of bounded size."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Hashable
from math import exp

KEPT = 4096  # keys of one table; the least recently used are evicted
NEGLIGIBLE = 1e-9


class Fading:
    """Counters that decay to 1/e in `memory` seconds. `now` is monotonic, in seconds."""

    def __init__(self, memory: float, kept: int = KEPT) -> None:
        self._memory = memory
        self._kept = kept
        self._levels: OrderedDict[Hashable, tuple[float, float]] = OrderedDict()  # amount, and since when

    def at(self, key: Hashable, now: float) -> float:
        """What is left of all that was added under `key`; 0.0 if negligible."""
        found = self._levels.get(key)
        if found is None:
            return 0.0
        level, since = found
        left = level * exp((since - now) / self._memory)
        return left if left > NEGLIGIBLE else 0.0

    def add(self, key: Hashable, amount: float, now: float) -> None:
        """Add `amount`, which may be negative; the level never is."""
        level = self.at(key, now) + amount
        if level <= NEGLIGIBLE:
            self._levels.pop(key, None)
            return
        self._levels[key] = level, now
        self._levels.move_to_end(key)
        if len(self._levels) > self._kept:
            self._levels.popitem(last=False)

    def faded(self, amount: float, since: float, now: float) -> float:
        """What is left at `now` of an amount that was added at `since`."""
        return amount * exp((since - now) / self._memory)
