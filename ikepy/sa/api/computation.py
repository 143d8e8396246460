"""What takes long is computed elsewhere: the machine says what, and goes on when it is told the result.

A message, or a request of ours, is worked on as if it had come at the moment at which everything that it
needs is at hand. Who needs a result asks `Computation` for it. What is quick is computed at once. Anything
else raises `ResultPending`, before any state has changed: the work is laid aside, an effect
(`effects.Compute`) asks for the job, and when that is done the same work begins anew, on what the IKE_SA is
then, and finds the result here. So nothing that happens meanwhile needs a thought of its own: it has simply
happened before.
"""

from __future__ import annotations

from collections.abc import Callable, Hashable
from typing import TypeVar, cast

T = TypeVar("T")
Job = Callable[[], object]  # a function of nothing but what it was made of; PeerError is a result too

QUICK = 0.001  # seconds: what takes no longer is computed at once


class ResultPending(Exception):  # noqa: N818  no error
    """The work can't go on without what `job` gives, after about `seconds`."""

    def __init__(self, name: Hashable, job: Job, seconds: float) -> None:
        super().__init__(name)
        self.name = name
        self.job = job
        self.seconds = seconds


class Computation:
    """What was computed for one message, or one request of ours.

    `patience`: seconds that a job may take at once.
    """

    __slots__ = ("_patience", "_results", "awaited")

    def __init__(self, patience: float = QUICK) -> None:
        self._patience = patience
        self._results: dict[Hashable, object] = {}
        self.awaited = False  # whether it is laid aside until a result is there

    def result(self, name: Hashable, seconds: float, prepare: Callable[[], Callable[[], T]]) -> T:
        """What the job that `prepare` makes gives, or raises; it has a name of its own within this work.

        Raises Wanted if it takes long and was not done yet.
        """
        if name not in self._results:
            job = prepare()
            if seconds > self._patience:
                raise ResultPending(name, job, seconds)
            return job()
        result = self._results[name]
        if isinstance(result, Exception):
            raise result
        return cast("T", result)

    @property
    def resumed(self) -> bool:
        """Whether it was laid aside before."""
        return bool(self._results)

    def put(self, name: Hashable, result: object) -> None:
        """A job is done: what it gave, or the exception that it raised."""
        self._results[name] = result


AT_ONCE = float("inf")  # seconds of patience
