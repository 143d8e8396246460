"""A bounded reader over bytes: a length field can never make it read past the current limit."""

from __future__ import annotations

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

    def _number(self, size: int) -> int:
        start, stop = self._offset, self._offset + size
        if stop > self._end:
            raise WireError(f"{size} bytes expected, {self.remaining} left")
        self._offset = stop
        return int.from_bytes(self._data[start:stop], "big")

    def rest(self) -> bytes:
        """All bytes left under the limit in force, perhaps none."""
        return self.take(self.remaining)

    def u8(self) -> int:
        offset = self._offset
        if offset >= self._end:
            raise WireError("1 byte expected, 0 left")
        self._offset = offset + 1
        return self._data[offset]

    def u16(self) -> int:
        return self._number(2)

    def u32(self) -> int:
        return self._number(4)

    def u64(self) -> int:
        return self._number(8)

    def end(self) -> None:
        """WireError if bytes are left."""
        if self.remaining:
            raise WireError(f"{self.remaining} bytes left over")

    def restrict(self, size: int) -> Restriction:
        """Limit the `with` block to the next `size` bytes; WireError if it leaves any unread."""
        if not 0 <= size <= self.remaining:
            raise WireError(f"a part of {size} bytes, {self.remaining} left")
        return Restriction(self, size)


class Restriction:
    """Context manager of `Reader.restrict`. A class: a generator would cost more than most blocks read."""

    __slots__ = ("_outer", "_reader", "_size")

    def __init__(self, reader: Reader, size: int) -> None:
        self._reader = reader
        self._size = size
        self._outer = reader._end

    def __enter__(self) -> None:
        self._reader._end = self._reader._offset + self._size

    def __exit__(self, kind: type[BaseException] | None, *_: object) -> None:
        try:
            if kind is None:
                self._reader.end()
        finally:
            self._reader._end = self._outer
