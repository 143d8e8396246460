"""Identification and authentication: ID, CERT, CERTREQ and AUTH payloads (RFC 7296 3.5 to 3.8)."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import ClassVar

from ikepy.errors import LocalMisuse, WireError
from ikepy.wire.constants import IdType, PayloadType
from ikepy.wire.reader import Reader
from ikepy.wire.writer import u8

_RESERVED = b"\0\0\0"

# Identities of a fixed size, in bytes.
_ID_SIZES: dict[int, int] = {IdType.IPV4_ADDR: 4, IdType.IPV6_ADDR: 16}


@dataclass(frozen=True, slots=True)
class IdPayload:
    """IDi or IDr. An address has its right length; any other data is as the sender wrote it.

    `reserved` means nothing, but AUTH covers it as it came (RFC 7296 2.15).
    """

    type: PayloadType  # ID_I or ID_R
    id_type: int
    data: bytes
    reserved: bytes = field(default=_RESERVED, compare=False)

    @classmethod
    def decode(cls, type: PayloadType, reader: Reader) -> IdPayload:
        id_type = reader.u8()
        reserved = reader.take(len(_RESERVED))
        data = reader.rest()
        if len(data) != _ID_SIZES.get(id_type, len(data)):
            raise WireError(f"an identity of type {id_type} with {len(data)} bytes")
        return cls(type, id_type, data, reserved)

    def encode(self) -> bytes:
        """The payload without its generic header: what AUTH covers (RFC 7296 2.15)."""
        if self.type not in (PayloadType.ID_I, PayloadType.ID_R):
            raise LocalMisuse(f"an identity in a payload of type {self.type}")
        if len(self.data) != _ID_SIZES.get(self.id_type, len(self.data)):
            raise LocalMisuse(f"an identity of type {self.id_type} with {len(self.data)} bytes")
        if len(self.reserved) != len(_RESERVED):
            raise LocalMisuse(f"{len(self.reserved)} reserved bytes")
        return u8(self.id_type) + self.reserved + self.data


@dataclass(frozen=True, slots=True)
class CertPayload:
    """A certificate or related data, in the format that `encoding` gives."""

    type: ClassVar[PayloadType] = PayloadType.CERT
    encoding: int
    data: bytes

    @classmethod
    def decode(cls, reader: Reader) -> CertPayload:
        return cls(reader.u8(), reader.rest())

    def encode(self) -> bytes:
        return u8(self.encoding) + self.data


@dataclass(frozen=True, slots=True)
class CertReqPayload:
    """Certification authorities that the sender trusts."""

    type: ClassVar[PayloadType] = PayloadType.CERTREQ
    encoding: int
    data: bytes

    @classmethod
    def decode(cls, reader: Reader) -> CertReqPayload:
        return cls(reader.u8(), reader.rest())

    def encode(self) -> bytes:
        return u8(self.encoding) + self.data


@dataclass(frozen=True, slots=True)
class AuthPayload:
    """The proof: a MIC or a signature."""

    type: ClassVar[PayloadType] = PayloadType.AUTH
    method: int
    data: bytes

    @classmethod
    def decode(cls, reader: Reader) -> AuthPayload:
        method = reader.u8()
        reader.take(3)
        return cls(method, reader.rest())

    def encode(self) -> bytes:
        return u8(self.method) + _RESERVED + self.data
