"""ikepy.sa.admission.decay: counters that decay, in a table of bounded size."""

from __future__ import annotations

from math import e

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ikepy.sa.admission.decay import Fading


def test_a_counter_decays_to_1_by_e_in_its_memory() -> None:
    fading = Fading(10.0)
    fading.add("a", 1.0, 100.0)
    assert fading.at("a", 100.0) == 1.0
    assert fading.at("a", 110.0) == pytest.approx(1 / e)
    assert fading.at("b", 100.0) == 0.0
    assert fading.faded(2.0, 100.0, 120.0) == pytest.approx(2 / e**2)


def test_what_is_added_decays_on_its_own() -> None:
    fading = Fading(10.0)
    fading.add("a", 1.0, 0.0)
    fading.add("a", 1.0, 10.0)
    assert fading.at("a", 20.0) == pytest.approx(1 / e + 1 / e**2)


def test_what_is_taken_back_leaves_no_less_than_nothing() -> None:
    fading = Fading(10.0)
    fading.add("a", 1.0, 0.0)
    fading.add("a", -5.0, 0.0)
    fading.add("a", 1.0, 0.0)
    assert fading.at("a", 0.0) == 1.0


def test_a_negligible_level_is_none() -> None:
    fading = Fading(1.0)
    fading.add("a", 1.0, 0.0)
    assert fading.at("a", 20.0) > 0.0
    assert fading.at("a", 21.0) == 0.0


def test_those_that_were_added_to_longest_ago_make_room() -> None:
    fading = Fading(10.0, kept=3)
    for key in ("a", "b", "c", "a", "d"):
        fading.add(key, 1.0, 0.0)
    assert [fading.at(key, 0.0) for key in "abcd"] == [2.0, 0.0, 1.0, 1.0]


@given(st.lists(st.tuples(st.floats(0.1, 10), st.floats(0, 5)), max_size=20))
def test_it_is_the_sum_of_what_is_left_of_each(added: list[tuple[float, float]]) -> None:
    fading, now = Fading(7.0), 0.0
    times = []
    for amount, pause in added:
        now += pause
        fading.add("a", amount, now)
        times.append((amount, now))
    expected = sum(fading.faded(amount, since, now + 1.0) for amount, since in times)
    assert fading.at("a", now + 1.0) == pytest.approx(expected)
