"""Bounds of a worker: packets a turn, a rate limit, a bounded set, the queue of packets that wait for an
SA."""

from __future__ import annotations

from collections import OrderedDict, deque
from collections.abc import Hashable

from esp.packet.headers import Buffer

TURN_PACKETS = 64  # packets that one turn of a worker reads from a device or a socket
WAITING_PACKETS = 64
WAITING_SECONDS = 10.0
MAX_KEYS = 256
FORWARD = (0.001, 1000)  # of ESP packets from a socket to another worker: seconds between two, after a burst


class RateLimit:
    """Permits `burst` events at once and one more each `interval` seconds."""

    __slots__ = ("_burst", "_full_at", "_interval")

    def __init__(self, interval: float, burst: int = 1) -> None:
        self._interval = interval
        self._burst = burst
        self._full_at = float("-inf")  # when all permits will be back

    def allow(self, now: float) -> bool:
        """Whether one more may happen at `now` (monotonic seconds)."""
        full_at = max(self._full_at, now) + self._interval
        if full_at - now > self._interval * self._burst:
            return False
        self._full_at = full_at
        return True


class KeyedRateLimit:
    """A rate limit for each of the last `MAX_KEYS` keys, and one for all of them together.

    What one key uses up is not missing for the others.
    """

    __slots__ = ("_each", "_limits", "_together")

    def __init__(self, each: tuple[float, int], together: tuple[float, int]) -> None:
        """Both as `RateLimit` has it: seconds, and a burst."""
        self._each = each
        self._limits: OrderedDict[Hashable, RateLimit] = OrderedDict()
        self._together = RateLimit(*together)

    def allow(self, key: Hashable, now: float) -> bool:
        """Whether one more may happen for `key` at `now` (monotonic seconds)."""
        limit = self._limits.get(key)
        if limit is None:
            limit = self._limits[key] = RateLimit(*self._each)
            if len(self._limits) > MAX_KEYS:
                self._limits.popitem(last=False)
        self._limits.move_to_end(key)
        return limit.allow(now) and self._together.allow(now)


class RecentSet:
    """A bounded set: the last `limit` values added, and up to as many before them."""

    __slots__ = ("_before", "_last", "_limit")

    def __init__(self, limit: int) -> None:
        self._limit = limit
        self._last: set[Hashable] = set()
        self._before: set[Hashable] = set()

    def __contains__(self, value: Hashable) -> bool:
        return value in self._last or value in self._before

    def add(self, value: Hashable) -> None:
        if len(self._last) >= self._limit:
            self._before, self._last = self._last, set()
        self._last.add(value)


class PacketQueue:
    """Packets of one device that wait for an SA, each with its arrival time in monotonic seconds."""

    __slots__ = ("_packets", "expired")

    def __init__(self) -> None:
        self._packets: deque[tuple[float, bytes]] = deque()
        self.expired = 0  # packets that waited longer than WAITING_SECONDS

    def __len__(self) -> int:
        return len(self._packets)

    def put(self, packet: Buffer, arrived: float, now: float) -> bool:
        """Queue a copy; False if the queue is full."""
        self._expire(now)
        if len(self._packets) >= WAITING_PACKETS:
            return False
        self._packets.append((arrived, bytes(packet)))
        return True

    def take_all(self, now: float) -> list[tuple[float, bytes]]:
        """Empty the queue; the packets that have not waited too long, in order of arrival."""
        self._expire(now)
        packets = list(self._packets)
        self._packets.clear()
        return packets

    def _expire(self, now: float) -> None:
        while self._packets and now - self._packets[0][0] > WAITING_SECONDS:
            self._packets.popleft()
            self.expired += 1
