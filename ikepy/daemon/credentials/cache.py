"""What was fetched, until it is out of date; what could not be, for a minute. Bounded, for all threads."""

from __future__ import annotations

import threading
from collections import OrderedDict
from collections.abc import Callable, Hashable
from dataclasses import dataclass
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


class Cache(Generic[T]):
    """Values by key; each is fetched by one thread at a time, for which the others wait."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._entries: OrderedDict[Hashable, Fetched[T] | Fetched[FetchError]] = OrderedDict()
        self._under_way: dict[Hashable, threading.Event] = {}
        self._size = 0

    def get(self, key: Hashable, at: float, fetch: Callable[[], Fetched[T]]) -> T:
        """The value of a key, fetched if need be. `at`: now. Raises FetchError, as `fetch` did before."""
        with self._lock:
            found = self._found(key, at)
            waits_for = self._under_way.get(key)
            if found is None and waits_for is None:
                self._under_way[key] = threading.Event()
        if found is None and waits_for is None:
            found = self._fetch(key, at, fetch)
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
        if found is None or found.until < at:
            return None
        self._entries.move_to_end(key)
        return found

    def _fetch(
        self, key: Hashable, at: float, fetch: Callable[[], Fetched[T]]
    ) -> Fetched[T] | Fetched[FetchError]:
        entry: Fetched[T] | Fetched[FetchError] = Fetched(FetchError("it failed"), at + AGAIN, 0)
        try:
            got = fetch()
            entry = Fetched(got.value, min(max(got.until, at + AGAIN), at + LONGEST), got.size)
        except FetchError as error:
            entry = Fetched(error, at + AGAIN, 0)
        finally:
            with self._lock:
                self._put(key, entry)
                self._under_way.pop(key).set()
        return entry

    def _put(self, key: Hashable, entry: Fetched[T] | Fetched[FetchError]) -> None:
        old = self._entries.pop(key, None)
        self._size += entry.size - (0 if old is None else old.size)
        self._entries[key] = entry
        while len(self._entries) > MOST or (self._size > MAX_SIZE and len(self._entries) > 1):
            _, dropped = self._entries.popitem(last=False)
            self._size -= dropped.size
