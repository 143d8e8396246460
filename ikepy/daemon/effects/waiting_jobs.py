"""Runs jobs that wait for something else than the CPU: a server, another process, a file.

Each has a thread for itself, of a bounded number. Strangers have only a part of them, and only a few of their
jobs may wait for one, so that they can't take all. How long a job may wait is its own affair.
"""

from __future__ import annotations

import threading
from collections import Counter
from collections.abc import Callable

from ikepy.daemon.effects.fair_queue import FairQueue
from ikepy.sa.api.effects import Compute, Rank

MOST_THREADS = 32
# How many jobs of a rank may run at once: beside those of strangers there is always room for others'.
AT_ONCE = {Rank.ESTABLISHED: MOST_THREADS, Rank.OURS: MOST_THREADS, Rank.EXPECTED: 24, Rank.STRANGER: 16}
MOST_QUEUED = 128  # jobs of each of the two ranks of strangers that wait for a thread
FEW = (Rank.EXPECTED, Rank.STRANGER)
IDLE = 30.0  # seconds after which a thread without work ends


class WaitingJobs:
    """Runs each job in a thread, and calls `done` there with the job and its result or exception."""

    def __init__(self, done: Callable[[Compute, object], None]) -> None:
        self._done = done
        self._condition = threading.Condition()
        self._queues = {rank: FairQueue() for rank in sorted(AT_ONCE)}
        self._running: Counter[Rank] = Counter()
        self._threads = 0
        self._idle = 0
        self._stopped = False

    @property
    def threads(self) -> int:
        """How many there are now."""
        return self._threads

    def submit(self, job: Compute) -> bool:
        """Let a job run as soon as there is a thread for it. False: too many of strangers wait already."""
        with self._condition:
            if job.rank in FEW and len(self._queues[job.rank]) >= MOST_QUEUED:
                return False
            self._queues[job.rank].push(job)
            queued = sum(map(len, self._queues.values()))
            if queued > self._idle and self._threads < MOST_THREADS and not self._stopped:
                threading.Thread(target=self._work, name=f"waiting {self._threads}", daemon=True).start()
                self._threads += 1  # not before: there may be no room for another one
            self._condition.notify()
            return True

    def _work(self) -> None:
        while (job := self._next()) is not None:
            result: object
            try:
                result = job.job()
            except BaseException as error:  # an edge: the machine raises it where it waits for the result
                result = as_result(error)
            with self._condition:
                self._running[job.rank] -= 1
                self._condition.notify()
            self._done(job, result)

    def _next(self) -> Compute | None:
        """Wait for a job whose rank has room; None when the thread is not needed any more."""
        told = True
        with self._condition:
            while not self._stopped:
                for rank, queue in self._queues.items():
                    if queue and self._begun(rank) < AT_ONCE[rank]:
                        self._running[rank] += 1
                        return queue.pop()
                if not told:
                    break
                self._idle += 1
                told = self._condition.wait(IDLE)
                self._idle -= 1
            self._threads -= 1
            return None

    def _begun(self, rank: Rank) -> int:
        """How many jobs run that count for a rank: both ranks of strangers together have only their part."""
        return sum(self._running[one] for one in (FEW if rank in FEW else (rank,)))

    def close(self) -> None:
        """Drop the jobs that have not begun, and let the threads end as their jobs do."""
        with self._condition:
            self._stopped = True
            for queue in self._queues.values():
                queue.clear()
            self._condition.notify_all()


def as_result(error: BaseException) -> Exception:
    """What a job has raised. A library's panic is no Exception, and must not cost the thread."""
    return error if isinstance(error, Exception) else RuntimeError(repr(error))
