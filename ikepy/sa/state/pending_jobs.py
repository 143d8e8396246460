"""Messages and requests of one IKE_SA that wait for a job computed elsewhere (`api.computation`)."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager

from ikepy.sa.api.computation import AT_ONCE, Computation, ResultPending
from ikepy.sa.api.effects import Effect

Again = Callable[[float], list[Effect]]  # runs a handler again, at this time


class PendingJobs:
    """Runs each handler `at` its `Computation`, sets it aside when a result is pending, and resumes it."""

    def __init__(self) -> None:
        self.current = Computation(AT_ONCE)  # of the handler that runs at the moment
        self._awaited: dict[int, tuple[Computation, ResultPending, Again]] = {}  # by ticket

    @property
    def tickets(self) -> list[int]:
        """Tickets of the pending jobs."""
        return list(self._awaited)

    @contextmanager
    def at(self, work: Computation) -> Iterator[None]:
        """In this context handlers use the results of `work`, and raise ResultPending for other slow jobs."""
        before, self.current = self.current, work
        try:
            yield
        finally:
            self.current = before

    def suspend(self, ticket: int, work: Computation, wanted: ResultPending, again: Again) -> None:
        """Call `again` when the result is there; no state has changed yet."""
        work.awaited = True
        self._awaited[ticket] = work, wanted, again

    def complete(self, ticket: int, result: object, now: float) -> list[Effect]:
        """Resume with the finished job's result, or the exception that it raised."""
        work, wanted, again = self._awaited.pop(ticket)
        work.put(wanted.name, result)
        work.awaited = False
        return again(now)

    def forget(self) -> None:
        """Drop everything that waits for a result."""
        self._awaited.clear()
