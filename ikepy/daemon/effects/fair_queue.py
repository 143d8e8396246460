"""Jobs that wait for a CPU, in a fair order: nobody waits for all that somebody else has asked for.

Of one rank goes first whose turn began first, by a clock of what was worked on (start-time fair queueing;
Goyal, Vin and Cheng, 1996): a job's turn begins when its owner's last one was done, if that is not over yet.
"""

from __future__ import annotations

import heapq
from collections import OrderedDict, defaultdict
from collections.abc import Hashable

from ikepy.sa.api.effects import Compute, Rank

KEPT = 1024  # owners; of more, those are newcomers again that asked longest ago

Owner = tuple[Rank, Hashable]


class FairQueue:
    """Ranks one after the other; in one rank owners take turns; of one owner the oldest job goes first."""

    def __init__(self) -> None:
        self._heap: list[tuple[Rank, float, int, Compute]] = []
        self._clock: defaultdict[Rank, float] = defaultdict(float)  # seconds of work
        self._done: OrderedDict[Owner, float] = (
            OrderedDict()
        )  # when all that an owner wants is, by that clock
        self._count = 0

    def __len__(self) -> int:
        return len(self._heap)

    @property
    def owners(self) -> int:
        """How many are known."""
        return len(self._done)

    def push(self, job: Compute) -> None:
        """It waits for its turn."""
        owner = job.rank, job.owner
        begin = max(self._clock[job.rank], self._done.get(owner, 0.0))
        self._done[owner] = begin + job.seconds
        self._done.move_to_end(owner)
        self._count += 1
        heapq.heappush(self._heap, (job.rank, begin, self._count, job))
        if len(self._done) > KEPT:
            self._done.popitem(last=False)

    def pop(self) -> Compute:
        """The one whose turn it is. Raises IndexError if none waits."""
        rank, begin, _, job = heapq.heappop(self._heap)
        self._clock[rank] = begin
        if not self._heap:
            self._clock.clear()
            self._done.clear()
        return job

    def clear(self) -> None:
        """None of them is to be done."""
        self._heap.clear()
        self._clock.clear()
        self._done.clear()
