"""Log lines that strangers cause: a few of each kind from each network, the others summed up.

Without it whoever sends us packets decides how much is written, and hides what matters between it.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Iterator
from dataclasses import dataclass

from esp.limits import RateLimit
from ikepy.sa.path import Address
from ikepy.sa.source import Prefix, prefix_of

PERIOD = 10.0  # seconds between summaries
EACH = (PERIOD, 5)  # seconds between two lines of a kind from a network, after so many at once
TOGETHER = (0.1, 50)  # the same for all of them
KEPT = 1024  # kinds and networks that are known; of more, the oldest start anew
SUMMED = 20  # networks and kinds that a summary names, the noisiest
MOST_KIND = 60  # characters

Key = tuple[str, Prefix]


@dataclass(slots=True)
class _Source:
    rate: RateLimit
    suppressed: int = 0


class LogLimit:
    """Decides which of strangers' lines are written. Times are monotonic seconds."""

    def __init__(self) -> None:
        self._sources: OrderedDict[Key, _Source] = OrderedDict()
        self._together = RateLimit(*TOGETHER)
        self._forgotten = 0  # suppressed lines of sources that are known no more
        self.suppressed = 0  # ever

    def allow(self, kind: str, address: Address, now: float) -> bool:
        """Whether a line of this kind, because of `address`, is to be written; else it is summed up."""
        key = kind[:MOST_KIND], prefix_of(address)
        source = self._sources.get(key)
        if source is None:
            source = self._sources[key] = _Source(RateLimit(*EACH))
            if len(self._sources) > KEPT:
                _, oldest = self._sources.popitem(last=False)
                self._forgotten += oldest.suppressed
        self._sources.move_to_end(key)
        if source.rate.allow(now) and self._together.allow(now):
            return True
        source.suppressed += 1
        self.suppressed += 1
        return False

    def sums(self) -> Iterator[tuple[str, str]]:
        """(subject, text) of the lines that tell what was not written since the last time."""
        silent = [(key, source) for key, source in self._sources.items() if source.suppressed]
        silent.sort(key=lambda one: -one[1].suppressed)
        for (kind, prefix), source in silent[:SUMMED]:
            yield str(prefix), f"{kind}: and {source.suppressed:,} more from {prefix}"
        others = self._forgotten + sum(source.suppressed for _, source in silent[SUMMED:])
        if others:
            yield "strangers", f"and {others:,} more lines because of other networks"
        self._forgotten = 0
        for _, source in silent:
            source.suppressed = 0
