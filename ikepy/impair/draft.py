"""A message before it is sealed, or after it was opened, as octets that may be wrong (RFC 7296 3).

The encoders of `ikepy.wire` refuse what no message may hold; here every field can be spoilt.
"""

from __future__ import annotations

import struct
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, replace

from ikepy.crypto.sk_cipher import SkCipher
from ikepy.wire.constants import ExchangeType, NotifyType, PayloadType
from ikepy.wire.message import FRAGMENT_HEADER_SIZE, HEADER_SIZE, PAYLOAD_HEADER_SIZE, IkeHeader
from ikepy.wire.payloads import NotifyPayload, Payload, UnknownPayload
from ikepy.wire.reader import Reader

HEADER = struct.Struct("!8s8sBBBBII")
GENERIC = struct.Struct("!BBH")
FRAGMENT = struct.Struct("!HH")
CRITICAL = 0x80

Random = Callable[[int], bytes]


@dataclass(slots=True)
class Part:
    """One payload: type, body without the generic header, the octet of flags in that header.

    `length`: what the generic header says; None: the truth.
    """

    type: int
    body: bytes
    flags: int = 0
    length: int | None = None

    @classmethod
    def of(cls, payload: Payload) -> Part:
        critical = isinstance(payload, UnknownPayload) and payload.critical
        return cls(payload.type, payload.encode(), CRITICAL if critical else 0)

    @property
    def notify(self) -> int | None:
        """The type of a Notify payload; None for any other payload."""
        return int.from_bytes(self.body[2:4], "big") if self.type == PayloadType.NOTIFY else None

    def encode(self, following: int) -> bytes:
        length = PAYLOAD_HEADER_SIZE + len(self.body) if self.length is None else self.length
        return GENERIC.pack(following, self.flags, length & 0xFFFF) + self.body


@dataclass(slots=True)
class Draft:
    """A message: its header, its payloads, and what is wrong with its frame.

    `first`: the type of the first payload that the header (of the Encrypted payload) names; None: the truth.
    `padded`: makes of plaintext and block size what is encrypted, with padding and pad length. `excess`:
    octets by which the IKE header's length is too large. `fragments`: makes of the numbers of the fragments,
    as (number, total), those that they get; a fragment that it leaves out is not sent.
    """

    header: IkeHeader
    parts: list[Part]
    protected: bool = False
    first: int | None = None
    padded: Callable[[bytes, int], bytes] | None = None
    excess: int = 0
    sk_flags: int = 0
    fragments: Callable[[Sequence[tuple[int, int]]], Sequence[tuple[int, int]]] | None = None
    chunk: int | None = None  # octets of plaintext in a fragment; None: by the message limit
    lost: bool = False  # the machine does not get it

    @classmethod
    def of(cls, header: IkeHeader, payloads: Iterable[Payload], *, protected: bool) -> Draft:
        return cls(header, [Part.of(one) for one in payloads], protected)

    @property
    def request(self) -> bool:
        return not self.header.is_response

    def within(self, *exchanges: ExchangeType) -> bool:
        return self.header.exchange in exchanges

    def change(self, **fields: int | bytes) -> None:
        """Give the header other fields."""
        self.header = replace(self.header, **fields)  # type: ignore[arg-type]

    def of_type(self, *types: PayloadType) -> list[Part]:
        return [part for part in self.parts if part.type in types]

    def notifies(self, *wanted: int) -> list[Part]:
        return [part for part in self.parts if part.notify in wanted]

    def drop(self, parts: Iterable[Part]) -> None:
        gone = [id(part) for part in parts]
        self.parts = [part for part in self.parts if id(part) not in gone]

    def refuse(self, notify: NotifyType, data: bytes = b"") -> None:
        """Let one error notify stand in the place of all payloads."""
        self.parts = [Part.of(NotifyPayload(notify, data))]

    def chain(self) -> tuple[int, bytes]:
        """(type of the first payload, the payloads' octets)."""
        types = [part.type for part in self.parts] + [PayloadType.NONE]
        octets = b"".join(
            part.encode(following) for part, following in zip(self.parts, types[1:], strict=True)
        )
        return types[0] if self.first is None else self.first, octets

    def encode(self, cipher: SkCipher | None, random: Random, limit: int | None) -> tuple[bytes, ...]:
        """The datagrams, protected if there is a cipher; fragments if they would be longer than `limit`
        octets, or if `chunk` says so."""
        first, chain = self.chain()
        if cipher is None:
            return (self._header(first, HEADER_SIZE + len(chain)) + chain,)
        whole = HEADER_SIZE + PAYLOAD_HEADER_SIZE + cipher.body_length(len(chain))
        if self.chunk is None and (limit is None or whole <= limit):
            return (self._sealed(first, chain, None, cipher, random),)
        block, overhead = sizes(cipher)
        room = (limit or whole) - HEADER_SIZE - FRAGMENT_HEADER_SIZE - overhead - block
        size = max(room if self.chunk is None else self.chunk, 1)
        chunks = [chain[at : at + size] for at in range(0, len(chain), size)] or [b""]
        numbers: Sequence[tuple[int, int]] = [(number, len(chunks)) for number in range(1, len(chunks) + 1)]
        if self.fragments is not None:
            numbers = self.fragments(numbers)
        return tuple(
            self._sealed(first if number == 1 else 0, chunk, (number, total), cipher, random)
            for (number, total), chunk in zip(numbers, chunks, strict=False)
        )

    def _sealed(
        self,
        first: int,
        chain: bytes,
        fragment: tuple[int, int] | None,
        cipher: SkCipher,
        random: Random,
    ) -> bytes:
        block, overhead = sizes(cipher)
        padded = (self.padded or usual_padding)(chain, block)
        kind, between = (
            (PayloadType.SK, b"") if fragment is None else (PayloadType.SKF, FRAGMENT.pack(*fragment))
        )
        length = PAYLOAD_HEADER_SIZE + len(between) + overhead + len(padded)
        prefix = (
            self._header(kind, HEADER_SIZE + length) + GENERIC.pack(first, self.sk_flags, length) + between
        )
        return cipher.seal_padded(prefix, padded, random)

    def _header(self, first: int, length: int) -> bytes:
        one = self.header
        return HEADER.pack(
            one.spi_i,
            one.spi_r,
            first,
            one.version,
            one.exchange,
            one.flags,
            one.message_id,
            length + self.excess,
        )


def usual_padding(plaintext: bytes, block: int) -> bytes:
    """As little as the block asks for, zeros, and the pad length (RFC 7296 3.14)."""
    length = -(len(plaintext) + 1) % block
    return plaintext + bytes(length) + bytes([length])


def sizes(cipher: SkCipher) -> tuple[int, int]:
    """(block, octets of IV and ICV) of a cipher."""
    least = cipher.body_length(0)
    block = next(size for size in range(1, 257) if cipher.body_length(size) > least)
    return block, least - block


def decode(first: int, chain: bytes) -> list[Part]:
    """The payloads of a chain. Raises WireError."""
    reader, parts = Reader(chain), []
    while first != PayloadType.NONE:
        following, flags, length = reader.u8(), reader.u8(), reader.u16()
        parts.append(Part(first, reader.take(length - PAYLOAD_HEADER_SIZE), flags))
        first = following
    reader.end()
    return parts
