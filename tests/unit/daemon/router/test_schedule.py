"""When advertisements are sent, in virtual time."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from ikepy.daemon.router.schedule import (
    BURST,
    LAST_WORDS,
    MAX_DELAY,
    MAX_FINAL_ADVERTISEMENTS,
    MAX_INITIAL_INTERVAL,
    MIN_DELAY_BETWEEN_RAS,
    Phase,
    Schedule,
)

INTERVALS = (198.0, 600.0)


class Run:
    """A schedule, and what it sent: (time, phase)."""

    def __init__(self, chance: float = 0.5) -> None:
        self.schedule = Schedule(INTERVALS, lambda: chance)
        self.now = 1000.0
        self.sent: list[tuple[float, Phase]] = []

    def until(self, end: float) -> None:
        """Send what is due up to `end`."""
        while (due := self.schedule.deadline) is not None and due <= end:
            self.now = max(self.now, due)
            self.sent.append((self.now, self.schedule.phase))
            self.schedule.sent(self.now)
        self.now = end

    def times(self) -> list[float]:
        return [round(at - 1000.0, 3) for at, _ in self.sent]


def test_the_first_at_once_then_initial_then_random_intervals() -> None:
    run = Run()
    run.schedule.announce(run.now)
    run.until(2300)
    assert run.times() == [0, 16, 32, 431, 830, 1229]


def test_intervals_are_within_their_bounds() -> None:
    for chance, interval in ((0.0, INTERVALS[0]), (0.25, 298.5), (1.0, INTERVALS[1])):
        run = Run(chance)
        run.schedule.announce(run.now)
        run.until(3000)
        steps = [late - early for early, late in zip(run.times()[2:], run.times()[3:], strict=False)]
        assert set(steps) == {interval}


def test_three_final_ones_then_silence() -> None:
    run = Run()
    run.schedule.announce(run.now)
    run.until(1100)
    run.schedule.withdraw(run.now)
    run.until(5000)
    final = [at - 1100 for at, phase in run.sent if phase is Phase.CEASING]
    assert final == [0, MIN_DELAY_BETWEEN_RAS, 2 * MIN_DELAY_BETWEEN_RAS]
    assert (run.schedule.phase, run.schedule.deadline) == (Phase.SILENT, None)


def test_withdrawn_at_once_though_one_was_just_sent_and_again_announced() -> None:
    run = Run()
    run.schedule.announce(run.now)
    run.until(1000.5)
    run.schedule.withdraw(run.now)
    run.until(1001)
    run.schedule.announce(run.now)
    run.until(1001.2)
    assert run.sent == [
        (1000, Phase.ANNOUNCING),
        (1000.5, Phase.CEASING),
        (1001, Phase.ANNOUNCING),
    ]


def test_a_tunnel_that_flaps_without_end_is_followed_at_the_rfcs_rate() -> None:
    run = Run()
    for turn in range(300):
        (run.schedule.withdraw if turn % 2 else run.schedule.announce)(run.now)
        run.until(run.now + 0.1)
    assert len(run.sent) <= 2 * (BURST + 30 / MIN_DELAY_BETWEEN_RAS + 1)
    announcing = [phase for _, phase in run.sent]
    assert announcing.count(Phase.ANNOUNCING) <= BURST + 30 / MIN_DELAY_BETWEEN_RAS + 1


def test_what_stands_is_withdrawn_at_once_whatever_was_before() -> None:
    run = Run()
    for _ in range(20):
        run.schedule.announce(run.now)
        run.until(run.now + MIN_DELAY_BETWEEN_RAS)
        run.schedule.withdraw(run.now)
        assert run.schedule.deadline == run.now
        run.until(run.now)


def test_the_end_waits_for_nothing() -> None:
    run = Run()
    run.schedule.announce(run.now)
    run.until(1010)
    run.schedule.end(run.now)
    run.until(1011)
    final = [round(at - 1010, 3) for at, phase in run.sent if phase is Phase.CEASING]
    assert final == [0, LAST_WORDS, 2 * LAST_WORDS]


def test_the_end_hastens_a_withdrawal() -> None:
    run = Run()
    run.schedule.announce(run.now)
    run.until(1010)
    run.schedule.withdraw(run.now)
    run.until(1011)
    run.schedule.end(run.now)
    run.until(1012)
    assert len([1 for _, phase in run.sent if phase is Phase.CEASING]) == MAX_FINAL_ADVERTISEMENTS


def test_the_end_of_what_is_silent_is_silent() -> None:
    run = Run()
    run.schedule.end(run.now)
    assert run.schedule.deadline is None


def test_solicitations_are_answered_after_a_delay_and_once() -> None:
    run = Run(0.5)
    run.schedule.announce(run.now)
    run.until(1050)
    before = len(run.sent)
    for _ in range(1000):
        run.schedule.solicited(run.now)
    assert run.schedule.answering
    run.until(1060)
    assert [at for at, _ in run.sent[before:]] == [1050 + 0.5 * MAX_DELAY]
    assert not run.schedule.answering


def test_an_answer_waits_for_the_least_delay_between_two() -> None:
    run = Run(0.5)
    run.schedule.announce(run.now)
    run.until(1033)  # the last one was sent at 1032
    run.schedule.solicited(run.now)
    assert run.schedule.deadline == 1032 + MIN_DELAY_BETWEEN_RAS + 0.5 * MAX_DELAY


def test_an_answer_does_not_put_off_what_is_due_before() -> None:
    run = Run(1.0)
    run.schedule.announce(run.now)
    run.until(1000)
    run.until(1015.9)
    run.schedule.solicited(run.now)
    assert run.schedule.deadline == 1000 + MAX_INITIAL_INTERVAL


def test_nobody_is_answered_without_a_tunnel() -> None:
    run = Run()
    run.schedule.solicited(run.now)
    assert run.schedule.deadline is None
    run.schedule.announce(run.now)
    run.schedule.withdraw(run.now)
    run.schedule.solicited(run.now)
    assert not run.schedule.answering


def test_a_change_is_told_three_times() -> None:
    run = Run()
    run.schedule.announce(run.now)
    run.until(1300)
    before = len(run.sent)
    run.schedule.change(run.now)
    run.until(1320)
    assert [at - 1300 for at, _ in run.sent[before:]] == [0, 3, 6]
    assert not run.schedule.emphatic


def test_a_link_that_is_back_hears_it_as_at_the_beginning() -> None:
    run = Run()
    run.schedule.announce(run.now)
    run.until(1300)
    before = len(run.sent)
    run.schedule.link_is_back(run.now)
    run.until(1340)
    assert [at - 1300 for at, _ in run.sent[before:]] == [0, 16, 32]


@given(st.lists(st.tuples(st.sampled_from("awscl"), st.floats(0, 20)), max_size=60), st.floats(0, 1))
def test_laws(turns: list[tuple[str, float]], chance: float) -> None:
    """Whatever happens: a rate is held, and a silent schedule sends nothing."""
    run = Run(chance)
    schedule = run.schedule
    calls = {
        "a": schedule.announce,
        "w": schedule.withdraw,
        "s": schedule.solicited,
        "c": schedule.change,
        "l": schedule.link_is_back,
    }
    for name, pause in turns:
        calls[name](run.now)
        run.until(run.now + pause)
        assert (schedule.phase is Phase.SILENT) == (schedule.deadline is None)
    assert all(phase is not Phase.SILENT for _, phase in run.sent)
    times = [at for at, _ in run.sent]
    for first in range(len(times)):
        for last in range(first, len(times)):
            count = last - first + 1
            pauses = (times[last] - times[first]) / MIN_DELAY_BETWEEN_RAS
            assert count <= 2 * (BURST + 1 + pauses) + 1e-6
