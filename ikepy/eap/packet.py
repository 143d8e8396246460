"""EAP packets: bytes to values and back (RFC 3748 4).

A packet in an EAP payload has no padding behind it (RFC 7296 3.16): octets beyond its length are an error
here, where RFC 3748 4.1 would ignore them as a link's padding.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import IntEnum

from ikepy.errors import LocalMisuse, WireError
from ikepy.wire.reader import Reader

HEADER = 4  # octets: code, identifier, length
MAX_PACKET = 8192  # octets; TLS comes in fragments of about 1,000, nothing else is near that


class Code(IntEnum):
    REQUEST = 1
    RESPONSE = 2
    SUCCESS = 3
    FAILURE = 4


class EapType(IntEnum):
    """Types of requests and responses (RFC 3748 5, IANA's registry of EAP method types)."""

    IDENTITY = 1
    NOTIFICATION = 2
    NAK = 3
    MD5 = 4
    GTC = 6
    TLS = 13
    TTLS = 21
    PEAP = 25
    MSCHAPV2 = 26
    EXPANDED = 254


@dataclass(frozen=True, slots=True)
class Packet:
    """An EAP packet. `type` is None in Success and Failure; `data`: what follows the type."""

    code: Code
    identifier: int
    type: int | None = None
    data: bytes = b""

    @classmethod
    def decode(cls, octets: bytes) -> Packet:
        """WireError if `octets` are not exactly one packet."""
        if len(octets) > MAX_PACKET:
            raise WireError(f"an EAP packet of {len(octets)} octets, at most {MAX_PACKET}")
        reader = Reader(octets)
        code, identifier, length = reader.u8(), reader.u8(), reader.u16()
        if length != len(octets):
            raise WireError(f"an EAP packet of length {length} in {len(octets)} octets")
        match code:
            case Code.REQUEST | Code.RESPONSE:
                return cls(Code(code), identifier, reader.u8(), reader.rest())
            case Code.SUCCESS | Code.FAILURE:
                reader.end()
                return cls(Code(code), identifier)
        raise WireError(f"EAP code {code}")

    def encode(self) -> bytes:
        body = b"" if self.type is None else bytes([self.type]) + self.data
        if (self.type is None) != (self.code in (Code.SUCCESS, Code.FAILURE)):
            raise LocalMisuse(f"an EAP packet of code {self.code.name} and type {self.type}")
        length = HEADER + len(body)
        return bytes([self.code, self.identifier]) + length.to_bytes(2, "big") + body


def type_name(number: int) -> str:
    """How the log calls a method: in swanctl's words where there are any."""
    try:
        return f"EAP-{EapType(number).name}"
    except ValueError:
        return f"EAP method {number}"
