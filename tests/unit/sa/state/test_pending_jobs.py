"""ikepy.sa.state.pending_jobs and api.computation: handlers that wait for a slow result, and start over."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from ikepy.sa.api.computation import QUICK, Computation, ResultPending
from ikepy.sa.api.effects import Effect, Level, Log
from ikepy.sa.state.pending_jobs import PendingJobs

SLOW = 2 * QUICK


def answer() -> int:
    return 42


def test_a_quick_job_runs_at_once_and_a_slow_one_when_it_may() -> None:
    work = Computation()
    assert work.result("quick", QUICK, lambda: answer) == 42
    with pytest.raises(ResultPending) as pending:
        work.result("slow", SLOW, lambda: answer)
    assert (pending.value.name, pending.value.job, pending.value.seconds) == ("slow", answer, SLOW)
    assert Computation(SLOW).result("slow", SLOW, lambda: answer) == 42
    assert not work.resumed


def test_a_result_is_used_and_its_job_not_made_again() -> None:
    work = Computation()
    work.put("slow", 7)
    made: list[int] = []

    def prepare() -> Callable[[], int]:
        made.append(1)
        return answer

    assert work.result("slow", SLOW, prepare) == 7
    assert work.resumed
    assert made == []


def test_a_jobs_exception_is_raised_where_its_result_is_used() -> None:
    work = Computation()
    work.put("slow", ValueError("weak key"))
    with pytest.raises(ValueError, match="weak key"):
        work.result("slow", SLOW, lambda: answer)


def test_outside_of_a_handler_jobs_run_at_once() -> None:
    assert PendingJobs().current.result("slow", 1000.0, lambda: answer) == 42


def test_a_handler_has_its_own_results_even_within_another() -> None:
    jobs, outer, inner = PendingJobs(), Computation(), Computation()
    before = jobs.current
    with jobs.at(outer):
        with pytest.raises(KeyError), jobs.at(inner):
            assert jobs.current is inner
            raise KeyError
        assert jobs.current is outer
    assert jobs.current is before


def test_a_handler_starts_over_with_the_result() -> None:
    jobs, work = PendingJobs(), Computation()
    effect = Log(Level.INFO, "a", "done")
    calls: list[float] = []

    def again(now: float) -> list[Effect]:
        calls.append(now)
        return [effect]

    jobs.suspend(3, work, ResultPending("slow", answer, SLOW), again)
    assert (jobs.tickets, work.awaited, calls) == ([3], True, [])
    assert jobs.complete(3, 7, 5.0) == [effect]
    assert (jobs.tickets, work.awaited, calls) == ([], False, [5.0])
    assert work.result("slow", SLOW, lambda: answer) == 7


def test_what_is_forgotten_is_not_resumed() -> None:
    jobs = PendingJobs()
    jobs.suspend(3, Computation(), ResultPending("slow", answer, SLOW), lambda now: [])
    jobs.forget()
    assert jobs.tickets == []
