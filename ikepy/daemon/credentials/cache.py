"""What was fetched, until it is out of date; what could not be, for a minute. Bounded, for all threads.

When something is out of date the clock says, as its issuer does. How long it is kept is measured apart from
that: at boot the clock may be hours ahead, until somebody sets it.
"""

from __future__ import annotations

import threading
from collections import OrderedDict
from collections.abc import Callable, Hashable
from dataclasses import dataclass
from math import inf
from time import monotonic
from typing import Generic, TypeVar

from ikepy.daemon.credentials.fetch_error import FetchError

MOST = 1024  # entries
MAX_SIZE = 64_000_000  # octets of all together
AGAIN = 60.0  # seconds after which what failed is tried again, and the least that anything is kept
LONGEST = 86400.0  # seconds that anything is kept
PATIENCE = 15.0  # seconds that one waits for another who fetches the same

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Fetched(Generic[T]):
    """`until`: when it is out of date, in seconds since 1970. `size`: octets that it takes."""

    value: T
    until: float
    size: int


@dataclass(frozen=True, slots=True)
class _Entry(Generic[T]):
    """`since`: when it was fetched, in monotonic seconds."""

    fetched: Fetched[T] | Fetched[FetchError]
    since: float

    def holds(self, at: float, now: float) -> bool:
        """`at`: now in seconds since 1970; `now`: in monotonic ones."""
        age = now - self.since
        return age <= AGAIN or (age <= LONGEST and at <= self.fetched.until)


class Cache(Generic[T]):
    """Values by key; each is fetched by one thread at a time, for which the others wait."""

    def __init__(self, clock: Callable[[], float] = monotonic) -> None:
        self._clock = clock
        self._lock = threading.Lock()
        self._entries: OrderedDict[Hashable, _Entry[T]] = OrderedDict()
        self._under_way: dict[Hashable, threading.Event] = {}
        self._size = 0

    def get(self, key: Hashable, at: float, fetch: Callable[[], Fetched[T]]) -> T:
        """The value of a key, fetched if need be. `at`: now, in seconds since 1970.

        Raises FetchError, as `fetch` did before.
        """
        with self._lock:
            found = self._found(key, at)
            waits_for = self._under_way.get(key)
            if found is None and waits_for is None:
                self._under_way[key] = threading.Event()
        if found is None and waits_for is None:
            found = self._fetch(key, fetch)
        elif found is None and waits_for is not None:
            waits_for.wait(PATIENCE)
            with self._lock:
                found = self._found(key, at)
        if found is None:
            raise FetchError("no answer in time")
        if isinstance(found.value, FetchError):
            # Another one for each: an exception that is raised again keeps all frames that it went through.
            raise FetchError(*found.value.args)
        return found.value

    def kept(self, key: Hashable, at: float) -> T | None:
        """The value of a key if it is here and not out of date: nothing is fetched or waited for."""
        with self._lock:
            found = self._found(key, at)
        return None if found is None or isinstance(found.value, FetchError) else found.value

    def clear(self) -> None:
        """Forget all of it."""
        with self._lock:
            self._entries.clear()
            self._size = 0

    def _found(self, key: Hashable, at: float) -> Fetched[T] | Fetched[FetchError] | None:
        found = self._entries.get(key)
        if found is None or not found.holds(at, self._clock()):
            return None
        self._entries.move_to_end(key)
        return found.fetched

    def _fetch(self, key: Hashable, fetch: Callable[[], Fetched[T]]) -> Fetched[T] | Fetched[FetchError]:
        since = self._clock()
        got: Fetched[T] | Fetched[FetchError] = Fetched(FetchError("it failed"), -inf, 0)
        try:
            got = fetch()
        except FetchError as error:
            got = Fetched(error, -inf, 0)
        finally:
            with self._lock:
                self._put(key, _Entry(got, since))
                self._under_way.pop(key).set()
        return got

    def _put(self, key: Hashable, entry: _Entry[T]) -> None:
        old = self._entries.pop(key, None)
        self._size += entry.fetched.size - (0 if old is None else old.fetched.size)
        self._entries[key] = entry
        while len(self._entries) > MOST or (self._size > MAX_SIZE and len(self._entries) > 1):
            _, dropped = self._entries.popitem(last=False)
            self._size -= dropped.fetched.size
