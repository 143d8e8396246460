"""What of one IKE_SA waits for a result that is computed elsewhere (`work`)."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager

from ikepy.sa.api.computation import AT_ONCE, Computation, ResultPending
from ikepy.sa.api.effects import Effect

Again = Callable[[float], list[Effect]]  # works on something once more, now


class PendingJobs:
    """Work is done `at` its results, laid aside if one is wanted, and goes on when that is there."""

    def __init__(self) -> None:
        self.current = Computation(AT_ONCE)  # whatever is worked on at the moment
        self._awaited: dict[int, tuple[Computation, ResultPending, Again]] = {}  # by ticket

    @property
    def tickets(self) -> list[int]:
        """Of the results that are waited for."""
        return list(self._awaited)

    @contextmanager
    def at(self, work: Computation) -> Iterator[None]:
        """What is done meanwhile has the results of `work`, and raises Wanted for others that take long."""
        before, self.current = self.current, work
        try:
            yield
        finally:
            self.current = before

    def lay_aside(self, ticket: int, work: Computation, wanted: ResultPending, again: Again) -> None:
        """Nothing has changed yet: `again` is called when what is wanted is there."""
        work.awaited = True
        self._awaited[ticket] = work, wanted, again

    def complete(self, ticket: int, result: object, now: float) -> list[Effect]:
        """A job is done: what it gave, or the exception that it raised."""
        work, wanted, again = self._awaited.pop(ticket)
        work.put(wanted.name, result)
        work.awaited = False
        return again(now)

    def forget(self) -> None:
        """Nobody waits for any result any more."""
        self._awaited.clear()
