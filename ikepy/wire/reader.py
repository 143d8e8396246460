"""A bounded reader over bytes: whatever the lengths in it say, nothing is read past the limit in force."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from ikepy.errors import WireError


class Reader:
    """Reads big-endian fields one after the other. Every method raises WireError, nothing else."""

    __slots__ = ("_data", "_end", "_offset")

    def __init__(self, data: bytes) -> None:
        self._data = data
        self._offset = 0
        self._end = len(data)

    @property
    def remaining(self) -> int:
        """Bytes left under the limit in force."""
        return self._end - self._offset

    def take(self, size: int) -> bytes:
        """The next `size` bytes."""
        start, stop = self._offset, self._offset + size
        if size < 0 or stop > self._end:
            raise WireError(f"{size} bytes expected, {self.remaining} left")
        self._offset = stop
        return self._data[start:stop]

    def rest(self) -> bytes:
        """All bytes left under the limit in force, perhaps none."""
        return self.take(self.remaining)

    def u8(self) -> int:
        return self.take(1)[0]

    def u16(self) -> int:
        return int.from_bytes(self.take(2), "big")

    def u32(self) -> int:
        return int.from_bytes(self.take(4), "big")

    def u64(self) -> int:
        return int.from_bytes(self.take(8), "big")

    def end(self) -> None:
        """WireError if bytes are left."""
        if self.remaining:
            raise WireError(f"{self.remaining} bytes left over")

    @contextmanager
    def restrict(self, size: int) -> Iterator[None]:
        """Inside the block only the next `size` bytes can be read, and all of them must be."""
        if not 0 <= size <= self.remaining:
            raise WireError(f"a part of {size} bytes, {self.remaining} left")
        outer, self._end = self._end, self._offset + size
        try:
            yield
            self.end()
        finally:
            self._end = outer
