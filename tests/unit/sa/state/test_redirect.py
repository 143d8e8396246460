"""How many redirects a connection follows (RFC 5685 7)."""

from __future__ import annotations

from ikepy.sa.state.redirect import LOOP_DETECT_PERIOD, MAX_REDIRECTS, RedirectLimit


def test_five_in_five_minutes() -> None:
    limit = RedirectLimit()
    assert [limit.follow("a", 10.0 * number) for number in range(8)] == [True] * MAX_REDIRECTS + [False] * 3
    assert not limit.follow("a", LOOP_DETECT_PERIOD - 1)
    assert limit.follow("a", LOOP_DETECT_PERIOD), "the first one is forgotten"
    assert not limit.follow("a", LOOP_DETECT_PERIOD)


def test_each_connection_has_its_own() -> None:
    limit = RedirectLimit()
    assert all(limit.follow("a", 0.0) for _ in range(MAX_REDIRECTS))
    assert limit.follow("b", 0.0)


def test_connections_that_are_gone_are_forgotten() -> None:
    limit = RedirectLimit()
    assert all(limit.follow("a", 0.0) for _ in range(MAX_REDIRECTS))
    limit.keep(["a"])
    assert not limit.follow("a", 1.0)
    limit.keep([])
    assert limit.follow("a", 1.0)
