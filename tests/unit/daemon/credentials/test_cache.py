"""What was fetched is kept, within bounds; failures for a minute."""

from __future__ import annotations

import threading
import traceback
from collections.abc import Callable

import pytest

from ikepy.daemon.credentials import cache
from ikepy.daemon.credentials.cache import Cache, Fetched
from ikepy.daemon.credentials.fetch_error import FetchError


class Time:
    """A cache for which it is as late by the clock as by the one that only goes on."""

    def __init__(self) -> None:
        self.now = 0.0
        self.cache = Cache[int](lambda: self.now)

    def get(self, key: str, at: float, fetch: Callable[[], Fetched[int]]) -> int:
        self.now = at
        return self.cache.get(key, at, fetch)

    def kept(self, key: str, at: float) -> int | None:
        self.now = at
        return self.cache.kept(key, at)


class Source:
    def __init__(self, until: float = 1000.0, size: int = 1) -> None:
        self.calls, self.until, self.size = 0, until, size

    def __call__(self) -> Fetched[int]:
        self.calls += 1
        return Fetched(self.calls, self.until, self.size)


def test_until_it_is_out_of_date() -> None:
    kept, source = Time(), Source()
    assert [kept.get("a", at, source) for at in (0, 999, 1001)] == [1, 1, 2]
    assert kept.get("b", 0, source) == 3
    kept.cache.clear()
    assert kept.get("a", 0, source) == 4


def test_what_is_there_without_asking() -> None:
    kept, source = Time(), Source()
    assert kept.kept("a", 0) is None
    kept.get("a", 0, source)
    assert [kept.kept("a", at) for at in (0, 999, 1001)] == [1, 1, None]

    def fails() -> Fetched[int]:
        raise FetchError("no")

    with pytest.raises(FetchError):
        kept.get("b", 0, fails)
    assert kept.kept("b", 0) is None


def test_a_day_at_most_and_a_minute_at_least() -> None:
    kept = Time()
    forever, old = Source(until=1e12), Source(until=-5)
    assert [kept.get("a", at, forever) for at in (0, cache.LONGEST - 1, cache.LONGEST + 1)] == [1, 1, 2]
    assert [kept.get("b", at, old) for at in (0, cache.AGAIN - 1, cache.AGAIN + 1)] == [1, 1, 2]


def test_a_failure_is_kept_for_a_minute() -> None:
    kept, calls = Time(), []

    def fails() -> Fetched[int]:
        calls.append(1)
        raise FetchError("no answer")

    for at in (0, 59, 61):
        with pytest.raises(FetchError, match="no answer"):
            kept.get("a", at, fails)
    assert len(calls) == 2


def test_a_clock_that_is_set_back_keeps_nothing_for_longer() -> None:
    """Two hours ahead at boot, and no network yet: NTP sets it right a second later."""
    now, ahead = 0.0, 7200.0
    kept = Cache[int](lambda: now)

    def fails() -> Fetched[int]:
        raise FetchError("no answer")

    forever, soon = Source(until=1e12), Source(until=100.0)
    with pytest.raises(FetchError):
        kept.get("failure", ahead, fails)
    assert [kept.get("forever", ahead, forever), kept.get("soon", ahead, soon)] == [1, 1]
    now = cache.AGAIN + 1
    assert kept.get("failure", now, Source()) == 1
    assert [kept.get("forever", now, forever), kept.get("soon", now, soon)] == [1, 1]
    now = 101.0
    assert kept.get("soon", now, soon) == 2
    now = cache.LONGEST + 1
    assert kept.get("forever", now, forever) == 2


def test_a_failure_that_is_asked_for_often_keeps_no_frames() -> None:
    kept = Cache[int]()

    def fails() -> Fetched[int]:
        raise FetchError("no answer")

    def frames() -> int:
        with pytest.raises(FetchError) as raised:
            kept.get("a", 0, fails)
        return len(list(traceback.walk_tb(raised.value.__traceback__)))

    frames()
    assert len({frames() for _ in range(5)}) == 1


def test_bounds() -> None:
    kept, small, large = Cache[int](), Source(), Source(size=cache.MAX_SIZE // 2)
    for number in range(cache.MOST + 1):
        kept.get(number, 0, small)
    assert (kept.get(cache.MOST, 0, small), small.calls) == (cache.MOST + 1, cache.MOST + 1)
    kept.get(0, 0, small)
    assert small.calls == cache.MOST + 2  # the oldest was dropped
    for number in range(3):
        kept.get(("large", number), 0, large)
    kept.get(("large", 0), 0, large)
    assert large.calls == 4


def test_one_fetches_and_the_others_wait() -> None:
    kept, begun, go_on, source, found = Cache[int](), threading.Event(), threading.Event(), Source(), []

    def slow() -> Fetched[int]:
        begun.set()
        go_on.wait(20)
        return source()

    threads = [threading.Thread(target=lambda: found.append(kept.get("a", 0, slow))) for _ in range(5)]
    for one in threads:
        one.start()
    begun.wait(20)
    go_on.set()
    for one in threads:
        one.join(20)
    assert (found, source.calls) == ([1] * 5, 1)


def test_a_fault_leaves_nobody_waiting() -> None:
    kept = Cache[int]()

    def broken() -> Fetched[int]:
        raise RuntimeError

    with pytest.raises(RuntimeError):
        kept.get("a", 0, broken)
    with pytest.raises(FetchError):
        kept.get("a", 1, broken)
