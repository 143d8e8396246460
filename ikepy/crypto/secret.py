"""A byte string that must not leak: no repr, no pickle, no copy, compared in constant time."""

from hmac import compare_digest
from typing import NoReturn, Self

from ikepy.errors import LocalMisuse


class Secret:
    """Key material. Only `expose` returns the bytes; LocalMisuse after `wipe`.

    `wipe` overwrites the buffer kept here. Copies that `expose` handed out, and those that the interpreter
    or OpenSSL made of them, are out of its reach.
    """

    __slots__ = ("_data", "_wiped")

    def __init__(self, data: bytes | bytearray | memoryview) -> None:
        self._data = bytearray(data)
        self._wiped = False

    @classmethod
    def join(cls, *secrets: "Secret") -> Self:
        """Concatenate secrets."""
        return cls(b"".join(secret.expose() for secret in secrets))

    def expose(self) -> bytes:
        """The bytes themselves. LocalMisuse if they were wiped."""
        if self._wiped:
            raise LocalMisuse("this secret was wiped")
        return bytes(self._data)

    def split(self, *sizes: int) -> "list[Secret]":
        """Consecutive pieces of `sizes` bytes; together they must be the whole, else LocalMisuse."""
        data = self.expose()
        if sum(sizes) != len(data) or any(size < 0 for size in sizes):
            raise LocalMisuse(f"cannot split {len(data)} bytes into pieces of {sizes}")
        pieces = []
        start = 0
        for size in sizes:
            pieces.append(Secret(data[start : start + size]))
            start += size
        return pieces

    def wipe(self) -> None:
        """Overwrite the bytes with zeros. May be called again."""
        self._data[:] = bytes(len(self._data))
        self._wiped = True

    def __len__(self) -> int:
        return len(self._data)

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, Secret):
            return NotImplemented
        return compare_digest(self.expose(), other.expose())

    __hash__ = None  # type: ignore[assignment]  # a hash would be one more place that depends on the bytes

    def __repr__(self) -> str:
        return f"Secret({len(self._data)} bytes)"

    def __reduce_ex__(self, protocol: object) -> NoReturn:
        raise TypeError("a Secret is neither pickled nor copied")
