"""Steps of a method of authentication: jobs are followed to their end, and begun once."""

from __future__ import annotations

import pytest

from ikepy.errors import LocalMisuse, PeerError
from ikepy.sa.api.computation import AT_ONCE, Computation, ResultPending
from ikepy.sa.auth.authenticator import Done, Failed, More, Pending, Step, begin, settle
from ikepy.wire.constants import AuthMethod, NotifyType
from ikepy.wire.payloads import AuthPayload

DONE = Done((AuthPayload(AuthMethod.SHARED_KEY_MIC, b"proof"),))
LONG = 1.0  # seconds


def in_jobs(step: Step, jobs: int, ran: list[int]) -> Step:
    """`step` after so many jobs, one of which gives the next; each leaves its number in `ran`."""

    def job() -> Step:
        ran.append(jobs)
        return in_jobs(step, jobs - 1, ran)

    return step if jobs == 0 else Pending(job, LONG)


@pytest.mark.parametrize("step", [DONE, Failed("why")])
def test_a_step_without_jobs(step: Done | Failed) -> None:
    assert settle(step, Computation(), 1) is step


def test_jobs_that_are_computed_at_once() -> None:
    ran: list[int] = []
    assert settle(in_jobs(DONE, 3, ran), Computation(AT_ONCE), 1) is DONE
    assert ran == [3, 2, 1]


def test_a_handler_that_starts_over_runs_no_job_twice() -> None:
    """It makes its first step anew each time; what a job gave stands in the place of that."""
    ran: list[int] = []
    work = Computation()
    for _ in range(3):
        with pytest.raises(ResultPending) as caught:
            settle(in_jobs(DONE, 3, ran), work, 1)
        assert caught.value.seconds == LONG
        work.put(caught.value.name, caught.value.job())
    assert settle(in_jobs(DONE, 3, ran), work, 1) is DONE
    assert ran == [3, 2, 1]


def test_another_configuration_begins_anew() -> None:
    ran: list[int] = []
    work = Computation()
    for generation in (1, 2):
        with pytest.raises(ResultPending) as caught:
            settle(in_jobs(DONE, 1, ran), work, generation)
        work.put(caught.value.name, caught.value.job())
    assert settle(in_jobs(DONE, 1, ran), work, 2) is DONE
    assert ran == [1, 1]


def test_an_exception_of_a_job_is_raised_in_the_handler() -> None:
    work = Computation()
    step = in_jobs(DONE, 1, [])
    with pytest.raises(ResultPending) as caught:
        settle(step, work, 1)
    work.put(caught.value.name, PeerError(NotifyType.TEMPORARY_FAILURE, "no room"))
    with pytest.raises(PeerError, match="no room"):
        settle(step, work, 1)


def test_an_initiator_begins_with_a_message_or_not_at_all() -> None:
    more = More((), lambda message: DONE)
    assert begin(more, Computation(), 1) is more
    assert begin(Failed("no key"), Computation(), 1) == Failed("no key")
    with pytest.raises(LocalMisuse, match="done before"):
        begin(DONE, Computation(), 1)
