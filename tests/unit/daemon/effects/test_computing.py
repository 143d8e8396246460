"""Jobs beside the event loop: whose goes first, how many may wait, and what is told."""

from __future__ import annotations

import asyncio
import os
import threading
from collections.abc import Awaitable, Callable

import pytest

from ikepy.daemon.effects.computing import NICE, STRANGERS, Computing
from ikepy.errors import PeerError
from ikepy.sa.api.computation import Job
from ikepy.sa.api.effects import Compute, Rank
from ikepy.wire.constants import NotifyType


class Bed:
    """One thread, whose first job lasts until it is let go."""

    def __init__(self) -> None:
        self.told: dict[int, object] = {}
        self.gate = threading.Event()
        self.begun = threading.Event()
        self.computing = Computing(self.told.__setitem__, threads=1)

    def submit(self, ticket: int, job: Job, rank: Rank = Rank.ESTABLISHED) -> None:
        self.computing.submit(Compute(ticket, job, 0.01, rank))

    def occupy(self) -> None:
        def wait() -> None:
            self.begun.set()
            self.gate.wait(5)

        self.submit(0, wait)
        self.begun.wait(5)

    async def until(self, count: int) -> None:
        async with asyncio.timeout(5):
            while len(self.told) < count:  # noqa: ASYNC110  what fills it is under test
                await asyncio.sleep(0.001)


def run(scenario: Callable[[Bed], Awaitable[None]]) -> Bed:
    async def inside() -> Bed:
        bed = Bed()
        try:
            await scenario(bed)
        finally:
            bed.gate.set()
            bed.computing.close()
        return bed

    return asyncio.run(inside())


def test_peers_before_our_set_ups_before_strangers() -> None:
    async def scenario(bed: Bed) -> None:
        bed.occupy()
        order = [Rank.STRANGER, Rank.OURS, Rank.ESTABLISHED, Rank.STRANGER, Rank.ESTABLISHED, Rank.EXPECTED]
        for ticket, rank in enumerate(order, 1):
            bed.submit(ticket, lambda: None, rank)
        bed.gate.set()
        await bed.until(7)

    assert list(run(scenario).told) == [0, 3, 5, 2, 6, 1, 4]


def test_results_and_exceptions_are_told_in_the_loop() -> None:
    threads: set[str] = set()

    async def scenario(bed: Bed) -> None:
        def fail() -> None:
            threads.add(threading.current_thread().name)
            raise ZeroDivisionError("a bug")

        bed.submit(1, lambda: "result")
        bed.submit(2, fail)
        await bed.until(2)
        assert bed.told[1] == "result"
        assert isinstance(bed.told[2], ZeroDivisionError)

    run(scenario)
    assert threads == {"computing 0"}


@pytest.mark.parametrize("rank", [Rank.EXPECTED, Rank.STRANGER])
def test_strangers_have_few_places_and_peers_as_many_as_they_need(rank: Rank) -> None:
    async def scenario(bed: Bed) -> None:
        bed.occupy()
        for ticket in range(1, STRANGERS + 4):
            bed.submit(ticket, lambda: "computed", rank)
        for ticket in range(1000, 1000 + 10 * STRANGERS):
            bed.submit(ticket, lambda: "computed", Rank.OURS)
        other = Rank.STRANGER if rank is Rank.EXPECTED else Rank.EXPECTED
        bed.submit(999, lambda: "computed", other)
        await bed.until(3)
        for ticket in range(STRANGERS + 1, STRANGERS + 4):
            refused = bed.told.pop(ticket)
            assert isinstance(refused, PeerError)
            assert refused.notify == NotifyType.TEMPORARY_FAILURE
        assert bed.computing.refused == 3
        bed.gate.set()
        await bed.until(2 + 11 * STRANGERS)
        del bed.told[0]
        assert set(bed.told.values()) == {"computed"}
        bed.submit(5000, lambda: "computed", rank)  # there is room again
        await bed.until(11 * STRANGERS + 2)

    run(scenario)


def test_the_loop_has_its_rounds_meanwhile() -> None:
    async def scenario(bed: Bed) -> None:
        bed.occupy()
        for _ in range(100):
            await asyncio.sleep(0)
        assert not bed.told

    run(scenario)


def test_nothing_is_told_after_the_end() -> None:
    async def scenario(bed: Bed) -> None:
        bed.occupy()
        bed.submit(1, lambda: None)
        threading.Timer(0.05, bed.gate.set).start()
        bed.computing.close()  # waits for the one that is under way
        bed.submit(2, lambda: None)
        await asyncio.sleep(0.05)
        assert not bed.told

    run(scenario)
    assert not [one for one in threading.enumerate() if one.name.startswith("computing")]


def test_threads_that_can_not_be_started_do_not_count(monkeypatch: pytest.MonkeyPatch) -> None:
    def full(_: threading.Thread) -> None:
        raise RuntimeError("can't start new thread")

    async def scenario(bed: Bed) -> None:
        with monkeypatch.context() as patch, pytest.raises(RuntimeError):
            patch.setattr(threading.Thread, "start", full)
            bed.submit(1, lambda: "late")
        bed.submit(2, lambda: "now")
        await bed.until(2)

    assert run(scenario).told == {1: "late", 2: "now"}


def test_a_panic_of_a_library_costs_no_thread() -> None:
    class Panic(BaseException):
        """As a library in Rust raises it."""

    def panic() -> None:
        raise Panic

    async def scenario(bed: Bed) -> None:
        bed.submit(1, panic)
        bed.submit(2, lambda: "the next")
        await bed.until(2)

    told = run(scenario).told
    assert isinstance(told[1], RuntimeError) and told[2] == "the next"


def test_threads_stand_behind_the_loop() -> None:
    """Only they: the process itself keeps its priority. None is there before there is something to do."""
    before = os.getpriority(os.PRIO_PROCESS, 0)

    async def scenario(bed: Bed) -> None:
        assert not [one for one in threading.enumerate() if one.name.startswith("computing")]
        bed.submit(1, lambda: os.getpriority(os.PRIO_PROCESS, threading.get_native_id()))
        await bed.until(1)

    assert run(scenario).told[1] == min(before + NICE, 19)
    assert os.getpriority(os.PRIO_PROCESS, 0) == before
