"""IKE messages: the header and the chain of payloads behind it (RFC 7296 3.1, 3.2 and 3.14)."""

from __future__ import annotations

import struct
from collections.abc import Sequence
from dataclasses import dataclass

from ikepy.errors import LocalMisuse, WireError
from ikepy.wire.constants import IKE_VERSION, ExchangeType, HeaderFlag, PayloadType
from ikepy.wire.payloads import Payload, SkfPayload, SkPayload, UnknownPayload, decode_payload
from ikepy.wire.reader import Reader
from ikepy.wire.writer import u8, u16

HEADER_SIZE = 28  # bytes
PAYLOAD_HEADER_SIZE = 4
FRAGMENT_HEADER_SIZE = 8  # of an SKF payload: generic header, fragment number, total fragments
MAX_MESSAGE = 65535 - 28  # bytes: what IPv4 and UDP leave
MAX_PAYLOADS = 128  # in one chain
MAX_FRAGMENTS = 255  # of one message, sent or taken; charon has the same limit

_SPI_SIZE = 8
_NO_SPI = bytes(_SPI_SIZE)
_MAJOR_VERSION = IKE_VERSION >> 4
_RESPONSE, _INITIATOR = int(HeaderFlag.RESPONSE), int(HeaderFlag.INITIATOR)  # flags are slow in arithmetic
_HEADER = struct.Struct("!8s8sBBBBII")
_CRITICAL = b"\x80"
_NOT_CRITICAL = b"\0"


@dataclass(frozen=True, slots=True)
class IkeHeader:
    """The header's fields, less those computed from the payloads (first payload type, length)."""

    spi_i: bytes  # 8 bytes, not all zero
    spi_r: bytes  # 8 bytes, all zero in the first request
    exchange: int
    flags: int
    message_id: int
    version: int = IKE_VERSION

    @property
    def is_response(self) -> bool:
        return bool(self.flags & _RESPONSE)

    @property
    def from_initiator(self) -> bool:
        """Whether the original initiator of the IKE SA sent it, in a request or a response."""
        return bool(self.flags & _INITIATOR)


@dataclass(frozen=True, slots=True)
class Message:
    """A message as on the wire: an SK or SKF payload, which can only be the last, is still encrypted."""

    header: IkeHeader
    payloads: tuple[Payload, ...]


def decode_header(data: bytes) -> tuple[IkeHeader, int, int]:
    """Header, type of the first payload and length of a datagram with one message, no non-ESP marker.

    The version is not checked. WireError if `data` is too short or longer than a message can be, if its
    size is not what the header says, or if the initiator's SPI is zero (3.1), but for what is told outside of
    an IKE_SA (1.5).
    """
    if len(data) < HEADER_SIZE:
        raise WireError(f"{len(data)} bytes are no message")
    spi_i, spi_r, next_payload, version, exchange, flags, message_id, length = _HEADER.unpack_from(data)
    if length != len(data) or length > MAX_MESSAGE:
        raise WireError(f"{length} bytes by the header, {len(data)} in the datagram")
    header = IkeHeader(spi_i, spi_r, exchange, flags, message_id, version)
    if not _may_have_its_spi(header, next_payload):
        raise WireError("the initiator's SPI is zero")
    return header, next_payload, length


def decode_message(data: bytes) -> Message:
    """Decode a datagram without non-ESP marker. WireError if malformed or if its major version is not 2."""
    header, next_payload, _ = decode_header(data)
    if header.version >> 4 != _MAJOR_VERSION:
        raise WireError(f"major version {header.version >> 4}")
    return Message(header, _decode_chain(next_payload, data[HEADER_SIZE:]))


def encode_message(header: IkeHeader, payloads: Sequence[Payload]) -> bytes:
    """Encode an unprotected message, or one whose SK or SKF payload is already encrypted.

    LocalMisuse if a value does not fit its field.
    """
    first, chain = _encode_chain(payloads)
    return _encode_header(header, first, HEADER_SIZE + len(chain)) + chain


def decode_payloads(first: int, data: bytes) -> tuple[Payload, ...]:
    """Decode the payloads of a decrypted SK payload: `first` is the first one's type. Raises WireError."""
    payloads = _decode_chain(first, data)
    if payloads and isinstance(payloads[-1], SkPayload | SkfPayload):
        raise WireError("an encrypted payload inside another one")
    return payloads


def encode_payloads(payloads: Sequence[Payload]) -> tuple[int, bytes]:
    """(type of the first payload, bytes of all), for the inside of an SK payload. Raises LocalMisuse."""
    if any(isinstance(payload, SkPayload | SkfPayload) for payload in payloads):
        raise LocalMisuse("an encrypted payload inside another one")
    return _encode_chain(payloads)


def protected_prefix(header: IkeHeader, first: int, body_length: int) -> bytes:
    """The 32 bytes in front of an SK payload's body: IKE header and generic header, lengths already final.

    They are the AAD of an AEAD (RFC 5282 5.1). `first` is the type of the first payload inside,
    `body_length` goes from the IV to the checksum, in bytes.
    """
    length = PAYLOAD_HEADER_SIZE + body_length
    return (
        _encode_header(header, PayloadType.SK, HEADER_SIZE + length) + u8(first) + _NOT_CRITICAL + u16(length)
    )


def fragment_prefix(header: IkeHeader, first: int, number: int, total: int, body_length: int) -> bytes:
    """The 36 bytes in front of an SKF payload's body: as `protected_prefix`, then fragment number and total.

    `first` is the type of the first payload inside the whole message; it stands in fragment 1 only
    (RFC 7383 2.5).
    """
    if not 1 <= number <= total:
        raise LocalMisuse(f"fragment {number} of {total}")
    length = FRAGMENT_HEADER_SIZE + body_length
    return (
        _encode_header(header, PayloadType.SKF, HEADER_SIZE + length)
        + u8(first if number == 1 else PayloadType.NONE)
        + _NOT_CRITICAL
        + u16(length)
        + u16(number)
        + u16(total)
    )


def _may_have_its_spi(header: IkeHeader, first: int) -> bool:
    """The initiator's SPI is not zero (3.1), but in what is told, unprotected, outside of an IKE_SA (1.5)."""
    if header.spi_i != _NO_SPI:
        return True
    if header.version >> 4 != _MAJOR_VERSION or first in (PayloadType.SK, PayloadType.SKF):
        return False
    return header.exchange == ExchangeType.INFORMATIONAL and not header.is_response


def _encode_header(header: IkeHeader, first: int, length: int) -> bytes:
    if len(header.spi_i) != _SPI_SIZE or len(header.spi_r) != _SPI_SIZE:
        raise LocalMisuse("an IKE SPI that is not of 8 bytes")
    if not _may_have_its_spi(header, first):
        raise LocalMisuse("the initiator's SPI is zero")
    if header.version >> 4 != _MAJOR_VERSION:
        raise LocalMisuse(f"major version {header.version >> 4}")
    if length > MAX_MESSAGE:
        raise LocalMisuse(f"a message of {length} bytes")
    try:
        return _HEADER.pack(
            header.spi_i,
            header.spi_r,
            first,
            header.version,
            header.exchange,
            header.flags,
            header.message_id,
            length,
        )
    except struct.error as error:
        raise LocalMisuse(f"a field of the header does not fit: {error}") from error


def _decode_chain(following: int, data: bytes) -> tuple[Payload, ...]:
    reader = Reader(data)
    payloads: list[Payload] = []
    while following != PayloadType.NONE:
        if len(payloads) == MAX_PAYLOADS:
            raise WireError(f"more than {MAX_PAYLOADS} payloads")
        payload, following = decode_payload(following, reader)
        payloads.append(payload)
    reader.end()
    return tuple(payloads)


def _encode_chain(payloads: Sequence[Payload]) -> tuple[int, bytes]:
    if len(payloads) > MAX_PAYLOADS:
        raise LocalMisuse(f"{len(payloads)} payloads")
    following: int = PayloadType.NONE
    chain: list[bytes] = []
    for payload in reversed(payloads):
        if isinstance(payload, SkPayload | SkfPayload):
            if chain:
                raise LocalMisuse("an encrypted payload that is not the last")
            following = payload.first
        critical = isinstance(payload, UnknownPayload) and payload.critical
        body = payload.encode()
        chain += (
            body,
            u8(following) + (_CRITICAL if critical else _NOT_CRITICAL) + u16(PAYLOAD_HEADER_SIZE + len(body)),
        )
        following = payload.type
    chain.reverse()
    return following, b"".join(chain)
