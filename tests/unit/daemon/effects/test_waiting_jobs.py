"""Jobs that wait: strangers can't take all the threads, and what is too much is refused."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from queue import Queue

import pytest

from ikepy.daemon.effects.waiting_jobs import AT_ONCE, MOST_QUEUED, MOST_THREADS, WaitingJobs
from ikepy.sa.api.computation import Job
from ikepy.sa.api.effects import Compute, Rank

PATIENCE = 30.0  # seconds


class Bed:
    def __init__(self) -> None:
        self.told: Queue[tuple[int, object]] = Queue()
        self.gate = threading.Event()
        self.jobs = WaitingJobs(lambda job, result: self.told.put((job.ticket, result)))

    def submit(self, ticket: int, rank: Rank, job: Job | None = None) -> bool:
        return self.jobs.submit(Compute(ticket, job or self.wait, 0.01, rank, waits=True))

    def wait(self) -> bool:
        return self.gate.wait(PATIENCE)


@pytest.fixture
def bed() -> Iterator[Bed]:
    made = Bed()
    yield made
    made.gate.set()
    made.jobs.close()


def test_strangers_leave_room_for_others(bed: Bed) -> None:
    for ticket in range(AT_ONCE[Rank.STRANGER] + 5):
        assert bed.submit(ticket, Rank.STRANGER)
    assert bed.submit(100, Rank.EXPECTED, lambda: "expected")
    assert bed.told.get(timeout=PATIENCE) == (100, "expected")
    assert bed.submit(101, Rank.OURS, lambda: "ours")
    assert bed.told.get(timeout=PATIENCE) == (101, "ours")
    bed.gate.set()
    done = {bed.told.get(timeout=PATIENCE)[0] for _ in range(AT_ONCE[Rank.STRANGER] + 5)}
    assert done == set(range(AT_ONCE[Rank.STRANGER] + 5))


def test_both_ranks_of_strangers_leave_room_for_ours(bed: Bed) -> None:
    for ticket in range(MOST_THREADS):
        assert bed.submit(ticket, Rank.STRANGER)
        assert bed.submit(1000 + ticket, Rank.EXPECTED)
    assert bed.submit(100, Rank.OURS, lambda: "ours")
    assert bed.told.get(timeout=PATIENCE) == (100, "ours")
    bed.gate.set()
    done = {bed.told.get(timeout=PATIENCE)[0] for _ in range(2 * MOST_THREADS)}
    assert done == {*range(MOST_THREADS), *range(1000, 1000 + MOST_THREADS)}


def test_too_many_strangers_are_refused(bed: Bed) -> None:
    taken = sum(bed.submit(number, Rank.STRANGER) for number in range(4 * MOST_QUEUED))
    assert MOST_QUEUED <= taken <= MOST_QUEUED + AT_ONCE[Rank.STRANGER]
    assert bed.submit(1, Rank.EXPECTED)
    assert bed.submit(2, Rank.ESTABLISHED)


def test_an_exception_is_a_result(bed: Bed) -> None:
    def fail() -> None:
        raise ZeroDivisionError("a bug")

    bed.submit(1, Rank.OURS, fail)
    ticket, result = bed.told.get(timeout=PATIENCE)
    assert ticket == 1
    assert isinstance(result, ZeroDivisionError)


def test_threads_that_can_not_be_started_do_not_count(bed: Bed, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(_: threading.Thread) -> None:
        raise RuntimeError("can't start new thread")

    with monkeypatch.context() as patch:
        patch.setattr(threading.Thread, "start", full)
        for ticket in range(MOST_THREADS):
            with pytest.raises(RuntimeError):
                bed.submit(ticket, Rank.OURS, lambda: "late")
    assert bed.jobs.threads == 0
    bed.submit(100, Rank.OURS, lambda: "now")
    told = dict(bed.told.get(timeout=PATIENCE) for _ in range(MOST_THREADS + 1))
    assert told[100] == "now"


def test_a_panic_of_a_library_costs_no_thread(bed: Bed) -> None:
    class Panic(BaseException):
        pass

    def panic() -> None:
        raise Panic("in Rust")

    for ticket in range(2 * AT_ONCE[Rank.STRANGER]):
        bed.submit(ticket, Rank.STRANGER, panic)
    results = [bed.told.get(timeout=PATIENCE)[1] for _ in range(2 * AT_ONCE[Rank.STRANGER])]
    assert all(isinstance(one, RuntimeError) for one in results)
    bed.submit(100, Rank.STRANGER, lambda: "goes on")
    assert bed.told.get(timeout=PATIENCE) == (100, "goes on")


def test_what_waits_at_the_end_is_dropped(bed: Bed) -> None:
    for ticket in range(AT_ONCE[Rank.STRANGER] + 5):
        bed.submit(ticket, Rank.STRANGER)
    bed.jobs.close()
    bed.gate.set()
    assert bed.jobs.threads <= AT_ONCE[Rank.STRANGER] + 5
