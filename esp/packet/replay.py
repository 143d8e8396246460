"""Anti-replay window of one inbound SA (RFC 4303 3.4.3), which infers the high half of ESNs (Appendix A2)."""

from __future__ import annotations

from array import array
from collections.abc import Iterable, Sequence

import numpy as np

from esp.packet.row_layouts import STEPS, LowHalves

MAX_WINDOW = 4096

_LOW = 1 << 32
_LAST = (1 << 64) - 1
_STEPS = STEPS.astype(np.uint32)
_HALF = 1 << 31  # without a window the number nearest to the highest one is inferred


class ReplayWindow:
    """The sequence numbers seen among the last `size` ones (0: no anti-replay).

    A slot of the ring holds the highest number marked among those that share it, so moving the window clears
    nothing. A number may be marked only after its packet's ICV was verified.
    """

    __slots__ = ("_esn", "_ring", "_slots", "size", "top")

    def __init__(self, size: int, esn: bool, top: int = 0) -> None:
        """`top`: the right edge at the start; numbers at or below it count as marked, so that packets which
        arrived elsewhere are no news here. Raises ValueError if `size` is not in 0..4096, or for a `top`
        beyond 2^32 - 1 (with ESN: 2^64 - 1)."""
        if not 0 <= size <= MAX_WINDOW:
            raise ValueError(f"a replay window of {size} packets, not 0..{MAX_WINDOW}")
        if not 0 <= top <= (_LAST if esn else _LOW - 1):
            raise ValueError(f"{top} is no sequence number: 0..{_LAST if esn else _LOW - 1}")
        self.size = size
        self.top = top  # the highest number marked, 64 bits
        self._esn = esn
        self._ring = array("Q", bytes(8 * size))  # all 0, which is no valid sequence number
        # The same memory as an array; numpy makes none of an empty buffer.
        self._slots = np.frombuffer(self._ring, np.uint64) if size else np.zeros(0, np.uint64)
        self._mark_each(range(max(top - size, 0) + 1, top + 1) if size else ())

    def check(self, low: int) -> int | None:
        """The 64-bit sequence number that these low 32 bits stand for; None if it is a replay or left of the
        window."""
        sequence = self._infer(low) if self._esn else low
        if not 0 <= sequence <= _LAST:
            return None
        if self.size and not self._is_new(sequence):
            return None
        return sequence

    def above_top(self, low: int) -> int | None:
        """The 64-bit sequence number if it is above all marked ones; None says nothing: use `check`."""
        sequence = self._infer(low) if self._esn else low
        return sequence if self.top < sequence <= _LAST else None

    def advance(self, sequence: int) -> None:
        """Mark a number from `above_top` whose packet was authentic."""
        if self.size:
            self._ring[sequence % self.size] = sequence
        self.top = sequence

    def check_batch(self, lows: LowHalves) -> Sequence[int] | None:
        """`check` for a batch: the sequence numbers, if all can be accepted and none comes twice; else
        None."""
        count, low = len(lows), lows.item(0)
        first = self.check(low)
        if first is None:
            return None
        # With ESN a first number left of the window is inferred as far ahead, the others are not.
        if first > self.top and self.check(lows.item(count - 1)) == first + count - 1:
            octets = (lows - _STEPS[:count]).tobytes()
            if octets == octets[:4] * count:
                return range(first, first + count)
        found = [number for each in lows.tolist() if (number := self.check(each)) is not None]
        return found if len(set(found)) == count else None

    def mark_batch(self, numbers: Sequence[int]) -> None:
        """Mark numbers from `check_batch` whose packets were authentic: all of them, or a list of some."""
        size = self.size
        if not numbers:
            return
        if size:
            if isinstance(numbers, range):  # all are above the top
                self._fill(numbers[-size:])
            else:
                self._mark_each(numbers)
        self.top = max(self.top, numbers[-1] if isinstance(numbers, range) else max(numbers))

    def _fill(self, numbers: range) -> None:
        """Mark consecutive numbers above the top, no more than there are slots."""
        start, values = numbers[0] % self.size, np.arange(numbers.start, numbers.stop, dtype=np.uint64)
        fits = self.size - start
        self._slots[start : start + len(numbers)] = values[:fits]
        if len(numbers) > fits:
            self._slots[: len(numbers) - fits] = values[fits:]

    def _mark_each(self, numbers: Iterable[int]) -> None:
        ring, size = self._ring, self.size
        for number in numbers:
            # In any order of arrival a slot keeps its highest number.
            if number > ring[number % size]:
                ring[number % size] = number

    def mark(self, sequence: int) -> bool:
        """Mark a number whose packet was authentic; False if it was marked since `check`."""
        if self.size:
            if not self._is_new(sequence):
                return False
            self._ring[sequence % self.size] = sequence
        if sequence > self.top:
            self.top = sequence
        return True

    def _is_new(self, sequence: int) -> bool:
        if sequence > self.top:
            return True
        return sequence > self.top - self.size and self._ring[sequence % self.size] != sequence

    def _infer(self, low: int) -> int:
        """Appendix A2.2: below the window's left edge a number belongs to the next 2^32 ones."""
        bottom = self.top - (self.size or _HALF) + 1
        sequence = bottom - bottom % _LOW + low
        return sequence if sequence >= bottom else sequence + _LOW
