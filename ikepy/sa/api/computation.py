"""Moves slow cryptography out of the IKE machine: a job runs elsewhere, then its message is handled again.

A handler asks `Computation` for each result that it needs. A quick job runs at once. A slow one raises
`ResultPending` before any state has changed: the message (or our request) is set aside, and an
`effects.Compute` asks for the job. When that is done the handler starts over with the result at hand, on the
state that the IKE_SA has by then. So events in between need no special handling: they simply came first.
"""

from __future__ import annotations

from collections.abc import Callable, Hashable
from typing import TypeVar, cast

T = TypeVar("T")
Job = Callable[[], object]  # depends only on what it captured; PeerError is a result too

QUICK = 0.001  # seconds: a job that takes no longer runs at once
AT_ONCE = float("inf")  # seconds of patience


class ResultPending(Exception):  # noqa: N818  no error
    """The handler needs the result of `job`, which takes about `seconds`; `waits` is as in `Compute`."""

    def __init__(self, name: Hashable, job: Job, seconds: float, *, waits: bool = False) -> None:
        super().__init__(name)
        self.name = name
        self.job = job
        self.seconds = seconds
        self.waits = waits


class Computation:
    """The results computed for one message, or one request of ours.

    `patience`: seconds that a job may take and still run at once.
    """

    __slots__ = ("_patience", "_results", "awaited")

    def __init__(self, patience: float = QUICK) -> None:
        self._patience = patience
        self._results: dict[Hashable, object] = {}
        self.awaited = False  # whether its message is set aside until a result is there

    def result(
        self, name: Hashable, seconds: float, prepare: Callable[[], Callable[[], T]], *, waits: bool = False
    ) -> T:
        """Return (or raise) the result of the job that `prepare` makes; `name` is unique in this computation.

        Raises ResultPending if the job is slow, or waits, and has not run yet.
        """
        if name not in self._results:
            job = prepare()
            if seconds > self._patience or (waits and self._patience < AT_ONCE):
                raise ResultPending(name, job, seconds, waits=waits)
            return job()
        result = self._results[name]
        if isinstance(result, Exception):
            raise result
        return cast("T", result)

    @property
    def resumed(self) -> bool:
        """Whether a job has run for it already, so that its handler starts over."""
        return bool(self._results)

    def put(self, name: Hashable, result: object) -> None:
        """Store a finished job's result, or the exception that it raised."""
        self._results[name] = result
