"""Configuration payloads (RFC 7296 3.15): attributes, whose values `ikepy.wire.attributes` reads."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from ikepy.errors import LocalMisuse, WireError
from ikepy.wire.constants import PayloadType
from ikepy.wire.reader import Reader
from ikepy.wire.writer import u8, u16

MAX_ATTRIBUTES = 256  # of one payload; the format allows 16,000
MAX_TYPE = 0x7FFF  # the bit above is reserved


@dataclass(frozen=True, slots=True)
class Attribute:
    """One attribute, known or not; an empty value asks for one, or says that there is none."""

    type: int
    value: bytes = b""

    @classmethod
    def decode(cls, reader: Reader) -> Attribute:
        type, size = reader.u16() & MAX_TYPE, reader.u16()
        return cls(type, reader.take(size))

    def encode(self) -> bytes:
        if self.type > MAX_TYPE:
            raise LocalMisuse(f"configuration attribute {self.type}: a type has 15 bits")
        return u16(self.type) + u16(len(self.value)) + self.value


@dataclass(frozen=True, slots=True)
class CpPayload:
    """`cfg_type`: a `CfgType`, or a number that we do not know."""

    type: ClassVar[PayloadType] = PayloadType.CP
    cfg_type: int
    attributes: tuple[Attribute, ...] = ()

    @classmethod
    def decode(cls, reader: Reader) -> CpPayload:
        cfg_type = reader.u8()
        reader.take(3)
        attributes: list[Attribute] = []
        while reader.remaining:
            if len(attributes) == MAX_ATTRIBUTES:
                raise WireError(f"more than {MAX_ATTRIBUTES} attributes in a configuration payload")
            attributes.append(Attribute.decode(reader))
        return cls(cfg_type, tuple(attributes))

    def encode(self) -> bytes:
        if len(self.attributes) > MAX_ATTRIBUTES:
            raise LocalMisuse(f"{len(self.attributes)} attributes in a configuration payload")
        return u8(self.cfg_type) + b"\0\0\0" + b"".join(one.encode() for one in self.attributes)
