"""Encrypted payloads, still encrypted: SK (RFC 7296 3.14) and its fragments SKF (RFC 7383 2.5)."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from ikepy.errors import LocalMisuse, WireError
from ikepy.wire.constants import PayloadType
from ikepy.wire.reader import Reader
from ikepy.wire.writer import u16


@dataclass(frozen=True, slots=True)
class SkPayload:
    """`first` is the type of the first payload inside, `body` goes from the IV to the checksum."""

    type: ClassVar[PayloadType] = PayloadType.SK
    first: int
    body: bytes

    @classmethod
    def decode(cls, first: int, reader: Reader) -> SkPayload:
        return cls(first, reader.rest())

    def encode(self) -> bytes:
        return self.body


@dataclass(frozen=True, slots=True)
class SkfPayload:
    """Fragment `number` of `total`, counted from 1. `first` is valid in fragment 1 only."""

    type: ClassVar[PayloadType] = PayloadType.SKF
    first: int
    number: int
    total: int
    body: bytes

    @classmethod
    def decode(cls, first: int, reader: Reader) -> SkfPayload:
        number, total = reader.u16(), reader.u16()
        if not 1 <= number <= total:
            raise WireError(f"fragment {number} of {total}")
        return cls(first, number, total, reader.rest())

    def encode(self) -> bytes:
        if not 1 <= self.number <= self.total:
            raise LocalMisuse(f"fragment {self.number} of {self.total}")
        return u16(self.number) + u16(self.total) + self.body
