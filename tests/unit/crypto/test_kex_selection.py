"""ikepy.crypto.kex.selection: which methods are chosen together (RFC 9370 2.2.1)."""

from __future__ import annotations

from itertools import product

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ikepy.crypto.kex.selection import choose

NONE, A, B, C = range(4)
LISTS = st.lists(st.lists(st.integers(0, 4), min_size=1, max_size=4, unique=True), max_size=4)


@pytest.mark.parametrize(
    "first, additional, chosen",
    [
        ([A], [], (A,)),
        ([A, B], [[B, A]], (A, B)),
        ([A, B], [[A]], (B, A)),
        ([A], [[A]], None),
        ([A], [[A, NONE]], (A, NONE)),
        ([A], [[NONE, B]], (A, NONE)),
        ([A], [[B, C], [B]], (A, C, B)),
        ([A, B], [[A, B], [A, B]], None),
        ([A], [[NONE], [NONE]], (A, NONE, NONE)),
        ([NONE, A], [[B]], (A, B)),
        ([NONE, A], [[B, NONE]], (NONE, NONE)),
        ([NONE], [[B]], None),
        ([], [], None),
    ],
)
def test_choice(first: list[int], additional: list[list[int]], chosen: tuple[int, ...] | None) -> None:
    assert choose(first, additional) == chosen


def fits(choice: tuple[int, ...]) -> bool:
    methods = [method for method in choice if method != NONE]
    return len(methods) == len(set(methods)) and not (methods and choice[0] == NONE)


@given(LISTS.filter(bool))
def test_it_is_the_first_that_fits(lists: list[list[int]]) -> None:
    """Of all combinations in their order of preference."""
    assert choose(lists[0], lists[1:]) == next(filter(fits, product(*lists)), None)


def test_many_that_can_not_differ() -> None:
    """Without a search through all combinations."""
    every = list(range(1, 20))
    assert choose(every, [every] * 6 + [[1]]) == (2, 3, 4, 5, 6, 7, 8, 1)
    assert choose(every[:7], [every[:7]] * 7) is None
