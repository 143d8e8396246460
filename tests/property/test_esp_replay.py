"""The replay window against a model that remembers everything (RFC 4303 3.4.3, Appendix A2)."""

from __future__ import annotations

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from esp.packet.replay import ReplayWindow

SIZES = st.sampled_from([1, 2, 31, 32, 33, 64, 1000, 1024, 4096])


class Model:
    """What a window of `size` may accept, told from the set of all numbers ever marked."""

    def __init__(self, size: int) -> None:
        self.size = size
        self.top = 0
        self.seen: set[int] = set()

    def accepts(self, sequence: int) -> bool:
        return sequence > 0 and sequence > self.top - self.size and sequence not in self.seen

    def mark(self, sequence: int) -> None:
        self.seen.add(sequence)
        self.top = max(self.top, sequence)


def near(data: st.DataObject, top: int, size: int, highest: int) -> int:
    """A number about the window, or anywhere."""
    step = data.draw(st.one_of(st.integers(-2 * size - 2, size + 2), st.integers(-5, 5)))
    anywhere = data.draw(st.integers(0, highest))
    return data.draw(st.sampled_from([min(max(top + step, 0), highest)] * 9 + [anywhere]))


@given(SIZES, st.data())
def test_without_esn(size: int, data: st.DataObject) -> None:
    window, model = ReplayWindow(size, esn=False), Model(size)
    for _ in range(data.draw(st.integers(1, 60))):
        sequence = near(data, model.top, size, (1 << 32) - 1)
        expected = sequence if model.accepts(sequence) else None
        assert window.check(sequence) == expected
        if expected is not None and data.draw(st.booleans()):  # else its ICV was wrong
            assert window.mark(sequence)
            model.mark(sequence)
        assert window.top == model.top


@given(SIZES, st.integers(0, 5 << 32), st.data())
def test_with_esn(size: int, start: int, data: st.DataObject) -> None:
    """Whatever the sender sends less than 2^32 - size numbers ahead or within the window is understood."""
    window, model = ReplayWindow(size, esn=True), Model(size)
    if start:
        assert window.mark(start)
        model.mark(start)
    _follows_the_model(window, model, data)


@given(SIZES, st.integers(0, 5 << 32), st.data())
def test_with_a_given_right_edge(size: int, start: int, data: st.DataObject) -> None:
    """All numbers up to the edge were marked elsewhere."""
    model = Model(size)
    model.seen, model.top = set(range(max(start - size, 0) + 1, start + 1)), start
    _follows_the_model(ReplayWindow(size, True, start), model, data)


def _follows_the_model(window: ReplayWindow, model: Model, data: st.DataObject) -> None:
    size = model.size
    for _ in range(data.draw(st.integers(1, 60))):
        highest = model.top + (1 << 32) - size
        sequence = max(near(data, model.top, size, highest), model.top - size + 1, 0)
        assert window.check(sequence & 0xFFFFFFFF) == (sequence if model.accepts(sequence) else None)
        if model.accepts(sequence) and data.draw(st.booleans()):
            assert window.mark(sequence)
            model.mark(sequence)


@given(st.integers(0, 4096), st.booleans(), st.lists(st.integers(0, (1 << 32) - 1)))
def test_no_number_is_marked_twice(size: int, esn: bool, lows: list[int]) -> None:
    window = ReplayWindow(size, esn)
    marked: list[int] = []
    for low in lows + lows[::-1]:
        sequence = window.check(low)
        if sequence is not None and window.mark(sequence):
            assert sequence & 0xFFFFFFFF == low
            marked.append(sequence)
    assert size == 0 or len(set(marked)) == len(marked)


@given(
    st.sampled_from([0, 1, 32, 33, 1024]),
    st.booleans(),
    st.sampled_from([0, 5, (1 << 32) - 40, (1 << 32) + 7, (3 << 32) - 1]),
    st.lists(st.tuples(st.integers(-40, 60), st.integers(1, 50), st.booleans()), max_size=6),
)
def test_a_train_as_its_packets(size: int, esn: bool, start: int, work: list[tuple[int, int, bool]]) -> None:
    """Numbers that go on are looked at all at once: the outcome is that of one after the other, if all of
    them can be accepted."""
    start = start if esn else min(start, (1 << 32) - 40)
    batched, singly = ReplayWindow(size, esn), ReplayWindow(size, esn)
    if start:
        assert batched.mark(start)
        assert singly.mark(start)
    for step, count, some_fail in work:
        first = max(0, batched.top + step)
        lows = np.arange(first, first + count).astype(np.uint32)
        expected = [singly.check(low) for low in lows.tolist()]
        numbers = batched.check_batch(lows.astype(">u4"))
        if None in expected or len(set(expected)) < count:
            assert numbers is None
            continue
        assert numbers is not None
        assert list(numbers) == expected
        # What is below the window is taken for another number with ESN, so that its ICV is wrong.
        right = [number for number in numbers if first <= number < first + count]
        valid = numbers if len(right) == count and not some_fail else right[1:]
        batched.mark_batch(valid)
        for number in valid:
            assert singly.mark(number)
        assert batched.top == singly.top
        around = range(max(1, batched.top - size - 2), batched.top + 3)
        assert [batched.check(n & 0xFFFFFFFF) for n in around] == [
            singly.check(n & 0xFFFFFFFF) for n in around
        ]


@given(
    st.sampled_from([0, 1, 32, 1024]),
    st.booleans(),
    st.sampled_from([0, 5, (1 << 32) - 40, (1 << 32) + 7]),
    st.lists(st.integers(-40, 60), max_size=30),
)
def test_a_number_ahead_as_any_other(size: int, esn: bool, start: int, steps: list[int]) -> None:
    """The short way takes what `check` and `mark` would take too, and only what is above all before."""
    start = start if esn else min(start, (1 << 32) - 2000)
    short, long = ReplayWindow(size, esn), ReplayWindow(size, esn)
    assert start == 0 or (short.mark(start) and long.mark(start))
    for step in steps:
        low = max(0, short.top + step) & 0xFFFFFFFF
        sequence, expected = short.above_top(low), long.check(low)
        assert sequence == (expected if expected is not None and expected > long.top else None)
        if sequence is not None:
            short.advance(sequence)
            assert long.mark(sequence)
        around = range(max(1, short.top - size - 2), short.top + 3)
        assert [short.check(n & 0xFFFFFFFF) for n in around] == [long.check(n & 0xFFFFFFFF) for n in around]
