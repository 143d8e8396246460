"""Keeps the daemon's long-lived tasks going: one that ends by an exception is told of, and begins again.

A fault of ours, or a lack of descriptors, memory or threads, costs a round of such a task and a pause. The
daemon runs on, so nobody would notice otherwise that devices are mended no more, or files watched no more.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable

from ikepy.config.fields import Subsystem
from ikepy.daemon import log

FIRST, LONGEST = 1.0, 60.0  # seconds of the pause, doubled each time
CALM = 120.0  # seconds without an exception after which the pause is the first one again
SUBJECT = "fault"


def supervise(
    work: Callable[[], Awaitable[None]],
    name: str,
    subsystem: Subsystem = "daemon",
    again: Callable[[], object] = lambda: None,
) -> asyncio.Task[None]:
    """Run `work()` in a task of this name, until it returns or is cancelled; after an exception once more.

    `again` is called before that: what was under way is to be looked at anew.
    """
    return asyncio.create_task(_keep_going(work, name, subsystem, again), name=name)


async def _keep_going(
    work: Callable[[], Awaitable[None]], name: str, subsystem: Subsystem, again: Callable[[], object]
) -> None:
    clock, pause = asyncio.get_running_loop().time, 0.0
    while True:
        begun = clock()
        try:
            await work()
            return
        except Exception as error:  # an edge: without the task the daemon would run on, and do less
            pause = min(2 * pause, LONGEST) if pause and clock() - begun < CALM else FIRST
            text = f'"{name}" begins again in {pause:g} s: {type(error).__name__}: {error}'
            log.log(logging.ERROR, SUBJECT, text, subsystem, traceback=error)
        await asyncio.sleep(pause)
        again()
