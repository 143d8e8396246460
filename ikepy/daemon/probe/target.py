"""Decides which echo requests a target gets and when, and what their replies mean. It does no I/O.

Times are monotonic seconds, sizes are octets of whole IP packets.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import NamedTuple

from ikepy.daemon.probe.mtu_search import SMALL, MtuSearch

WINDOW = 20  # the last requests, over which loss and round-trip times are told
MTU_EVERY = 600.0  # seconds between two checks of the path MTU
MTU_PAUSE = 0.2  # seconds between two large packets
NUMBERS = 1 << 16  # sequence numbers


class Request(NamedTuple):
    """An echo request to send."""

    sequence: int
    size: int


class Sent(NamedTuple):
    at: float
    size: int
    large: bool  # part of a check of the path MTU


@dataclass(frozen=True, slots=True)
class Loss:
    """Of the last `of` requests that are decided, `lost` were not answered in time."""

    lost: int = 0
    of: int = 0

    @property
    def ratio(self) -> float:
        return self.lost / self.of if self.of else 0.0


@dataclass(frozen=True, slots=True)
class RoundTrip:
    """Seconds, over the last answered requests."""

    last: float
    least: float
    mean: float
    most: float


@dataclass(slots=True)
class Target:
    """One address. `interval` and `timeout` in seconds; `mtu_check`: whether to look for the path MTU."""

    version: int
    interval: float
    timeout: float
    mtu_check: bool = True
    sent: int = 0  # in all, of ordinary requests
    received: int = 0
    path_mtu: int | None = None  # the last check's result; None: none is done
    tried_mtu: int | None = None  # what that check began with
    checks: int = 0  # of the path MTU that had a result
    _asked: bool = False  # for a check, whatever the configuration says
    _results: deque[float | None] = field(default_factory=lambda: deque(maxlen=WINDOW))  # RTT; None: lost
    _outstanding: dict[int, Sent] = field(default_factory=dict)
    _sequence: int = 0
    _mtu: int | None = None  # the device's; None: the tunnel is down
    _next: float = 0.0
    _next_check: float = 0.0
    _search: MtuSearch | None = None
    _large_sent: int | None = None  # the sequence number that the search waits for
    _large_next: float = 0.0

    def up(self, mtu: int, now: float) -> None:
        """The tunnel is up, and its device has this MTU; probing begins, or goes on."""
        if self._mtu is None:
            self._next = now
        if self._mtu != mtu:
            self._check_anew(now)
        self._mtu = mtu

    def down(self) -> None:
        """The tunnel is down: nothing is sent, and what is outstanding does not count as lost."""
        self._mtu = None
        self._outstanding.clear()
        self._search = self._large_sent = None
        self._results.clear()
        self.path_mtu = self.tried_mtu = None
        self._asked = False

    @property
    def is_up(self) -> bool:
        return self._mtu is not None

    def path_changed(self, now: float) -> None:
        """Look for the path MTU anew: what a search has found so far is of another path."""
        self._check_anew(now)

    def ask_for_check(self, now: float) -> None:
        """Look for the path MTU now; a search that is under way will do."""
        self._asked = True
        if self._search is None:
            self._next_check = now

    def _check_anew(self, now: float) -> None:
        self._next_check, self._search, self._large_sent = now, None, None

    def due(self) -> float | None:
        """When `requests` is to be called; None: not until `up`."""
        if self._mtu is None:
            return None
        times = [self._next, *(sent.at + self.timeout for sent in self._outstanding.values())]
        if self._search is not None and self._large_sent is None:
            times.append(self._large_next)
        return min(times)

    def requests(self, now: float) -> Iterator[Request]:
        """What is to be sent now; counts what was not answered in time."""
        if self._mtu is None:
            return
        self._expire(now)
        if now >= self._next:
            self._next = max(self._next + self.interval, now + self.interval / 2)
            self.sent += 1
            yield self._send(min(SMALL, self._mtu), False, now)
        wanted = self.mtu_check or self._asked
        if wanted and self._search is None and now >= self._next_check and self._answers():
            self._search, self._large_next = MtuSearch(self._mtu, self.version), now
            self._next_check = now + MTU_EVERY
        search = self._search
        waits = self._large_sent is not None or now < self._large_next
        if search is not None and search.size is not None and not waits:
            request = self._send(search.size, True, now)
            self._large_sent = request.sequence
            yield request

    def answered(self, sequence: int, size: int, now: float) -> None:
        """A reply came. Another one than what is outstanding, or of another size, is ignored."""
        sent = self._outstanding.get(sequence)
        if sent is None or sent.size != size:
            return
        del self._outstanding[sequence]
        if not sent.large:
            self.received += 1
            self._results.append(now - sent.at)
        elif self._search is not None and sequence == self._large_sent:
            self._large_sent, self._large_next = None, now
            self._search.came_back(size)
            self._conclude()

    @property
    def loss(self) -> Loss:
        return Loss(sum(one is None for one in self._results), len(self._results))

    @property
    def round_trip(self) -> RoundTrip | None:
        """None: no request was answered lately."""
        times = [one for one in self._results if one is not None]
        if not times:
            return None
        return RoundTrip(times[-1], min(times), sum(times) / len(times), max(times))

    def _answers(self) -> bool:
        return any(one is not None for one in self._results)

    def _send(self, size: int, large: bool, now: float) -> Request:
        self._sequence = (self._sequence + 1) % NUMBERS
        self._outstanding[self._sequence] = Sent(now, size, large)
        return Request(self._sequence, size)

    def _expire(self, now: float) -> None:
        late = [number for number, sent in self._outstanding.items() if now >= sent.at + self.timeout]
        for number in late:
            sent = self._outstanding.pop(number)
            if not sent.large:
                self._results.append(None)
            elif self._search is not None and number == self._large_sent:
                self._large_sent, self._large_next = None, now + MTU_PAUSE
                self._search.lost()
                self._conclude()

    def _conclude(self) -> None:
        """Keep the result of a search that is over, unless ordinary packets are lost as well."""
        if self._search is not None and self._search.size is None:
            if self._search.takes and self._results and self._results[-1] is not None:
                self.path_mtu, self.tried_mtu = self._search.takes, self._search.full
                self.checks, self._asked = self.checks + 1, False
            else:
                self._next_check = self._next  # again, once pings are answered
            self._search = None
