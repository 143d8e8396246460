"""Proposals and transforms, the values inside an SA payload (RFC 7296 3.3.1 to 3.3.5)."""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache

from ikepy.errors import LocalMisuse, WireError
from ikepy.wire.constants import AttributeType
from ikepy.wire.reader import Reader
from ikepy.wire.writer import u8, u16

MAX_PROPOSALS = 64  # in an SA payload; the format itself has no limit
MAX_TRANSFORMS = 128  # in a proposal; the format allows 255

# The values of "Last Substruc" if another one follows; it is 0 in the last.
_MORE_PROPOSALS = 2
_MORE_TRANSFORMS = 3

_TRANSFORM_HEADER = 8
_PROPOSAL_HEADER = 8
_USUAL = 8  # bytes behind the length; transforms up to this size are cached, as the same ones recur
_FIXED_FORMAT = 0x8000  # the AF bit: type and 16-bit value, no length


@dataclass(frozen=True, slots=True)
class Transform:
    """One algorithm (RFC 7296 3.3.2). Numbers that we do not know are kept."""

    type: int
    id: int
    key_length: int | None = None  # bits
    unknown_attributes: bytes = b""  # as they came, with their headers

    @property
    def unknown_attribute(self) -> bool:
        """Whether it has an unknown attribute; such a transform is never selected (RFC 7296 3.3.6)."""
        return bool(self.unknown_attributes)

    @classmethod
    def decode(cls, reader: Reader, more: bool) -> Transform:
        """Reads one transform substructure; `more`: another one must follow."""
        _last_substruc(reader, _MORE_TRANSFORMS if more else 0)
        size = reader.u16() - 4
        if 0 <= size <= _USUAL:
            return _decode_usual(reader.take(size))
        with reader.restrict(size):
            return _decode_body(reader)

    def encode(self, more: bool) -> bytes:
        """The transform substructure; `more`: another one follows."""
        return _encode_usual(self, more) if len(self.unknown_attributes) <= _USUAL else self._encode(more)

    def _encode(self, more: bool) -> bytes:
        attributes = self.unknown_attributes
        if self.key_length is not None:
            attributes = u16(_FIXED_FORMAT | AttributeType.KEY_LENGTH) + u16(self.key_length) + attributes
        return b"".join(
            (
                u8(_MORE_TRANSFORMS if more else 0),
                b"\0",
                u16(_TRANSFORM_HEADER + len(attributes)),
                u8(self.type),
                b"\0",
                u16(self.id),
                attributes,
            )
        )


@dataclass(frozen=True, slots=True)
class Proposal:
    """One alternative: a protocol with the transforms it may use (RFC 7296 3.3.1)."""

    number: int
    protocol: int
    spi: bytes  # the sender's: empty, 4 (ESP, AH) or 8 bytes (IKE)
    transforms: tuple[Transform, ...]

    @classmethod
    def decode(cls, reader: Reader) -> tuple[Proposal, bool]:
        """Reads one proposal substructure: its value, and whether another one must follow."""
        last = reader.u8()
        if last not in (0, _MORE_PROPOSALS):
            raise WireError(f"{last} as Last Substruc of a proposal")
        reader.u8()
        with reader.restrict(reader.u16() - 4):
            number, protocol, spi_size, count = reader.u8(), reader.u8(), reader.u8(), reader.u8()
            if count > MAX_TRANSFORMS:
                raise WireError(f"{count} transforms in a proposal")
            spi = reader.take(spi_size)
            transforms = tuple(Transform.decode(reader, more=n > 1) for n in range(count, 0, -1))
        return cls(number, protocol, spi, transforms), last == _MORE_PROPOSALS

    def encode(self, more: bool) -> bytes:
        """The proposal substructure; `more`: another one follows."""
        count = len(self.transforms)
        if count > MAX_TRANSFORMS:
            raise LocalMisuse(f"{count} transforms in a proposal")
        body = self.spi + b"".join(
            one.encode(more=left > 0)
            for one, left in zip(self.transforms, range(count - 1, -1, -1), strict=True)
        )
        return b"".join(
            (
                u8(_MORE_PROPOSALS if more else 0),
                b"\0",
                u16(_PROPOSAL_HEADER + len(body)),
                u8(self.number),
                u8(self.protocol),
                u8(len(self.spi)),
                u8(count),
                body,
            )
        )


def _decode_body(reader: Reader) -> Transform:
    type = reader.u8()
    reader.u8()
    id = reader.u16()
    return Transform(type, id, *_decode_attributes(reader))


@lru_cache(256)
def _decode_usual(body: bytes) -> Transform:
    reader = Reader(body)
    made = _decode_body(reader)
    reader.end()
    return made


@lru_cache(256)
def _encode_usual(transform: Transform, more: bool) -> bytes:
    return transform._encode(more)


def _last_substruc(reader: Reader, expected: int) -> None:
    last = reader.u8()
    if last != expected:
        raise WireError(f"{last} as Last Substruc of a transform, {expected} expected")
    reader.u8()


def _decode_attributes(reader: Reader) -> tuple[int | None, bytes]:
    """Decode the key length, if present, and keep every other attribute as received.

    Key Length is known in the fixed (TV) format only. A second Key Length counts as unknown.
    """
    key_length: int | None = None
    unknown: list[bytes] = []
    while reader.remaining:
        head = reader.u16()
        value = reader.take(2)
        if head == _FIXED_FORMAT | AttributeType.KEY_LENGTH and key_length is None:
            key_length = int.from_bytes(value, "big")
            continue
        unknown += (u16(head), value)
        if not head & _FIXED_FORMAT:
            unknown.append(reader.take(int.from_bytes(value, "big")))
    return key_length, b"".join(unknown)
