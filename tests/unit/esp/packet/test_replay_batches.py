"""esp.packet.replay: numbers that come together, and lone ones ahead, against a window that remembers
everything."""

from __future__ import annotations

import random
from collections.abc import Sequence

import numpy as np
import pytest

from esp.packet.replay import ReplayWindow

LAST = (1 << 64) - 1
SIZES = [1, 2, 3, 64, 100, 4096]


class Plain:
    """RFC 4303 3.4.3 as it stands there: a set of all numbers that were ever taken. Without ESN."""

    def __init__(self, size: int) -> None:
        self._size = size
        self._taken = {0}
        self.top = 0

    def accepts(self, number: int) -> bool:
        return number > self.top - self._size and number not in self._taken if self._size else True

    def take(self, numbers: Sequence[int]) -> None:
        self._taken.update(numbers)
        self.top = max(self.top, *numbers)


def lows(numbers: Sequence[int]) -> np.ndarray[tuple[int], np.dtype[np.uint32]]:
    return np.array([number & 0xFFFFFFFF for number in numbers], np.uint32)


def accept(window: ReplayWindow, numbers: Sequence[int]) -> list[int] | None:
    found = window.check_batch(lows(numbers))
    if found is None:
        return None
    window.mark_batch(found)
    return list(found)


def taken(window: ReplayWindow, first: int, last: int) -> list[int]:
    return [number for number in range(first, last + 1) if window.check(number) is None]


@pytest.mark.parametrize("size", SIZES)
@pytest.mark.parametrize("first", [1, 2, 63, 64, 65, 1000])
@pytest.mark.parametrize("count", [1, 2, 63, 64, 65, 130, 286])
def test_numbers_that_follow_each_other(size: int, first: int, count: int) -> None:
    window, plain = ReplayWindow(size, False), Plain(size)
    batch = range(first, first + count)
    assert accept(window, batch) == list(batch)
    plain.take(batch)
    assert window.top == plain.top
    assert taken(window, 0, first + count + 5) == [
        n for n in range(first + count + 6) if not plain.accepts(n)
    ]


@pytest.mark.parametrize("size", SIZES)
@pytest.mark.parametrize("seed", range(20))
def test_whatever_comes_is_taken_once(size: int, seed: int) -> None:
    """Batches in order and in none, with gaps, repetitions and late ones, and single packets between them."""
    chance = random.Random(f"{size} {seed}")
    window, plain = ReplayWindow(size, False), Plain(size)
    at = 0
    for _ in range(60):
        count, step = chance.randint(1, 40), chance.choice([1, 1, 1, 2])
        first = max(at + chance.choice([1, 1, 1, 0, -3, -count, 5, size, 2 * size]), 0)
        numbers = list(range(first, first + count * step, step))
        if chance.random() < 0.3:
            chance.shuffle(numbers)
        if chance.random() < 0.2:
            numbers[-1] = numbers[0]
        right = all(map(plain.accepts, numbers)) and len(set(numbers)) == len(numbers)
        found = window.check_batch(lows(numbers))
        assert (found is not None) is right
        if found is not None:
            assert list(found) == numbers
            kept = [number for number in found if chance.random() < 0.8] if chance.random() < 0.3 else found
            window.mark_batch(kept)
            if kept:
                plain.take(kept)
        else:
            for number in numbers:
                right = plain.accepts(number)
                assert (window.check(number) is not None) is right
                if right:
                    assert window.mark(number)
                    plain.take([number])
        assert window.top == plain.top
        at = window.top
    edge = range(max(at - size - 3, 0), at + 3)
    assert taken(window, edge[0], edge[-1]) == [number for number in edge if not plain.accepts(number)]


@pytest.mark.parametrize("size", [0, 64])
def test_nothing_is_marked_of_no_valid_packet(size: int) -> None:
    window = ReplayWindow(size, False)
    window.mark_batch([])
    assert window.top == 0
    assert window.check(1) == 1


def test_without_a_window_a_train_moves_the_top_only() -> None:
    window = ReplayWindow(0, False)
    assert accept(window, [5, 6, 7]) == [5, 6, 7]
    assert accept(window, [5, 6, 7]) == [5, 6, 7], "replays come through"
    assert accept(window, [7, 7]) is None, "but not in one batch"
    assert window.top == 7
    assert accept(window, [2, 1]) == [2, 1]
    assert window.top == 7


def test_a_slot_keeps_the_highest_of_its_numbers() -> None:
    """Not in order: 70 and 6 share a slot of 64."""
    window = ReplayWindow(64, False)
    window.mark_batch([70, 6])
    assert window.check(70) is None
    window.mark_batch([8, 9, 72])
    assert window.check(72) is None
    assert window.check(9) is None


@pytest.mark.parametrize("size", [0, 64])
def test_a_train_over_the_edge_of_32_bits(size: int) -> None:
    window = ReplayWindow(size, True)
    assert window.mark((1 << 32) - 3)
    batch = range((1 << 32) - 2, (1 << 32) + 4)
    assert accept(window, batch) == list(batch)
    assert window.top == (1 << 32) + 3
    if size:
        assert accept(window, [(1 << 32) + 3, (1 << 32) + 4]) is None
    assert window.check(4) == (1 << 32) + 4


def test_with_esn_a_first_number_below_the_window_is_one_far_ahead() -> None:
    """The others of its batch are not, so each is checked by itself."""
    window = ReplayWindow(64, True)
    window.mark(1000)
    found = window.check_batch(lows([936, 937, 938]))
    assert found is not None
    assert list(found) == [(1 << 32) + 936, 937, 938]


def test_without_esn_numbers_end_at_32_bits() -> None:
    window = ReplayWindow(64, False)
    assert accept(window, [0xFFFFFFFE, 0xFFFFFFFF]) == [0xFFFFFFFE, 0xFFFFFFFF]
    assert accept(window, [0, 1]) is None
    assert window.above_top(1) is None


@pytest.mark.parametrize("size", [0, 1, 64])
def test_ahead(size: int) -> None:
    window = ReplayWindow(size, False)
    assert window.above_top(0) is None
    assert window.above_top(1) == 1
    assert window.top == 0, "nothing was marked"
    window.advance(5)
    assert (window.top, window.above_top(5), window.above_top(4), window.above_top(6)) == (5, None, None, 6)
    assert (window.check(5) is None) is bool(size)


@pytest.mark.parametrize("size", [0, 64])
def test_ahead_with_esn(size: int) -> None:
    window = ReplayWindow(size, True)
    window.advance((1 << 32) - 10)
    assert window.above_top(0xFFFFFFFF) == 0xFFFFFFFF
    assert window.above_top(3) == (1 << 32) + 3
    window.advance((1 << 32) + 3)
    assert window.above_top(3) is None
    assert window.above_top(0xFFFFFFFF) is None


@pytest.mark.parametrize("size", [1, 64])
def test_the_very_last_number(size: int) -> None:
    window = ReplayWindow(size, True)
    window.advance(LAST - 1)
    assert window.check(0xFFFFFFFF) == LAST
    assert window.above_top(0xFFFFFFFF) == LAST
    window.advance(LAST)
    assert window.check(0xFFFFFFFF) is None
    assert window.above_top(0xFFFFFFFF) is None
    assert window.above_top(0) is None


def test_marking_tells_whether_it_was_new() -> None:
    window = ReplayWindow(64, False)
    assert window.mark(100)
    assert window.mark(37)
    assert not window.mark(36), "left of the window"
    assert not window.mark(37)
    assert window.top == 100


def test_half_of_the_numbers_are_behind_without_a_window() -> None:
    window = ReplayWindow(0, True)
    window.mark(5 << 32)
    assert window.check((1 << 31) - 1) == (5 << 32) + (1 << 31) - 1
    assert window.check(1 << 31) == (5 << 32) + (1 << 31)
    assert window.check((1 << 31) + 1) == (4 << 32) + (1 << 31) + 1
