"""How soon a device is mended again."""

from __future__ import annotations

from ikepy.daemon.patience import CALM, FREE, LONGEST, Patience


def test_a_few_changes_are_mended_at_once() -> None:
    patience = Patience()
    assert not any(patience.mended(now) for now in range(FREE))
    assert patience.due <= FREE


def test_in_a_fight_the_pauses_grow_and_it_is_told_once() -> None:
    patience, now, told, pauses = Patience(), 0.0, 0, []
    for _ in range(FREE + 12):
        told += patience.mended(now)
        pauses.append(patience.due - now)
        now = patience.due
    assert told == 1
    assert patience.fights
    assert pauses[FREE : FREE + 4] == [1, 2, 4, 8]
    assert pauses[-1] == LONGEST


def test_peace_ends_it() -> None:
    patience = Patience()
    for _ in range(FREE + 3):
        patience.mended(0.0)
    now = patience.due + CALM + LONGEST
    assert not patience.mended(now)
    assert not patience.fights
    assert patience.due == now


def test_what_cannot_be_is_tried_with_growing_pauses() -> None:
    patience, pauses = Patience(), []
    for _ in range(9):
        patience.failed(100.0)
        pauses.append(patience.retry - 100)
    assert pauses == [1, 2, 4, 8, 16, 32, 60, 60, 60]
    patience.mended(100.0)
    patience.failed(100.0)
    assert patience.retry == 101
