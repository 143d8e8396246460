"""Messages as they are to be sent, right or wrong in any field (RFC 7296 3.1, 3.2, 3.14; RFC 7383 2.5)."""

from __future__ import annotations

import os
import struct
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Any, Self

from ikepy.crypto.sk_cipher import SkCipher
from ikepy.errors import LocalMisuse
from ikepy.wire.constants import IKE_VERSION, PayloadType
from ikepy.wire.message import IkeHeader, fragment_prefix
from ikepy.wire.payloads import Payload

_HEADER = struct.Struct("!8s8sBBBBII")
HEADER_SIZE = _HEADER.size
_CRITICAL = 0x80


@dataclass(frozen=True, slots=True)
class RawPayload:
    """A payload with any generic header: `reserved` are the seven bits behind the critical bit; `length` and
    `following`, where given, stand in the place of the right values."""

    type: int
    body: bytes
    critical: bool = False
    reserved: int = 0
    length: int | None = None
    following: int | None = None

    def encode(self) -> bytes:
        return self.body


AnyPayload = Payload | RawPayload


def raw(payload: AnyPayload, **changes: Any) -> RawPayload:
    """A payload as a `RawPayload` with some of its fields changed."""
    found = payload if isinstance(payload, RawPayload) else RawPayload(payload.type, payload.encode())
    return replace(found, **changes)


def chain(payloads: Sequence[AnyPayload]) -> tuple[int, bytes]:
    """(type of the first payload, octets of all)."""
    octets = []
    for index, payload in enumerate(payloads):
        one = raw(payload)
        right = payloads[index + 1].type if index + 1 < len(payloads) else PayloadType.NONE
        following = right if one.following is None else one.following
        length = 4 + len(one.body) if one.length is None else one.length
        flags = (_CRITICAL if one.critical or getattr(payload, "critical", False) else 0) | one.reserved
        octets.append(struct.pack("!BBH", following, flags, length) + one.body)
    return (payloads[0].type if payloads else PayloadType.NONE), b"".join(octets)


@dataclass(frozen=True, slots=True)
class Draft:
    """A message to be sent, each of whose fields can be changed (`but`) before it is encoded.

    `cipher`: it is sealed in an SK payload; None: sent in the clear. `first`, `length`: the header's Next
    Payload and Length in the place of the right ones; `sk_reserved`: the reserved bits of the SK payload;
    `plaintext`: (first payload type, octets) inside SK in the place of `payloads`; `spoil`: what is done to
    the finished octets.
    """

    exchange: int
    payloads: tuple[AnyPayload, ...]
    message_id: int
    flags: int
    spi_i: bytes
    spi_r: bytes
    cipher: SkCipher | None = None
    version: int = IKE_VERSION
    first: int | None = None
    length: int | None = None
    sk_reserved: int = 0
    plaintext: tuple[int, bytes] | None = None
    spoil: Callable[[bytes], bytes] | None = None

    def but(self, **changes: Any) -> Self:
        """The same with other fields."""
        return replace(self, **changes)

    def with_payloads(self, *further: AnyPayload) -> Self:
        """The same with further payloads at its end."""
        return replace(self, payloads=(*self.payloads, *further))

    def without(self, *types: int) -> Self:
        """The same without payloads of these types."""
        return replace(self, payloads=tuple(one for one in self.payloads if one.type not in types))

    def in_clear(self) -> Self:
        """The same, not protected."""
        return replace(self, cipher=None)

    def encode(self) -> bytes:
        """The datagram, without non-ESP marker. Another IV, and so other octets, each time if protected."""
        octets = self._plain() if self.cipher is None else self._sealed(self.cipher)
        return octets if self.spoil is None else self.spoil(octets)

    def fragments(self, size: int) -> list[bytes]:
        """The message in Encrypted Fragments with `size` octets of plaintext each. LocalMisuse in the
        clear."""
        if self.cipher is None:
            raise LocalMisuse("a message in the clear has no fragments")
        first, octets = self.plaintext or chain(self.payloads)
        pieces = [octets[at : at + size] for at in range(0, max(len(octets), 1), size)]
        return [self.fragment(number, len(pieces), piece, first) for number, piece in enumerate(pieces, 1)]

    def fragment(self, number: int, total: int, piece: bytes, first: int) -> bytes:
        """One Encrypted Fragment of this message. LocalMisuse in the clear."""
        if self.cipher is None:
            raise LocalMisuse("a message in the clear has no fragments")
        header = IkeHeader(self.spi_i, self.spi_r, self.exchange, self.flags, self.message_id, self.version)
        prefix = fragment_prefix(header, first, number, total, self.cipher.body_length(len(piece)))
        return self.cipher.seal(prefix, piece, os.urandom)

    def _plain(self) -> bytes:
        first, octets = chain(self.payloads)
        return self._header(first, HEADER_SIZE + len(octets)) + octets

    def _sealed(self, cipher: SkCipher) -> bytes:
        first, octets = chain(self.payloads) if self.plaintext is None else self.plaintext
        length = 4 + cipher.body_length(len(octets))
        prefix = self._header(PayloadType.SK, HEADER_SIZE + length)
        prefix += struct.pack("!BBH", first, self.sk_reserved, length)
        return cipher.seal(prefix, octets, os.urandom)

    def _header(self, first: int, length: int) -> bytes:
        return _HEADER.pack(
            self.spi_i,
            self.spi_r,
            first if self.first is None else self.first,
            self.version,
            self.exchange,
            self.flags,
            self.message_id,
            length if self.length is None else self.length,
        )


def flipped(octets: bytes, at: int = -1) -> bytes:
    """The octets with one bit changed, in the last one unless `at` says where: for `Draft.spoil`."""
    changed = bytearray(octets)
    changed[at] ^= 1
    return bytes(changed)
