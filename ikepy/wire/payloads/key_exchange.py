"""Key Exchange and Nonce payloads (RFC 7296 3.4 and 3.9)."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from ikepy.errors import LocalMisuse, WireError
from ikepy.wire.constants import PayloadType
from ikepy.wire.reader import Reader
from ikepy.wire.writer import u16

MIN_NONCE = 16  # bytes
MAX_NONCE = 256


@dataclass(frozen=True, slots=True)
class KePayload:
    """A public value. Its length is checked against the group in the key exchange, not here."""

    type: ClassVar[PayloadType] = PayloadType.KE
    group: int
    data: bytes

    @classmethod
    def decode(cls, reader: Reader) -> KePayload:
        group = reader.u16()
        reader.u16()
        return cls(group, reader.rest())

    def encode(self) -> bytes:
        return u16(self.group) + b"\0\0" + self.data


@dataclass(frozen=True, slots=True)
class NoncePayload:
    """16 to 256 random bytes."""

    type: ClassVar[PayloadType] = PayloadType.NONCE
    data: bytes

    @classmethod
    def decode(cls, reader: Reader) -> NoncePayload:
        data = reader.rest()
        if not MIN_NONCE <= len(data) <= MAX_NONCE:
            raise WireError(f"a nonce of {len(data)} bytes")
        return cls(data)

    def encode(self) -> bytes:
        if not MIN_NONCE <= len(self.data) <= MAX_NONCE:
            raise LocalMisuse(f"a nonce of {len(self.data)} bytes")
        return self.data
