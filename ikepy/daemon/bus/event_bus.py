"""Delivers the machine's events, the daemon's own and log lines to listeners and subscribers.

Publishing never waits. A listener is called at once, and is for what must not be late (the log). A subscriber
has a bounded queue of its own: one that reads slowly loses the oldest items, is told how many, and delays
nobody.
"""

from __future__ import annotations

import asyncio
import logging
import time
from collections import defaultdict, deque
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import TypeAlias, TypeVar

from esp.datapath.limits import RateLimit
from ikepy.daemon import log
from ikepy.daemon.bus.daemon_events import DaemonEvent
from ikepy.sa.api.effects import Log
from ikepy.sa.api.events import Event, concerned

Item: TypeAlias = Event | DaemonEvent | Log
Kind: TypeAlias = type[Event] | type[DaemonEvent] | type[Log]
K = TypeVar("K", bound=object)
FAULT_RATE = (1.0, 10)  # seconds between two log lines about listeners' faults; burst
MOST_WAITING = 1024  # items that a subscriber may leave unread


@dataclass(frozen=True, slots=True)
class Missed:
    """The subscriber was too slow: so many items before the next one are lost."""

    count: int


class Subscription:
    """One subscriber's queue, an asynchronous iterator over the items; it ends after `close`."""

    def __init__(
        self, bus: EventBus, kinds: tuple[Kind, ...], connection: str | None, most: int = MOST_WAITING
    ) -> None:
        if most < 1:
            raise ValueError(f"a subscription of {most} items")
        self._bus = bus
        self.kinds = kinds
        self._connection = connection
        self._items: deque[Item] = deque()
        self._most = most
        self._missed = 0
        self._closed = False
        self._filled = asyncio.Event()

    def put(self, item: Item) -> None:
        """Queue an item, unless it is not about the subscriber's connection."""
        if self._closed or (self._connection is not None and not _is_about(item, self._connection)):
            return
        if len(self._items) >= self._most:
            self._items.popleft()
            self._missed += 1
        self._items.append(item)
        self._filled.set()

    def take(self) -> list[Item | Missed]:
        """Remove and return all items that wait."""
        items: list[Item | Missed] = []
        if self._missed:
            items.append(Missed(self._missed))
            self._missed = 0
        items += self._items
        self._items.clear()
        return items

    def close(self) -> None:
        """Queue no more items; those that wait can still be read."""
        if not self._closed:
            self._closed = True
            self._bus.forget(self)
            self._filled.set()

    def __aiter__(self) -> Subscription:
        return self

    async def __anext__(self) -> Item | Missed:
        while True:
            if self._missed:
                missed, self._missed = Missed(self._missed), 0
                return missed
            if self._items:
                return self._items.popleft()
            if self._closed:
                raise StopAsyncIteration
            self._filled.clear()
            await self._filled.wait()


class EventBus:
    """The listeners and subscriptions of one daemon."""

    def __init__(self) -> None:
        self._listeners: defaultdict[type, list[Callable[..., None]]] = defaultdict(list)
        self._subscriptions: defaultdict[Kind, dict[Subscription, None]] = defaultdict(dict)
        self._fault_rate = RateLimit(*FAULT_RATE)
        self._faults_untold = 0

    def listen(self, kinds: Iterable[type[K]], listener: Callable[[K], None]) -> None:
        """Call `listener` with every item of these kinds, before any subscriber has it."""
        for kind in kinds:
            self._listeners[kind].append(listener)

    def subscribe(
        self, *kinds: Kind, connection: str | None = None, most: int = MOST_WAITING
    ) -> Subscription:
        """A new queue of at most `most` items of these kinds, about one connection or all.

        Raises ValueError for less than one.
        """
        subscription = Subscription(self, kinds, connection, most)
        for kind in kinds:
            self._subscriptions[kind][subscription] = None
        return subscription

    def forget(self, subscription: Subscription) -> None:
        for kind in subscription.kinds:
            self._subscriptions[kind].pop(subscription, None)

    def publish(self, item: Item) -> None:
        """Give an item to all who asked for its kind. Never raises."""
        kind = type(item)
        for listener in self._listeners.get(kind, ()):
            try:
                listener(item)
            except Exception as error:  # a listener's fault must not stop the publisher
                self._tell_fault(kind, error)
        for subscription in self._subscriptions.get(kind, ()):
            subscription.put(item)

    def _tell_fault(self, kind: type, error: Exception) -> None:
        """Peers bring events about again and again: their number may not decide how much is written."""
        if not self._fault_rate.allow(time.monotonic()):
            self._faults_untold += 1
            return
        more = f" (and {self._faults_untold:,} more before)" if self._faults_untold else ""
        self._faults_untold = 0
        text = f"telling of {kind.__name__}: {type(error).__name__}: {error}{more}"
        log.log(logging.ERROR, "fault", text, traceback=error)


def _is_about(item: Item, connection: str) -> bool:
    """Whether an item is about this connection; one that concerns no connection is not."""
    if isinstance(item, Log):
        return f"{item.subject} ".startswith(f"{connection} ")
    if isinstance(item, Event):
        sa = concerned(item)
        return sa is not None and sa.connection == connection
    return getattr(item, "connection", None) == connection
