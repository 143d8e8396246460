"""When an interface sends its router advertisements (RFC 4861 6.2.4 to 6.2.6), without a clock: time is a
parameter of each call, and chance a function.

What was announced is withdrawn at once; the first announcement is sent at once, up to BURST times in a row.
Beyond that, and for all else, MIN_DELAY_BETWEEN_RAS lies between two advertisements.
"""

from __future__ import annotations

from collections.abc import Callable
from enum import Enum, auto

MAX_INITIAL_ADVERTISEMENTS = 3
MAX_INITIAL_INTERVAL = 16.0  # seconds
MAX_FINAL_ADVERTISEMENTS = 3
MIN_DELAY_BETWEEN_RAS = 3.0  # seconds
MAX_DELAY = 0.5  # seconds before the answer to a solicitation
BURST = 4  # advertisements at once
LAST_WORDS = 0.1  # seconds between the final ones of a daemon that ends


class Phase(Enum):
    SILENT = auto()
    ANNOUNCING = auto()
    CEASING = auto()  # the final advertisements, with lifetimes of 0


class Schedule:
    """`deadline` says when the next advertisement is due: whoever sends it calls `sent`."""

    def __init__(self, intervals: tuple[float, float], chance: Callable[[], float]) -> None:
        """`intervals`: the shortest and the longest, in seconds; `chance`: evenly from 0 to 1."""
        self.intervals = intervals
        self._chance = chance
        self.phase = Phase.SILENT
        self.deadline: float | None = None
        self.answering = False  # a solicitation will be answered
        self._left = 0  # initial, or final, ones that are to be sent yet
        self._pace = MIN_DELAY_BETWEEN_RAS  # between final ones
        self._last: float | None = None  # when the last one was sent
        self._burst = float(BURST)  # how many may be sent at once, one more for each MIN_DELAY_BETWEEN_RAS
        self._refilled: float | None = None  # when that was counted last
        self._urgent = False  # the initial ones take something back
        self._standing = False  # what was announced has not been withdrawn yet

    @property
    def emphatic(self) -> bool:
        """Whether the next one is among the initial or final ones."""
        return self._left > 0

    def announce(self, now: float) -> None:
        """Announce from now on."""
        self.phase, self._urgent = Phase.ANNOUNCING, False
        self._begin(now, MAX_INITIAL_ADVERTISEMENTS)

    def change(self, now: float) -> None:
        """What is announced has changed: tell it as at the beginning, but as fast as final ones, for
        something may have been taken back."""
        if self.phase is Phase.ANNOUNCING:
            self._urgent = True
            self._begin(now, MAX_INITIAL_ADVERTISEMENTS)

    def withdraw(self, now: float) -> None:
        """Take back what was, or may have been, announced, and be silent then."""
        self.phase, self._pace, self.answering = Phase.CEASING, MIN_DELAY_BETWEEN_RAS, False
        self._begin(now, MAX_FINAL_ADVERTISEMENTS)
        if self._standing:
            self.deadline = now

    def end(self, now: float) -> None:
        """As `withdraw`, for a daemon that ends and can't wait; what was being withdrawn is hastened."""
        if self.phase is Phase.ANNOUNCING:
            self.withdraw(now)
        if self.phase is Phase.CEASING:
            self._pace, self.deadline = LAST_WORDS, now

    def link_is_back(self, now: float) -> None:
        """The interface can send (again): nobody may have heard what was sent before."""
        if self.phase is Phase.ANNOUNCING:
            self.announce(now)

    def solicited(self, now: float) -> None:
        """A host asks: it is answered by an advertisement to all, after a random delay."""
        if self.phase is not Phase.ANNOUNCING or self.answering:
            return
        delay = self._chance() * MAX_DELAY
        at = now + delay
        if self._last is not None and now < self._last + MIN_DELAY_BETWEEN_RAS:
            at = self._last + MIN_DELAY_BETWEEN_RAS + delay
        self.answering = True
        self.deadline = at if self.deadline is None else min(self.deadline, at)

    def sent(self, now: float) -> None:
        """An advertisement was sent: when is the next one?"""
        self._standing = self.phase is Phase.ANNOUNCING
        if self._standing:
            self._refill(now)
            self._burst = max(self._burst - 1, 0.0)
        self._last = now
        self._left = max(self._left - 1, 0)
        self.answering = False
        if self.phase is Phase.ANNOUNCING:
            self.deadline = now + self._interval()
        elif self._left:
            self.deadline = now + self._pace
        else:
            self.phase, self.deadline = Phase.SILENT, None

    def _interval(self) -> float:
        if self._left and self._urgent:
            return MIN_DELAY_BETWEEN_RAS
        shortest, longest = self.intervals
        interval = shortest + self._chance() * (longest - shortest)
        return min(interval, MAX_INITIAL_INTERVAL) if self._left else interval

    def _begin(self, now: float, count: int) -> None:
        self._left = count
        self._refill(now)
        self.deadline = now
        if self._burst < 1 and self._last is not None:
            self.deadline = max(now, self._last + MIN_DELAY_BETWEEN_RAS)

    def _refill(self, now: float) -> None:
        if self._refilled is not None:
            self._burst = min(BURST, self._burst + (now - self._refilled) / MIN_DELAY_BETWEEN_RAS)
        self._refilled = now
