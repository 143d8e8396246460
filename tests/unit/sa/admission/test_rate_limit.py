"""ikepy.sa.admission.rate_limit: a token bucket, and an exponential backoff."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ikepy.sa.admission.rate_limit import Backoff, Rate

# -- token bucket ----------------------------------------------------------------------------------


def test_a_burst_of_one_seconds_worth_and_then_the_rate() -> None:
    rate = Rate(10.0)
    assert sum(rate.allow(5.0) for _ in range(100)) == 10
    assert sum(rate.allow(5.0 + number / 100) for number in range(1, 101)) == 10


def test_a_pause_earns_no_more_than_a_burst() -> None:
    rate = Rate(10.0)
    assert rate.allow(0.0)
    assert sum(rate.allow(1000.0) for _ in range(100)) == 10


def test_a_slow_rate_lets_one_pass_at_first() -> None:
    rate = Rate(0.125)
    assert [rate.allow(at) for at in (0.0, 0.0, 7.0, 8.0, 15.0, 16.0)] == [
        True,
        False,
        False,
        True,
        False,
        True,
    ]


@given(st.floats(0.1, 50), st.lists(st.floats(0, 2), min_size=1, max_size=200))
def test_no_stretch_of_time_has_more(per_second: float, pauses: list[float]) -> None:
    rate, now, passed = Rate(per_second), 0.0, []
    for pause in pauses:
        now += pause
        if rate.allow(now):
            passed.append(now)
    for index, begin in enumerate(passed):
        for number, end in enumerate(passed[index:], 1):
            assert number <= max(per_second, 1.0) + (end - begin) * per_second + 1e-6


# -- backoff ---------------------------------------------------------------------------------------


def tries(backoff: Backoff, until: float) -> list[float]:
    """The quarters of a second at which the key was permitted, if it is asked for at each."""
    return [at / 4 for at in range(int(until * 4)) if backoff.allow("key", at / 4)]


def test_waits_double_up_to_the_longest() -> None:
    assert tries(Backoff(1.0, 4.0), 20.0) == [0.0, 1.0, 3.0, 7.0, 11.0, 15.0, 19.0]


def test_keys_do_not_wait_for_each_other() -> None:
    backoff = Backoff(1.0, 4.0)
    assert backoff.allow("a", 0.0)
    assert backoff.allow("b", 0.0)
    assert not backoff.allow("a", 0.5)


@pytest.mark.parametrize(("at", "next_wait"), [(8.9, 2.0), (9.0, 1.0)])
def test_a_key_that_is_left_alone_starts_anew(at: float, next_wait: float) -> None:
    """After its wait and twice the longest one."""
    backoff = Backoff(1.0, 4.0)
    assert backoff.allow("key", 0.0)
    assert backoff.allow("key", at)
    assert not backoff.allow("key", at + next_wait - 0.1)
    assert backoff.allow("key", at + next_wait)


def test_the_oldest_keys_are_dropped() -> None:
    backoff = Backoff(1.0, 4.0)
    for key in range(Backoff.KEPT):
        assert backoff.allow(key, 0.0)
    assert not backoff.allow(0, 0.0)
    assert backoff.allow("one more", 0.0)
    assert backoff.allow(0, 0.0), "dropped, as it was tried longest ago"
    assert not backoff.allow(2, 0.0)
