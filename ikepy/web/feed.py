"""Tells pages what happens, by server-sent events
(https://html.spec.whatwg.org/multipage/server-sent-events.html).

A page hears everything that is known when it begins, then what is new. One that reads too slowly misses what
it left unread, and is told everything again: no page holds more than QUEUED events in memory.
"""

from __future__ import annotations

import asyncio
import json
from collections import deque
from collections.abc import AsyncGenerator, Callable, Iterable

QUEUED = 500  # events that wait for one page
PAGES = 16  # that listen at once
HEARTBEAT = 10.0  # seconds; a page that is gone is found out by writing to it

Event = tuple[str, object]  # its name, and its value for JSON


class Feed:
    """`whole`: what a page is told at its beginning."""

    def __init__(self, whole: Callable[[], Iterable[Event]]) -> None:
        self._whole = whole
        self._listeners: list[_Listener] = []

    @property
    def full(self) -> bool:
        """Whether as many pages listen as may."""
        return len(self._listeners) >= PAGES

    def publish(self, name: str, value: object) -> None:
        """Tell all pages."""
        if self._listeners:
            octets = encode(name, value)
            for listener in self._listeners:
                listener.put(octets)

    async def events(self) -> AsyncGenerator[bytes, None]:
        """What one page hears, until it is closed."""
        listener = _Listener()
        self._listeners.append(listener)
        try:
            while True:
                if listener.stale:
                    listener.stale = False
                    for name, value in self._whole():
                        yield encode(name, value)
                yield await listener.take()
        finally:
            self._listeners.remove(listener)


class _Listener:
    """The queue of one page; `stale`: it must hear everything (again)."""

    def __init__(self) -> None:
        self._queue: deque[bytes] = deque()
        self._there = asyncio.Event()
        self.stale = True

    def put(self, octets: bytes) -> None:
        if len(self._queue) >= QUEUED:
            self.begin_again()
        elif not self.stale:  # else it is in what comes
            self._queue.append(octets)
            self._there.set()

    def begin_again(self) -> None:
        self._queue.clear()
        self.stale = True
        self._there.set()

    async def take(self) -> bytes:
        """All that waits, in one piece; a comment after HEARTBEAT without anything."""
        try:
            async with asyncio.timeout(HEARTBEAT):
                await self._there.wait()
        except TimeoutError:
            return b":\n\n"
        self._there.clear()
        octets = b"".join(self._queue)
        self._queue.clear()
        return octets or b":\n\n"


def encode(name: str, value: object) -> bytes:
    """One event. JSON has no line feeds, so that one line of data holds it."""
    return f"event: {name}\ndata: {json.dumps(value)}\n\n".encode()
