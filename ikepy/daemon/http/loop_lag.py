"""How late the event loop is: control does nothing else while it is, no IKE message and no timer."""

from __future__ import annotations

import asyncio
from collections import deque

BEAT = 0.5  # seconds between two looks
WINDOW = 60.0  # seconds that the worst lateness is remembered


class LoopLag:
    """Looks at the loop's clock at regular times."""

    def __init__(self) -> None:
        self._loop = asyncio.get_running_loop()
        self._late: deque[tuple[float, float]] = deque(maxlen=int(WINDOW / BEAT))  # when, seconds
        self._handle = self._loop.call_later(BEAT, self._look, self._loop.time() + BEAT)

    def _look(self, due: float) -> None:
        now = self._loop.time()
        self._late.append((now, max(0.0, now - due)))
        self._handle = self._loop.call_later(BEAT, self._look, now + BEAT)

    def worst(self) -> float:
        """The longest lateness of the last minute, in seconds."""
        begin = self._loop.time() - WINDOW
        return max((late for at, late in self._late if at >= begin), default=0.0)

    def stop(self) -> None:
        self._handle.cancel()
