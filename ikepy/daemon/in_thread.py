"""Calls that block, in a thread: where the system has no room for one, that is an OSError like others."""

from __future__ import annotations

import asyncio
import errno
import threading
from collections.abc import Callable
from contextvars import copy_context
from functools import partial
from typing import ParamSpec, TypeVar

P = ParamSpec("P")
T = TypeVar("T")
NO_ROOM = "there is no room for another thread"


async def in_thread(call: Callable[P, T], *args: P.args, **kwargs: P.kwargs) -> T:
    """What `call` gives in a thread (as `asyncio.to_thread`). Raises OSError if no thread can be started."""
    run, given_up = partial(copy_context().run, call), threading.Event()

    def work() -> T:
        if given_up.is_set():  # it stayed in the executor's queue
            raise OSError(errno.EAGAIN, NO_ROOM)
        return run(*args, **kwargs)

    try:
        future = asyncio.get_running_loop().run_in_executor(None, work)
    except RuntimeError as error:
        given_up.set()
        raise OSError(errno.EAGAIN, NO_ROOM) from error
    return await future
