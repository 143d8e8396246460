"""ikepy.sa.auth.authenticator: steps are followed until they need no job."""

from __future__ import annotations

from functools import partial

import pytest

from ikepy.errors import LocalMisuse, PeerError
from ikepy.sa.api.computation import AT_ONCE, Computation, ResultPending
from ikepy.sa.auth.authenticator import Done, Failed, More, Pending, Step, begin, settle
from ikepy.wire.constants import NotifyType

SLOW = 1.0
MORE = More((), lambda message: Done())


def pending(step: Step, times: int) -> Step:
    """So many jobs, each of which gives the next; the last one gives `step`."""
    return step if not times else Pending(partial(pending, step, times - 1), SLOW)


@pytest.mark.parametrize("step", [Done(), MORE, Failed("why")])
def test_a_step_without_a_job_is_settled(step: Step) -> None:
    assert settle(step, Computation(), 1) is step


def test_jobs_are_followed_one_after_the_other() -> None:
    assert settle(pending(MORE, 3), Computation(AT_ONCE), 1) is MORE


def test_each_slow_job_has_a_name_of_its_own_and_its_result_is_not_asked_for_again() -> None:
    work, step, names = Computation(), pending(MORE, 3), []
    while True:
        try:
            found = settle(step, work, 1)
            break
        except ResultPending as wanted:
            names.append(wanted.name)
            assert wanted.seconds == SLOW
            work.put(wanted.name, wanted.job())
    assert found is MORE
    assert len(set(names)) == len(names) == 3


def test_what_a_job_raises_is_raised_where_its_result_is_used() -> None:
    work, step = Computation(), pending(MORE, 1)
    with pytest.raises(ResultPending) as wanted:
        settle(step, work, 1)
    work.put(wanted.value.name, PeerError(NotifyType.AUTHENTICATION_FAILED, "revoked"))
    with pytest.raises(PeerError, match="revoked"):
        settle(step, work, 1)


def test_no_method_is_done_before_the_peer_has_said_a_word() -> None:
    assert begin(pending(MORE, 1), Computation(AT_ONCE), 1) is MORE
    assert isinstance(begin(Failed("why"), Computation(), 1), Failed)
    with pytest.raises(LocalMisuse):
        begin(pending(Done(), 1), Computation(AT_ONCE), 1)


def test_a_job_of_a_former_configuration_counts_for_nothing() -> None:
    work, step = Computation(), pending(MORE, 1)
    with pytest.raises(ResultPending) as wanted:
        settle(step, work, 1)
    work.put(wanted.value.name, Done())
    assert settle(step, work, 1) == Done()
    with pytest.raises(ResultPending):
        settle(step, work, 2)
