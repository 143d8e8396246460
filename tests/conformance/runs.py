"""Every implementation in every role, under the cases that are for it.

Runs wait more than they compute, and go side by side.
"""

from __future__ import annotations

import asyncio
import errno
from collections.abc import Callable, Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import AbstractContextManager
from dataclasses import dataclass, replace
from pathlib import Path

from ikepy.lab.pair import Pair
from ikepy.probe import registry, runner, sets
from ikepy.probe.listen.trigger import Trigger
from ikepy.probe.registry import Case, Role
from ikepy.probe.runner import Result
from ikepy.probe.target import Target
from ikepy.probe.verdict import Verdict
from tests.conformance import set_ups
from tests.conformance.initiators import KINDS
from tests.conformance.set_ups import Started
from tests.interop import probing
from tests.interop.probing import IPV4, IPV6, Family
from tests.pki import chain

SetUp = Callable[[Pair, Path, Family], AbstractContextManager[Started]]
_SIDE_BY_SIDE = 6
_TRIES = 30


@dataclass(frozen=True, slots=True)
class Run:
    """One implementation under the cases `pattern`. `set_up`: of a responder; an initiator has None."""

    implementation: str
    pattern: str
    family: Family
    set_up: SetUp | None = None

    @property
    def version(self) -> str:
        """The IP version's name."""
        return "IPv4" if self.family is IPV4 else "IPv6"

    @property
    def role(self) -> Role:
        """Of the implementation."""
        return "initiator" if self.set_up is None else "responder"

    @property
    def name(self) -> str:
        """Among those of the implementation."""
        return f"{self.pattern}, {self.version}"


RUNS = (
    *(Run("ikepy", "SGW.R.*", family, set_ups.ikepy) for family in (IPV4, IPV6)),
    *(Run("ikepy", "SGW.I.*", family) for family in (IPV4, IPV6)),
    Run("ikepy", "IKEPY.*", IPV4, set_ups.ikepy_extensions),
    Run("ikepy", "IKEPY.I.*", IPV4),
    *(Run("strongswan", "SGW.R.*", family, set_ups.charon) for family in (IPV4, IPV6)),
    *(Run("strongswan", "SGW.I.*", family) for family in (IPV4, IPV6)),
    Run("strongswan", "IKEPY.*", IPV4, set_ups.charon_extensions),
    Run("strongswan", "IKEPY.I.*", IPV4),
    *(Run("libreswan", "SGW.R.*", family, set_ups.pluto) for family in (IPV4, IPV6)),
    *(Run("libreswan", "SGW.I.*", family) for family in (IPV4, IPV6)),
    Run("libreswan", "IKEPY.*", IPV4, set_ups.pluto_extensions),
    Run("libreswan", "IKEPY.I.*", IPV4),
)


@dataclass(frozen=True, slots=True)
class Done:
    """A run that is over: how it saw the implementation, its results in the cases' order, and the log."""

    run: Run
    target: Target
    results: list[Result]
    log: str


def run_all(runs: Sequence[Run], prefix: str, files: Path) -> Iterable[Done]:
    """All of them, side by side, in their order; namespaces are called `prefix`..."""
    sets.load()
    chain()  # one for all: several threads would make several
    with ThreadPoolExecutor(_SIDE_BY_SIDE) as pool:
        jobs = [
            pool.submit(_run, one, f"{prefix}{number}-", files / f"{number}-{one.implementation}")
            for number, one in enumerate(runs)
        ]
        for job in jobs:
            yield job.result()


async def _judge(cases: Sequence[Case], target: Target, trigger: Trigger | None) -> list[Result]:
    """A fail counts if it comes twice: a machine that is busy makes late answers."""
    results = await _when_free(cases, target, trigger)
    failed = [one.case for one in results if one.verdict in (Verdict.FAIL, Verdict.INCONCLUSIVE)]
    again = {one.case.id: one for one in await _when_free(failed, target, trigger)}
    return [again.get(one.case.id, one) for one in results]


async def _when_free(cases: Sequence[Case], target: Target, trigger: Trigger | None) -> list[Result]:
    """A process that another run begins has our closed sockets until it is what it is to be."""
    for _ in range(_TRIES):
        try:
            return await runner.run(cases, target, initiator=trigger)
        except OSError as error:
            if error.errno != errno.EADDRINUSE:
                raise
            await asyncio.sleep(0.1)
    return await runner.run(cases, target, initiator=trigger)


def _run(one: Run, prefix: str, files: Path) -> Done:
    cases = registry.cases((one.pattern,), one.role)

    def judge(ends: Pair, target: Target, trigger: Trigger | None = None) -> list[Result]:
        return ends.left.inside(lambda: asyncio.run(_judge(cases, target, trigger)))

    with Pair(prefix) as ends:
        if one.set_up is not None:
            with one.set_up(ends, files, one.family) as started:
                results = judge(ends, started.target)
                return Done(one, started.target, results, started.daemon.log())
        target = probing.target(one.family)
        target = target.but(limits=replace(target.limits, repeat_s=6.0))
        if one.implementation == "libreswan":
            target = target.but(remote_host=None)
        initiator = KINDS[one.implementation](ends.right, files, one.family)
        try:
            return Done(one, target, judge(ends, target, initiator), initiator.log())
        finally:
            initiator.stop()
