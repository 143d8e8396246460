"""When a source of packets is read again, and when that is much."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from esp.pace import Load, Pace


def test_a_packet_now_and_then_is_read_at_once() -> None:
    pace = Pace()
    for step in range(100):
        assert not pace.read(step * 0.001, 1)
        assert pace.again_from == 0


def test_lone_packets_that_come_fast_are_left_to_gather() -> None:
    pace = Pace()
    much = [pace.read(step * 0.0001, 1) for step in range(4)]
    assert much == [False, False, False, True]
    assert pace.again_from == pytest.approx(0.0003 + 0.0005)


def test_they_gather_as_long_as_that_is_worth_it() -> None:
    pace = Pace()
    for step in range(4):
        pace.read(step * 0.0001, 1)
    assert pace.read(0.001, 10)
    assert pace.again_from == pytest.approx(0.001 + 0.0005)
    assert not pace.read(0.002, 2)
    assert pace.again_from == 0


def test_what_has_gathered_by_itself_is_read_again_at_once() -> None:
    pace = Pace()
    assert pace.read(0.0, 0)  # frames
    assert pace.again_from == 0
    for step in range(1, 5):
        pace.read(step * 0.0001, 1)
    assert pace.again_from > 0
    assert pace.read(0.001, 64)
    assert pace.again_from == 0


@given(st.lists(st.tuples(st.floats(0, 0.01), st.integers(0, 64)), max_size=200))
def test_nothing_waits_longer_than_half_a_millisecond(reads: list[tuple[float, int]]) -> None:
    pace = Pace()
    now = 1000.0
    for pause, lone in reads:
        now = max(now + pause, pace.again_from)
        pace.read(now, lone)
        assert pace.again_from <= now + 0.0005
        assert pace.quiet_from > now


def test_a_worker_is_busy_at_once_and_calm_after_a_second_without_much() -> None:
    load = Load()
    assert not load.is_over(0.0)
    assert load.change(1.0, False) is True
    load.busy = True
    assert load.change(1.5, False) is None
    assert not load.is_over(2.4)
    assert load.is_over(2.6)
    load.busy = False
    assert not load.is_over(2.7)


def test_a_change_that_could_not_be_told_is_told_again() -> None:
    load = Load()
    assert load.change(1.0, False) is True
    assert load.change(1.1, False) is True  # `busy` was not set meanwhile


def test_what_strangers_send_makes_no_worker_busy_and_ends_it_for_a_second() -> None:
    load = Load()
    assert load.change(1.0, True) is None
    assert load.change(1.5, False) is None
    assert load.change(2.1, False) is True
    load.busy = True
    assert load.change(2.2, True) is False
    load.busy = False
    assert load.change(3.0, False) is None


@given(st.lists(st.tuples(st.floats(0, 0.5), st.booleans()), max_size=200))
def test_it_changes_at_most_twice_a_second(reads: list[tuple[float, bool]]) -> None:
    load, now, told = Load(), 1000.0, []
    for pause, strange in reads:
        now += pause
        busy = load.change(now, strange)
        if busy is not None:
            load.busy = busy
            told.append(now)
    assert all(later - earlier >= 1 for earlier, later in zip(told, told[2:], strict=False))
