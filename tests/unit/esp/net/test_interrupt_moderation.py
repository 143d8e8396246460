"""When a source of packets is read again, and when that is much."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from esp.net.interrupt_moderation import BusyState, CpuYield, InterruptModeration


def test_a_packet_now_and_then_is_read_at_once() -> None:
    moderation = InterruptModeration()
    for step in range(100):
        assert not moderation.note_read(step * 0.001, 1)
        assert moderation.not_before == 0


def test_lone_packets_that_come_fast_are_left_to_gather() -> None:
    moderation = InterruptModeration()
    much = [moderation.note_read(step * 0.0001, 1) for step in range(4)]
    assert much == [False, False, False, True]
    assert moderation.not_before == pytest.approx(0.0003 + 0.0005)


def test_they_gather_as_long_as_that_is_worth_it() -> None:
    moderation = InterruptModeration()
    for step in range(4):
        moderation.note_read(step * 0.0001, 1)
    assert moderation.note_read(0.001, 10)
    assert moderation.not_before == pytest.approx(0.001 + 0.0005)
    assert not moderation.note_read(0.002, 2)
    assert moderation.not_before == 0


def test_a_busy_worker_always_lets_them_gather_which_is_not_much() -> None:
    moderation = InterruptModeration()
    for step in range(100):
        assert not moderation.note_read(step * 0.001, 1, busy=True)
        assert moderation.not_before == pytest.approx(step * 0.001 + 0.0005)
    assert not moderation.note_read(0.2, 1)
    assert moderation.not_before == 0


def test_what_has_gathered_by_itself_is_read_again_at_once() -> None:
    moderation = InterruptModeration()
    assert moderation.note_read(0.0, 0)  # frames
    assert moderation.not_before == 0
    for step in range(1, 5):
        moderation.note_read(step * 0.0001, 1)
    assert moderation.not_before > 0
    assert moderation.note_read(0.001, 64)
    assert moderation.not_before == 0


def test_the_rest_of_what_is_still_being_sent_is_left_to_gather() -> None:
    moderation = InterruptModeration()
    assert moderation.note_read(1.0, 0, unfinished=True)
    assert moderation.not_before == pytest.approx(1.0005)
    assert moderation.note_read(1.0005, 0)
    assert moderation.not_before == 0


_READS = st.tuples(st.floats(0, 0.01), st.integers(0, 64), st.booleans(), st.booleans())


@given(st.lists(_READS, max_size=200))
def test_nothing_waits_longer_than_half_a_millisecond(reads: list[tuple[float, int, bool, bool]]) -> None:
    moderation = InterruptModeration()
    now = 1000.0
    for pause, lone, busy, unfinished in reads:
        now = max(now + pause, moderation.not_before)
        moderation.note_read(now, lone, busy, unfinished)
        assert moderation.not_before <= now + 0.0005
        assert moderation.idle_from > now


def test_a_worker_is_busy_at_once_and_calm_after_a_second_without_much() -> None:
    busy_state = BusyState()
    assert not busy_state.is_over(0.0)
    assert busy_state.note_busy_read(1.0, False) is True
    busy_state.busy = True
    assert busy_state.note_busy_read(1.5, False) is None
    assert not busy_state.is_over(2.4)
    assert busy_state.is_over(2.6)
    busy_state.busy = False
    assert not busy_state.is_over(2.7)


def test_a_change_that_could_not_be_told_is_told_again() -> None:
    busy_state = BusyState()
    assert busy_state.note_busy_read(1.0, False) is True
    assert busy_state.note_busy_read(1.1, False) is True  # `busy` was not set meanwhile


def test_what_strangers_send_makes_no_worker_busy_and_ends_it_for_a_second() -> None:
    busy_state = BusyState()
    assert busy_state.note_busy_read(1.0, True) is None
    assert busy_state.note_busy_read(1.5, False) is None
    assert busy_state.note_busy_read(2.1, False) is True
    busy_state.busy = True
    assert busy_state.note_busy_read(2.2, True) is False
    busy_state.busy = False
    assert busy_state.note_busy_read(3.0, False) is None


@given(st.lists(st.tuples(st.floats(0, 0.5), st.booleans()), max_size=200))
def test_it_changes_at_most_twice_a_second(reads: list[tuple[float, bool]]) -> None:
    busy_state, now, told = BusyState(), 1000.0, []
    for pause, unauthenticated in reads:
        now += pause
        busy = busy_state.note_busy_read(now, unauthenticated)
        if busy is not None:
            busy_state.busy = busy
            told.append(now)
    assert all(later - earlier >= 1 for earlier, later in zip(told, told[2:], strict=False))


@pytest.mark.parametrize(("lone", "bulk"), [(0, True), (1, False), (15, False), (16, True), (64, True)])
def test_a_read_of_frames_or_of_many_packets_was_a_long_one(lone: int, bulk: bool) -> None:
    moderation = InterruptModeration()
    assert not moderation.bulk
    moderation.note_read(1.0, lone)
    assert moderation.bulk is bulk


def breaks_of(looks: list[tuple[float, float]]) -> list[float]:
    """What `CpuYield.after` says to looks of some length, each so bulk after the one before."""
    cpu_yield, now, found = CpuYield(), 1000.0, []
    cpu_yield.after(now, now)
    for work, look in looks:
        now += work
        found.append(cpu_yield.after(now, now + look))
        now += look + found[-1]
    return found


def test_who_never_waits_takes_a_break_of_a_twentieth() -> None:
    found = breaks_of([(0.001, 0.000001)] * 1000)
    assert set(found) == {0.0, 0.0005}
    assert sum(found) == pytest.approx(1.0 / 20, rel=0.1)


def test_who_waits_now_and_then_does_not() -> None:
    assert not any(breaks_of(([(0.001, 0.000001)] * 8 + [(0.001, 0.0001)]) * 100))


def test_what_was_long_ago_counts_for_nothing() -> None:
    """Nobody asks between two busy periods."""
    assert not any(breaks_of([(0.5, 0.000001)] * 10))
