"""Waits of a daemon that ends: each has its time, and none is kept once a second signal hurries the end."""

from __future__ import annotations

import asyncio
from collections.abc import Coroutine
from typing import Any


async def within(seconds: float, hurry: asyncio.Event, work: Coroutine[Any, Any, object]) -> bool:
    """Wait for `work` so many seconds at most, and only until `hurry`. Whether it is done; else it is
    cancelled."""
    working, hurried = asyncio.create_task(work), asyncio.create_task(hurry.wait())
    await asyncio.wait((working, hurried), timeout=seconds, return_when=asyncio.FIRST_COMPLETED)
    done = working.done()
    for task in (working, hurried):
        task.cancel()
    await asyncio.gather(working, hurried, return_exceptions=True)
    return done
