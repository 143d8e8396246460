"""Counters of one worker in shared memory: the worker writes, control reads without asking.

The memory is an array of 64-bit words: first the drops without an SA, a word a reason; then for each slot (an
SA pair) packets, octets, times, the sequence number and whose they are, and its drops, a word a reason.
Only the worker writes. Control gives a slot to another SA pair before the worker knows of it: until then its
counters are the former one's.
"""

from __future__ import annotations

import mmap
import os
from collections.abc import Sequence
from dataclasses import dataclass, fields
from types import TracebackType
from typing import Self

import numpy as np
from numpy.typing import NDArray

from esp.ipc.deferred_counters import DeferredCounters
from esp.packet.drop_reasons import Drop
from esp.packet.row_layouts import SequenceNumbers

_WORD = 8


@dataclass(frozen=True, slots=True)
class SaCounters:
    """The counters of one SA pair. Octets are of inner packets, times whole monotonic seconds (0: never):
    one clock for all processes, which nobody sets."""

    in_packets: int
    in_bytes: int
    in_last: int
    out_packets: int
    out_bytes: int
    out_last: int
    out_seq: int  # the last sequence number taken
    drops: dict[str, int]  # by `Drop.text`, without those that are 0


NOTHING = SaCounters(0, 0, 0, 0, 0, 0, 0, {})
_IN_PACKETS, _IN_BYTES, _IN_LAST, _OUT_PACKETS, _OUT_BYTES, _OUT_LAST, _OUT_SEQ = range(
    len(fields(SaCounters)) - 1
)
_OWNER = _OUT_SEQ + 1  # 1 + child_id; 0: nobody
_SA_DROPS = _OWNER + 1
_REASONS = len(Drop)
_SA_WORDS = _SA_DROPS + _REASONS


class CounterBlock:
    """The shared memory of one worker's counters, in control or in the worker."""

    def __init__(self, fd: int, slots: int) -> None:
        """Use `create` or `attach`."""
        self.fd = fd
        self.slots = slots
        self._map = mmap.mmap(fd, _size(slots))
        self._words = memoryview(self._map).cast("Q")
        self._in = DeferredCounters(self._columns(_IN_PACKETS, _IN_LAST))
        self._out = DeferredCounters(self._columns(_OUT_PACKETS, _OUT_SEQ))
        self.has_deferred = False  # counts that are not in the memory yet

    def _columns(self, first: int, last: int) -> NDArray[np.void]:
        """These words of each slot as one item a slot, which numpy copies fastest."""
        size, begin = (last - first + 1) * _WORD, (_REASONS + first) * _WORD
        return np.ndarray((self.slots,), f"V{size}", self._map, begin, (_SA_WORDS * _WORD,))

    @classmethod
    def create(cls, slots: int) -> CounterBlock:
        """New memory, all zero, for `slots` SAs. Raises OSError, and ValueError for less than one slot."""
        if slots < 1:
            raise ValueError(f"{slots} slots")
        fd = os.memfd_create("ikepy-counters", os.MFD_CLOEXEC)
        try:
            os.ftruncate(fd, _size(slots))
            return cls(fd, slots)
        except BaseException:
            os.close(fd)
            raise

    @classmethod
    def attach(cls, fd: int) -> CounterBlock:
        """The memory behind `fd`, which is this object's from now on. Raises ValueError if it holds no
        counters."""
        size = os.fstat(fd).st_size
        slots = (size // _WORD - _REASONS) // _SA_WORDS
        if slots < 1 or size != _size(slots):
            raise ValueError("this is no memory for counters")
        return cls(fd, slots)

    def close(self) -> None:
        """Unmap the memory and close its descriptor."""
        self.flush()
        del self._in, self._out
        self._words.release()
        self._map.close()
        os.close(self.fd)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    # Reading

    def drops(self) -> dict[str, int]:
        """Packets that this worker dropped without an SA, by reason, without those that are 0."""
        return self._drops_at(0)

    def sa(self, slot: int) -> SaCounters:
        """The counters of a slot. Raises IndexError if there is no such slot."""
        base = self._base(slot)
        in_packets, in_bytes, in_last, out_packets, out_bytes, out_last, out_seq = self._words[
            base : base + _OWNER
        ].tolist()
        drops = self._drops_at(base + _SA_DROPS)
        return SaCounters(in_packets, in_bytes, in_last, out_packets, out_bytes, out_last, out_seq, drops)

    def of_child(self, slot: int, child_id: int) -> SaCounters:
        """The counters of a child's SA pair; nothing, until the worker has taken the slot for it. Raises
        IndexError if there is no such slot."""
        return self.sa(slot) if self._words[self._base(slot) + _OWNER] == child_id + 1 else NOTHING

    def volume(self, slot: int, child_id: int) -> tuple[int, int]:
        """Octets and packets of an SA pair, each of the direction that had more; as `of_child`."""
        base = self._base(slot)
        words = self._words
        if words[base + _OWNER] != child_id + 1:
            return 0, 0
        return (
            max(words[base + _IN_BYTES], words[base + _OUT_BYTES]),
            max(words[base + _IN_PACKETS], words[base + _OUT_PACKETS]),
        )

    # Writing: the worker only

    def clear(self, slot: int, child_id: int) -> None:
        """Zero a slot, which is that child's from now on. Raises IndexError if there is no such slot."""
        base = self._base(slot)
        self._words[base : base + _SA_WORDS] = memoryview(bytes(_SA_WORDS * _WORD)).cast("Q")
        self._words[base + _OWNER] = child_id + 1

    def count_in(self, slot: int, packets: int, octets: int, now: float) -> None:
        """Count `packets` of `octets` in all that were received at `now` (monotonic seconds)."""
        base = self._base(slot)
        words = self._words
        words[base + _IN_PACKETS] += packets
        words[base + _IN_BYTES] += octets
        words[base + _IN_LAST] = int(now)

    def count_sealed(self, slot: int, packets: int, octets: int, sequence: int, now: float) -> None:
        """Count `packets` of `octets` in all, sent at `now` (monotonic seconds), up to number `sequence`."""
        base = self._base(slot)
        words = self._words
        words[base + _OUT_PACKETS] += packets
        words[base + _OUT_BYTES] += octets
        words[base + _OUT_LAST] = int(now)
        words[base + _OUT_SEQ] = sequence

    def count_each_in(self, slots: Sequence[int], octets: int, now: float) -> None:
        """Count one packet for each of `slots`, which may repeat: deferred until `flush`, or until anything
        else is counted."""
        self.has_deferred = True
        self._in.add(slots, octets, now)

    def count_each_out(
        self, slots: Sequence[int], octets: int, sequences: SequenceNumbers, now: float
    ) -> None:
        """`count_sealed` of one packet for each of `slots`, deferred as well."""
        self.has_deferred = True
        self._out.add(slots, octets, now, sequences)

    def flush(self) -> None:
        """Write the deferred counts."""
        if self.has_deferred:
            self.has_deferred = False
            self._in.flush()
            self._out.flush()

    def set_sequence(self, slot: int, sequence: int) -> None:
        """Publish the last sequence number taken."""
        self._words[self._base(slot) + _OUT_SEQ] = sequence

    def drop(self, reason: Drop, count: int = 1, slot: int | None = None) -> None:
        """Count dropped packets, under the SA of `slot` if there is one."""
        base = 0 if slot is None else self._base(slot) + _SA_DROPS
        self._words[base + reason] += count

    def _base(self, slot: int) -> int:
        """The index of a slot's first word; writes the deferred counts before."""
        if self.has_deferred:
            self.flush()
        if not 0 <= slot < self.slots:
            raise IndexError(f"slot {slot} of {self.slots}")
        return _REASONS + slot * _SA_WORDS

    def _drops_at(self, base: int) -> dict[str, int]:
        counts = self._words[base : base + _REASONS].tolist()
        return {reason.text: counts[reason] for reason in Drop if counts[reason]} if any(counts) else {}


def _size(slots: int) -> int:
    return (_REASONS + slots * _SA_WORDS) * _WORD
