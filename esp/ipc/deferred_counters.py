"""Deferred counters: packets of batches of many SAs that wait to be counted, all at once by numpy.

Counting many batches together costs a small part of counting each.
"""

from __future__ import annotations

from collections.abc import Sequence
from itertools import chain

import numpy as np
from numpy.typing import NDArray

from esp.packet.row_layouts import SequenceNumbers

MAX_DEFERRED = 4096  # packets


class DeferredCounters:
    """The waiting counts of one direction. `words`: packets, octets, time and, for egress, the last sequence
    number, as one item a slot, which numpy copies fastest."""

    __slots__ = ("_octets", "_packets", "_sequences", "_slots", "_time", "_words")

    def __init__(self, words: NDArray[np.void]) -> None:
        self._words = words
        self._packets = 0
        self._time = 0
        self._slots: list[Sequence[int]] = []
        self._octets: list[int] = []
        self._sequences: list[SequenceNumbers] = []

    def add(
        self, slots: Sequence[int], octets: int, now: float, sequences: SequenceNumbers | None = None
    ) -> None:
        """Add a packet of `octets` for each of `slots`, which may repeat. `sequences`: the sequence number of
        each; `now`: monotonic seconds."""
        second = int(now)
        if second != self._time:  # waiting counts share one time
            self.flush()
            self._time = second
        self._slots.append(slots)
        self._octets.append(octets)
        self._packets += len(slots)
        if sequences is not None:
            self._sequences.append(sequences)
        if self._packets >= MAX_DEFERRED:
            self.flush()

    def flush(self) -> None:
        """Write the waiting counts."""
        if not self._packets:
            return
        slots, octets, sequences, count = self._slots, self._octets, self._sequences, self._packets
        self._slots, self._octets, self._sequences, self._packets = [], [], [], 0
        at = np.fromiter(chain.from_iterable(slots), np.intp, count)
        packets = np.bincount(at)
        (touched,) = packets.nonzero()
        found = self._words[touched]
        words = found.view(np.uint64).reshape(len(touched), -1)
        words[:, 0] += packets[touched].astype(np.uint64)
        # Floats, exact below 2^53.
        sums = np.bincount(at, np.repeat(octets, [len(each) for each in slots]))
        words[:, 1] += sums[touched].astype(np.uint64)
        words[:, 2] = self._time
        if sequences:
            last = np.empty(len(packets), np.uint64)
            last[at] = np.concatenate(sequences)  # the last one of a slot wins
            words[:, 3] = last[touched]
        self._words[touched] = found
