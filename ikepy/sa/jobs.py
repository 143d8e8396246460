"""What of one IKE_SA waits for a result that is computed elsewhere (`work`)."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

from .effects import Compute, Effect, Rank
from .work import Wanted, Work

if TYPE_CHECKING:
    from .ike_sa import IkeSa

Again = Callable[[float], list[Effect]]  # works on something once more, now


class Jobs:
    """Work is done `at` its results, laid aside if one is wanted, and goes on when that is there."""

    def __init__(self, sa: IkeSa) -> None:
        self._sa = sa
        self._awaited: dict[int, tuple[Work, Wanted, Again]] = {}  # by ticket

    @contextmanager
    def at(self, work: Work) -> Iterator[None]:
        """What is done meanwhile has the results of `work`, and raises Wanted for others that take long."""
        before, self._sa.work = self._sa.work, work
        try:
            yield
        finally:
            self._sa.work = before

    def lay_aside(self, work: Work, wanted: Wanted, again: Again) -> list[Effect]:
        """Nothing has changed yet: `again` is called when what is wanted is there."""
        work.awaited = True
        ticket = self._sa.shared.compute(self._sa)
        self._awaited[ticket] = work, wanted, again
        return [Compute(ticket, wanted.job, wanted.seconds, self._rank, self._sa.path.remote.address)]

    @property
    def _rank(self) -> Rank:
        if self._sa.established_at is not None:
            return Rank.ESTABLISHED
        if self._sa.initiator:
            return Rank.OURS
        return Rank.EXPECTED if self._sa.expected else Rank.STRANGER

    def complete(self, ticket: int, result: object, now: float) -> list[Effect]:
        """A job is done: what it gave, or the exception that it raised."""
        work, wanted, again = self._awaited.pop(ticket)
        work.put(wanted.name, result)
        work.awaited = False
        return again(now)

    def forget(self) -> None:
        """Nobody waits for any result any more."""
        for ticket in self._awaited:
            self._sa.shared.computing.pop(ticket, None)
        self._awaited.clear()
