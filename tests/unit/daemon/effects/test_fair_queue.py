"""In which order jobs are worked on: by rank, and in one rank each owner has its turn."""

from __future__ import annotations

import pytest

from ikepy.daemon.effects.fair_queue import KEPT, FairQueue
from ikepy.sa.api.effects import Compute, Rank


def push(queue: FairQueue, owner: str, seconds: float = 0.01, rank: Rank = Rank.ESTABLISHED) -> None:
    queue.push(Compute(0, lambda: None, seconds, rank, owner))


def order(queue: FairQueue, count: int | None = None) -> str:
    return "".join(str(queue.pop().owner) for _ in range(len(queue) if count is None else count))


def test_who_asks_for_much_does_not_keep_others_waiting() -> None:
    queue = FairQueue()
    for _ in range(1000):
        push(queue, "a")
    assert order(queue, 100) == 100 * "a"
    push(queue, "b")
    assert "b" in order(queue, 2)
    for owner in "ccdd":
        push(queue, owner)
    assert sorted(order(queue, 6)) == list("aaccdd")


def test_turns_are_as_long_as_their_jobs() -> None:
    queue = FairQueue()
    for _ in range(4):
        push(queue, "a", 0.03)
    for _ in range(9):
        push(queue, "b", 0.01)
    assert order(queue, 8).count("b") == 6


def test_nobody_saves_up_turns() -> None:
    queue = FairQueue()
    for _ in range(100):
        push(queue, "a")
    order(queue, 50)
    for _ in range(10):
        push(queue, "b")
    assert order(queue, 10).count("b") in (5, 6)


def test_ranks_go_first() -> None:
    queue = FairQueue()
    for owner, rank in (("s", Rank.STRANGER), ("o", Rank.OURS), ("e", Rank.ESTABLISHED)):
        push(queue, owner, rank=rank)
        push(queue, owner, rank=rank)
    assert order(queue) == "eeooss"
    with pytest.raises(IndexError):
        queue.pop()


def test_one_owner_s_jobs_keep_their_order() -> None:
    queue = FairQueue()
    for ticket in range(50):
        queue.push(Compute(ticket, lambda: None, 0.01, Rank.ESTABLISHED, "a"))
    assert [queue.pop().ticket for _ in range(50)] == list(range(50))


def test_many_owners_cost_no_memory() -> None:
    queue = FairQueue()
    push(queue, "x", 1e6)
    push(queue, "x")
    for number in range(10 * KEPT):
        push(queue, f"{number}", 0.001)
        queue.pop()
    assert queue.owners <= KEPT
    queue.clear()
    assert not queue
    assert not queue.owners
