"""A queue of jobs that shares the CPU fairly among their owners (start-time fair queueing).

Each job has a start tag in virtual time: the end of its owner's job before it, but not before the start tag
of the job that was taken last. The job with the smallest start tag is taken first (Goyal, Vin and Cheng,
1996).
"""

from __future__ import annotations

import heapq
from collections import OrderedDict, defaultdict
from collections.abc import Hashable

from ikepy.sa.api.effects import Compute, Rank

KEPT = 1024  # owners that are remembered; of more, those that asked longest ago count as new

Owner = tuple[Rank, Hashable]


class FairQueue:
    """A lower rank always goes first; within a rank owners share fairly; an owner's jobs keep their order."""

    def __init__(self) -> None:
        self._heap: list[tuple[Rank, float, int, Compute]] = []
        self._clock: defaultdict[Rank, float] = defaultdict(float)  # virtual time: seconds of work
        self._done: OrderedDict[Owner, float] = OrderedDict()  # virtual time at which an owner's jobs end
        self._count = 0

    def __len__(self) -> int:
        return len(self._heap)

    @property
    def owners(self) -> int:
        """How many owners are remembered."""
        return len(self._done)

    def push(self, job: Compute) -> None:
        """Let a job wait for its turn."""
        owner = job.rank, job.owner
        begin = max(self._clock[job.rank], self._done.get(owner, 0.0))
        self._done[owner] = begin + job.seconds
        self._done.move_to_end(owner)
        self._count += 1
        heapq.heappush(self._heap, (job.rank, begin, self._count, job))
        if len(self._done) > KEPT:
            self._done.popitem(last=False)

    def pop(self) -> Compute:
        """Remove and return the job whose turn it is. Raises IndexError if none waits."""
        rank, begin, _, job = heapq.heappop(self._heap)
        self._clock[rank] = begin
        if not self._heap:
            self._clock.clear()
            self._done.clear()
        return job

    def clear(self) -> None:
        """Drop all jobs."""
        self._heap.clear()
        self._clock.clear()
        self._done.clear()
