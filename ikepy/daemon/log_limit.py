"""Limits the rate of log lines that others cause, by kind and source (token buckets), and sums up the rest.

Without a limit whoever sends us packets decides how much is written, and can hide important lines in it.
Strangers are told apart by their networks and have a low rate. An authenticated peer has a higher one of its
own, so that it can't suppress lines about others.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Iterator
from dataclasses import dataclass

from esp.datapath.limits import RateLimit
from ikepy.sa.api.log_source import Peer, Prefix, prefix_of
from ikepy.sa.api.path import Address

PERIOD = 10.0  # seconds between summaries
# Seconds between two lines, and burst: for lines of one kind about one network, or one peer;
EACH = (PERIOD, 5)
EACH_OF_PEER = (2.0, 50)
# of all kinds about one peer; about one connection, whose peers may use many identities;
OF_PEER = (1.0, 400)
OF_CONNECTION = (0.2, 2000)
TOGETHER = (0.1, 50)  # and about all strangers.
KEPT = 1024  # pairs of kind and source that are remembered; of more, the oldest begin anew
KEPT_WHOLE = 8192  # peers and connections that are remembered
SUMMED = 20  # lines of a summary: those with the highest counts
MOST_KIND = 60  # characters
STRANGERS = "strangers"

Source = Prefix | Peer
Key = tuple[str, Source]
Whole = Peer | str


@dataclass(slots=True)
class _Line:
    rate: RateLimit
    suppressed: int = 0


class LogLimit:
    """Decides which of the lines that strangers and peers cause are written. Times are monotonic seconds."""

    def __init__(self) -> None:
        self._lines: OrderedDict[Key, _Line] = OrderedDict()
        self._whole: OrderedDict[Whole, RateLimit] = OrderedDict()
        self._together = RateLimit(*TOGETHER)
        self._forgotten = 0  # suppressed lines of pairs that are remembered no more
        self.suppressed = 0  # since the start

    def allow(self, kind: str, source: Address | Peer, now: float) -> bool:
        """Whether a line of this kind, caused by `source`, is to be written; else it is counted for the
        summary."""
        key = kind[:MOST_KIND], source if isinstance(source, Peer) else prefix_of(source)
        line = self._line(key)
        if line.rate.allow(now) and all(rate.allow(now) for rate in self._wholes(key[1])):
            return True
        line.suppressed += 1
        self.suppressed += 1
        return False

    def _line(self, key: Key) -> _Line:
        line = self._lines.get(key)
        if line is None:
            each = EACH_OF_PEER if isinstance(key[1], Peer) else EACH
            line = self._lines[key] = _Line(RateLimit(*each))
            if len(self._lines) > KEPT:
                _, oldest = self._lines.popitem(last=False)
                self._forgotten += oldest.suppressed
        self._lines.move_to_end(key)
        return line

    def _wholes(self, source: Source) -> Iterator[RateLimit]:
        """The limits on lines of all kinds that apply to the source."""
        if not isinstance(source, Peer):
            yield self._together
            return
        for whole, limit in ((source, OF_PEER), (source.connection, OF_CONNECTION)):
            rate = self._whole.get(whole)
            if rate is None:
                rate = self._whole[whole] = RateLimit(*limit)
                if len(self._whole) > KEPT_WHOLE:
                    self._whole.popitem(last=False)
            self._whole.move_to_end(whole)
            yield rate

    def sums(self) -> Iterator[tuple[str, str]]:
        """The summary's lines, as (subject, text), on what was not written since the last summary."""
        silent = [(key, line) for key, line in self._lines.items() if line.suppressed]
        silent.sort(key=lambda one: -one[1].suppressed)
        for (kind, source), line in silent[:SUMMED]:
            subject = source.connection if isinstance(source, Peer) else str(source)
            yield subject, f"{kind}: and {line.suppressed:,} more from {source}"
        others = self._forgotten + sum(line.suppressed for _, line in silent[SUMMED:])
        if others:
            yield STRANGERS, f"and {others:,} more lines because of others"
        self._forgotten = 0
        for _, line in silent:
            line.suppressed = 0
