"""The machine's deadline as one timer of the event loop."""

from __future__ import annotations

import asyncio
from collections.abc import Callable

SHORTEST = 0.005  # seconds between two ticks: a deadline that stays in the past is no busy loop


class DeadlineTimer:
    """Calls `tick` once the deadline that was set last has passed."""

    def __init__(self, loop: asyncio.AbstractEventLoop, tick: Callable[[], None]) -> None:
        self._loop = loop
        self._tick = tick
        self._handle: asyncio.TimerHandle | None = None
        self._deadline: float | None = None
        self._last = float("-inf")

    def set(self, deadline: float | None) -> None:
        """`deadline` in the loop's (monotonic) seconds; None: no tick at all."""
        if deadline == self._deadline:
            return
        self.cancel()
        self._deadline = deadline
        if deadline is not None:
            self._handle = self._loop.call_at(max(deadline, self._last + SHORTEST), self._fire)

    def cancel(self) -> None:
        if self._handle is not None:
            self._handle.cancel()
            self._handle = None
        self._deadline = None

    def _fire(self) -> None:
        self._handle = self._deadline = None
        self._last = self._loop.time()
        self._tick()
