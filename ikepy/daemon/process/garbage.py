"""Searches for garbage, which is in reference cycles, that never keep the daemon from answering for long.

CPython's full search looks at all objects: with thousands of IKE_SAs it takes a tenth of a second and more.
Here each looks at those that are new since the last one: what survives is set aside (`gc.freeze`), where it
is freed as ever when its last reference goes. IKE_SAs leave no cycles (`tests/exchange/test_garbage.py`). A
cycle that becomes garbage after it was set aside waits for a thorough search, which is due when twice as many
objects are set aside as after the last one, and is made when the daemon has little to do.
"""

from __future__ import annotations

import asyncio
import gc
import time
from collections.abc import Iterator
from contextlib import contextmanager

# Objects, and searches of the next younger kind, until there is a search. A full one, after which what
# survives is set aside, then looks at up to 15,000 objects, which takes some 2 ms.
THRESHOLDS = (1000, 5, 1)
LOOK = 600.0  # seconds between two looks at how many objects are set aside
GROWTH = 2.0  # times as many as after the last thorough search, and another one is due
BUSY = 0.05  # CPU-seconds of a second in which there was much to do
PATIENCE = 3600.0  # seconds that a thorough search waits for a second with less


@contextmanager
def spared() -> Iterator[None]:
    """Search like that, from now to the end of this context. What is set aside then stays so."""
    before = gc.get_threshold()
    gc.set_threshold(*THRESHOLDS)
    gc.callbacks.append(_set_aside)
    try:
        search_thoroughly()
        yield
    finally:
        gc.callbacks.remove(_set_aside)
        gc.set_threshold(*before)


def _set_aside(phase: str, info: dict[str, int]) -> None:
    if phase == "stop" and info["generation"] == 2:
        gc.freeze()


def search_thoroughly() -> None:
    """Look at all objects once.

    CPython makes no full search until as many objects are new as a quarter of what the last one left: hence
    the second one, which leaves nothing.
    """
    gc.unfreeze()
    gc.collect()
    gc.collect()


async def tend() -> None:
    """Search thoroughly whenever that is due; for ever."""
    kept = gc.get_freeze_count()
    while True:
        await asyncio.sleep(LOOK)
        if gc.get_freeze_count() > GROWTH * kept:
            await _quiet()
            search_thoroughly()
            kept = gc.get_freeze_count()


async def _quiet() -> None:
    """Wait for a second with little to do, within bounds."""
    until = time.monotonic() + PATIENCE
    while time.monotonic() < until:
        used = time.process_time()
        await asyncio.sleep(1)
        if time.process_time() - used < BUSY:
            return
