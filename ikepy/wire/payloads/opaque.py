"""Payloads whose content is kept undecoded: V, EAP (RFC 7296 3.12, 3.16) and unknown ones."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from ikepy.errors import LocalMisuse
from ikepy.wire.constants import PayloadType
from ikepy.wire.reader import Reader


@dataclass(frozen=True, slots=True)
class VendorIdPayload:
    type: ClassVar[PayloadType] = PayloadType.VENDOR_ID
    data: bytes

    @classmethod
    def decode(cls, reader: Reader) -> VendorIdPayload:
        return cls(reader.rest())

    def encode(self) -> bytes:
        return self.data


@dataclass(frozen=True, slots=True)
class EapPayload:
    type: ClassVar[PayloadType] = PayloadType.EAP
    data: bytes

    @classmethod
    def decode(cls, reader: Reader) -> EapPayload:
        return cls(reader.rest())

    def encode(self) -> bytes:
        return self.data


@dataclass(frozen=True, slots=True)
class UnknownPayload:
    """A payload type that we do not know. If `critical`, its message must be refused (RFC 7296 2.5)."""

    type: int
    critical: bool
    data: bytes

    def encode(self) -> bytes:
        if self.type in PayloadType.__members__.values():
            raise LocalMisuse(f"payload type {self.type} is known")
        return self.data
