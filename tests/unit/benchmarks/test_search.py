"""The search for the highest rate, on links whose capacity is known."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from benchmarks.search import TRIALS, highest


class Link:
    """Carries `capacity`; its sender can offer no more than `sender`. `asked`: every rate tried."""

    def __init__(self, capacity: float, sender: float = float("inf")) -> None:
        self.capacity = capacity
        self.sender = sender
        self.asked: list[float] = []

    def trial(self, rate: float) -> float | None:
        self.asked.append(rate)
        offered = min(rate, self.sender)
        return offered if offered <= self.capacity else None


@pytest.mark.parametrize("capacity", [2_000, 29_000, 30_000, 31_000, 70_000, 300_000])
def test_found_within_the_resolution(capacity: float) -> None:
    link = Link(capacity)
    found = highest(link.trial, 30_000, factor=1.5, resolution=1.02)
    assert capacity / 1.02 <= found <= capacity
    assert len(link.asked) < TRIALS


def test_a_good_guess_saves_trials() -> None:
    far, near = Link(70_000), Link(70_000)
    highest(far.trial, 30_000, factor=1.5, resolution=1.02)
    highest(near.trial, 69_000, factor=1.2, resolution=1.02)
    assert len(near.asked) < len(far.asked) <= 9


def test_the_sender_is_the_limit() -> None:
    link = Link(500_000, sender=100_000)
    assert highest(link.trial, 30_000, factor=1.5, resolution=1.02) == 100_000
    assert max(link.asked) < 160_000, "not tried any further"


def test_nothing_passes() -> None:
    link = Link(0)
    assert highest(link.trial, 30_000, factor=1.5, resolution=1.02) == 0
    assert len(link.asked) == TRIALS


@given(st.lists(st.booleans(), min_size=TRIALS, max_size=TRIALS))
def test_whatever_the_trials_say_it_ends_with_a_rate_that_was_passed(outcomes: list[bool]) -> None:
    passed = {0.0}
    answers = iter(outcomes)

    def trial(rate: float) -> float | None:
        if not next(answers):
            return None
        passed.add(rate)
        return rate

    assert highest(trial, 30_000, factor=1.5, resolution=1.02) == max(passed)
