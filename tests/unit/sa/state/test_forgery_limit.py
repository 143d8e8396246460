"""ikepy.sa.state.forgery_limit: the peer's own messages have rates of their own."""

from __future__ import annotations

from collections.abc import Callable

from ikepy.sa.state.forgery_limit import EXPLANATIONS, REPEATS, UNPROTECTED, ForgeryLimit


def permitted(action: Callable[[], bool]) -> int:
    return sum(action() for _ in range(1000))


def test_so_many_a_second() -> None:
    limit = ForgeryLimit()
    assert permitted(lambda: limit.explains(0.0)) == EXPLANATIONS
    assert permitted(lambda: limit.explains(0.5)) == EXPLANATIONS / 2


def test_those_that_come_from_elsewhere_take_nothing_from_the_peer() -> None:
    limit = ForgeryLimit()
    assert permitted(lambda: limit.repeated(False, 0.0)) == REPEATS
    assert permitted(lambda: limit.repeated(True, 0.0)) == REPEATS
    assert permitted(lambda: limit.unprotected(False, 0.0)) == UNPROTECTED
    assert permitted(lambda: limit.unprotected(True, 0.0)) == UNPROTECTED
