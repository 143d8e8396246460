"""ikepy.daemon.process.garbage: each search looks at a bounded number of objects, and nothing is lost."""

from __future__ import annotations

import asyncio
import gc
import weakref
from collections.abc import Iterator

import pytest

from ikepy.daemon.process import garbage

BOUND = 18_000  # objects: 15,000, and what is there at the beginning


class Node:
    def __init__(self) -> None:
        self.other: Node | None = None


def cycle() -> tuple[Node, weakref.ref[Node]]:
    one, other = Node(), Node()
    one.other, other.other = other, one
    return one, weakref.ref(one)


@pytest.fixture(autouse=True)
def as_before() -> Iterator[None]:
    was = gc.get_threshold()
    yield
    assert gc.get_threshold() == was
    garbage.search_thoroughly()
    assert gc.get_freeze_count() == 0


def test_a_search_looks_at_what_is_new() -> None:
    looked_at: list[int] = []

    def count(phase: str, info: dict[str, int]) -> None:
        if phase == "start" and info["generation"] == 2:
            looked_at.append(len(gc.get_objects()))

    with garbage.spared():
        gc.callbacks.append(count)
        try:
            kept = [[number] for number in range(200_000)]
        finally:
            gc.callbacks.remove(count)
    assert len(kept) == 200_000
    assert 10 <= len(looked_at) <= 20
    assert max(looked_at) <= BOUND


def test_new_cycles_are_found_while_others_are_made() -> None:
    with garbage.spared():
        one, watched = cycle()
        del one
        kept = [[number] for number in range(2 * BOUND)]
        assert watched() is None
    assert kept


def test_what_is_set_aside_is_freed_with_its_last_reference() -> None:
    alone = Node()
    watched = weakref.ref(alone)
    with garbage.spared():
        del alone
        assert watched() is None


def test_cycles_that_were_set_aside_are_found_when_there_is_twice_as_much(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(garbage, "LOOK", 0.01)
    monkeypatch.setattr(garbage, "PATIENCE", 0.0)

    async def run() -> None:
        with garbage.spared():
            tending = asyncio.create_task(garbage.tend())
            one, watched = cycle()
            gc.freeze()
            del one
            gc.collect()
            await asyncio.sleep(0.05)
            assert watched() is not None, "no search is due"
            kept = [[number] for number in range(round(garbage.GROWTH * gc.get_freeze_count()))]
            for _ in range(6000):  # at most a minute
                if watched() is None:
                    break
                await asyncio.sleep(0.01)
            assert watched() is None
            tending.cancel()
            assert kept

    asyncio.run(run())


def test_the_daemon_is_left_alone_while_it_has_much_to_do(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(garbage, "LOOK", 0.0)
    monkeypatch.setattr(garbage, "GROWTH", 0.0)
    monkeypatch.setattr(garbage, "BUSY", -1.0)  # always
    searched: list[None] = []
    monkeypatch.setattr(garbage, "search_thoroughly", lambda: searched.append(None))

    async def run() -> None:
        with garbage.spared():
            tending = asyncio.create_task(garbage.tend())
            await asyncio.sleep(0.1)
            tending.cancel()

    asyncio.run(run())
    assert len(searched) == 1, "at the start alone"
