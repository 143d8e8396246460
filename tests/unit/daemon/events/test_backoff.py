"""How soon a device is mended again."""

from __future__ import annotations

from ikepy.daemon.events.backoff import CALM, FREE, LONGEST, Backoff


def test_a_few_changes_are_mended_at_once() -> None:
    backoff = Backoff()
    assert not any(backoff.mended(now) for now in range(FREE))
    assert backoff.due <= FREE


def test_in_a_fight_the_pauses_grow_and_it_is_told_once() -> None:
    backoff, now, told, pauses = Backoff(), 0.0, 0, []
    for _ in range(FREE + 12):
        told += backoff.mended(now)
        pauses.append(backoff.due - now)
        now = backoff.due
    assert told == 1
    assert backoff.fights
    assert pauses[FREE : FREE + 4] == [1, 2, 4, 8]
    assert pauses[-1] == LONGEST


def test_peace_ends_it() -> None:
    backoff = Backoff()
    for _ in range(FREE + 3):
        backoff.mended(0.0)
    now = backoff.due + CALM + LONGEST
    assert not backoff.mended(now)
    assert not backoff.fights
    assert backoff.due == now


def test_what_cannot_be_is_tried_with_growing_pauses() -> None:
    backoff, pauses = Backoff(), []
    for _ in range(9):
        backoff.failed(100.0)
        pauses.append(backoff.retry - 100)
    assert pauses == [1, 2, 4, 8, 16, 32, 60, 60, 60]
    backoff.mended(100.0)
    backoff.failed(100.0)
    assert backoff.retry == 101
