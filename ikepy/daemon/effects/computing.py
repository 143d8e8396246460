"""Computes long jobs of the IKE machine, as key exchanges, in threads beside the event loop.

The long parts of a job release the GIL (`ikepy.crypto.kex`), so that the event loop runs meanwhile. Jobs of
peers go before those of strangers, of which only a few may wait; strangers from an address where a peer is
expected go before others. The machine bounds the jobs of peers: it has one or two an IKE_SA. A peer may have
thousands of IKE_SAs, so peers take turns. Jobs that wait for something else run apart (`WaitingJobs`).
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import threading
from collections import Counter
from collections.abc import Callable

from ikepy.daemon.effects.fair_queue import FairQueue
from ikepy.daemon.effects.waiting_jobs import WaitingJobs, as_result
from ikepy.errors import PeerError
from ikepy.sa.api.effects import Compute, Rank
from ikepy.wire.constants import NotifyType

MOST_THREADS = 4
NICE = 5  # nice value of the threads: on few CPUs the event loop and the workers go first
STRANGERS = 32  # jobs that wait, of each of their two ranks: a quarter of a second of modp4096
FEW = (Rank.EXPECTED, Rank.STRANGER)
STOPPING = 1.0  # seconds for jobs that are under way at the end

Done = Callable[[int, object], None]


class Computing:
    """Runs jobs, and calls `done(ticket, result)` in the event loop, with the exception if a job raised one.

    A stranger's job for which there is no room ends with PeerError TEMPORARY_FAILURE.
    """

    def __init__(self, done: Done, threads: int | None = None) -> None:
        self._done = done
        self._most = threads or min(MOST_THREADS, len(os.sched_getaffinity(0)))
        self._loop = asyncio.get_running_loop()
        self._threads: list[threading.Thread] = []
        self._condition = threading.Condition()
        self._jobs = FairQueue()
        self._waiting: Counter[Rank] = Counter()
        self._idle = 0
        self._waiters = WaitingJobs(self._tell)
        self._stopped = False
        self.refused = 0  # jobs of strangers for which there was no room

    def submit(self, job: Compute) -> None:
        """Queue a job, to be run in its turn."""
        with self._condition:
            if self._stopped:
                return
            if job.waits:
                if not self._waiters.submit(job):
                    self._refuse(job, "too many authentications of strangers wait")
                return
            if job.rank in FEW and self._waiting[job.rank] >= STRANGERS:
                self._refuse(job, "too many key exchanges of strangers wait")
                return
            self._waiting[job.rank] += 1
            self._jobs.push(job)
            if len(self._jobs) > self._idle and len(self._threads) < self._most:
                self._start_thread()
            self._condition.notify()

    def _refuse(self, job: Compute, why: str) -> None:
        self.refused += 1
        refusal = PeerError(NotifyType.TEMPORARY_FAILURE, why)
        self._loop.call_soon(self._deliver, job.ticket, refusal)

    def _start_thread(self) -> None:
        name = f"computing {len(self._threads)}"
        thread = threading.Thread(target=self._work, name=name, daemon=True)
        thread.start()
        self._threads.append(thread)  # not before: there may be no room for another one

    def _work(self) -> None:
        os.nice(NICE)  # Linux: of this thread alone (nice(2))
        while (job := self._next()) is not None:
            result: object
            try:
                result = job.job()
            except BaseException as error:  # an edge, as in `WaitingJobs`
                result = as_result(error)
            self._tell(job, result)

    def _tell(self, job: Compute, result: object) -> None:
        """Called in a thread: hand the result to the event loop."""
        with contextlib.suppress(RuntimeError):  # the loop is closed
            self._loop.call_soon_threadsafe(self._deliver, job.ticket, result)

    def _next(self) -> Compute | None:
        """Wait for the next job; None after `close`."""
        with self._condition:
            while not self._jobs and not self._stopped:
                self._idle += 1
                self._condition.wait()
                self._idle -= 1
            if self._stopped:
                return None
            job = self._jobs.pop()
            self._waiting[job.rank] -= 1
            return job

    def _deliver(self, ticket: int, result: object) -> None:
        if not self._stopped:
            self._done(ticket, result)

    def close(self) -> None:
        """Drop the jobs that wait, report no result any more, and end the threads."""
        with self._condition:
            self._stopped = True
            self._jobs.clear()
            self._condition.notify_all()
        self._waiters.close()
        for thread in self._threads:
            thread.join(STOPPING)
