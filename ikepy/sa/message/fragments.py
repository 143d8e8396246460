"""Fragments messages into Encrypted Fragment payloads and reassembles them (RFC 7383 2.5 and 2.6)."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from functools import cached_property

from ikepy.crypto.sk_cipher import SkCipher
from ikepy.errors import PeerError, WireError
from ikepy.sa.api.path import Address
from ikepy.sa.message import protection
from ikepy.wire.constants import NON_ESP_MARKER, NotifyType, PayloadType
from ikepy.wire.message import (
    FRAGMENT_HEADER_SIZE,
    HEADER_SIZE,
    MAX_FRAGMENTS,
    MAX_MESSAGE,
    IkeHeader,
    Message,
    decode_payloads,
    encode_payloads,
    fragment_prefix,
    protected_prefix,
)
from ikepy.wire.payloads import Payload, SkfPayload

# Octets in all fragments of one message of an unauthenticated peer; two certificates and a signature by
# ML-DSA-87 have 20,000.
MAX_CONTENT_UNAUTHENTICATED = 24576
TIMEOUT = 60.0  # seconds after which an incomplete message is discarded (RFC 7383 2.6)

_IP_HEADER = {4: 20, 6: 40}  # octets, without options
_DEFAULT_PACKET = {4: 576, 6: 1280}  # octets (RFC 7383 2.5.1)
_UDP_HEADER = 8
_PREFIX = HEADER_SIZE + FRAGMENT_HEADER_SIZE


def message_limit(packet: int, remote: Address) -> int:
    """The octets of an IKE message that fills an IP packet of `packet` octets (0: the family's default).

    The non-ESP marker counts on every port, so that a change of port never makes packets longer.
    """
    version = remote.version
    return (packet or _DEFAULT_PACKET[version]) - _IP_HEADER[version] - _UDP_HEADER - len(NON_ESP_MARKER)


def seal(
    header: IkeHeader,
    payloads: Sequence[Payload],
    cipher: SkCipher,
    random: Callable[[int], bytes],
    limit: int | None,
) -> tuple[bytes, ...]:
    """Encrypt a message into one datagram, or into fragments if it is longer than `limit` octets.

    `limit` None: the peer does not support fragments. Fragments exceed `limit` if MAX_FRAGMENTS that short
    would not hold the message.
    """
    first, chain = encode_payloads(payloads)
    whole = HEADER_SIZE + 4 + cipher.body_length(len(chain))
    if limit is None or whole <= limit:
        return (cipher.seal(protected_prefix(header, first, cipher.body_length(len(chain))), chain, random),)
    size = max(_chunk_size(limit, cipher), -(-len(chain) // MAX_FRAGMENTS))
    chunks = [chain[start : start + size] for start in range(0, len(chain), size)]
    return tuple(
        cipher.seal(
            fragment_prefix(header, first, number, len(chunks), cipher.body_length(len(chunk))), chunk, random
        )
        for number, chunk in enumerate(chunks, 1)
    )


def _chunk_size(limit: int, cipher: SkCipher) -> int:
    """How much plaintext a fragment of `limit` octets holds, at least 1."""
    room = limit - _PREFIX
    size = max(room - cipher.body_length(0), 1)
    while cipher.body_length(size + 1) <= room:  # room that the padding leaves: less than a block
        size += 1
    return size


def fragment_of(message: Message, *, negotiated: bool) -> SkfPayload | None:
    """The SKF payload of a message, None if it is no fragment; WireError if it is not permitted."""
    last = message.payloads[-1] if message.payloads else None
    if not isinstance(last, SkfPayload):
        return None
    if not negotiated:
        raise WireError("a fragment, which was not negotiated")
    if len(message.payloads) > 1:
        raise WireError("unprotected payloads in front of a fragment")
    return last


@dataclass(frozen=True)
class OpenedMessage:
    """The plaintext of a protected message, reassembled if need be: authentic, parsed when asked for."""

    first: int
    plaintext: bytes
    datagram: bytes  # compared with retransmissions: the message, or its first fragment
    offset: int  # in it, where the body of the Encrypted (Fragment) payload begins
    too_long: bool = False

    def payloads(self) -> tuple[Payload, ...]:
        """The inner payloads. WireError if malformed; fatal PeerError if too long (RFC 7383 5)."""
        if self.too_long:
            raise PeerError(NotifyType.INVALID_SYNTAX, "the fragments of a message are too long", fatal=True)
        return self._decoded

    @cached_property
    def _decoded(self) -> tuple[Payload, ...]:
        """Once: a handler that waited for a job starts over."""
        return decode_payloads(self.first, self.plaintext)


@dataclass(slots=True)
class _Collection:
    """The fragments of one message received so far, all authentic, by fragment number."""

    exchange: int
    total: int
    expires: float
    size: int = 0
    first: int = PayloadType.NONE
    datagram: bytes = b""
    parts: dict[int, bytes] = field(default_factory=dict)


Key = tuple[bool, int]  # whether it is a response, and the message ID


def _key(header: IkeHeader) -> Key:
    return header.is_response, header.message_id


class Reassembly:
    """Reassembles the fragmented messages of one IKE_SA that its window accepts."""

    def __init__(self) -> None:
        self._collecting: dict[Key, _Collection] = {}

    def open(
        self,
        datagram: bytes,
        message: Message,
        cipher: SkCipher,
        now: float,
        *,
        negotiated: bool,
        limit: int = MAX_MESSAGE,
        most: int = MAX_FRAGMENTS,
    ) -> OpenedMessage | None:
        """Decrypt a message that the caller expects; None while fragments are missing.

        `negotiated`: whether fragmentation was. `limit`: octets that all fragments together may hold; `most`:
        how many fragments there may be (RFC 7383 5).
        WireError or IntegrityError: the datagram must be dropped, and no state has changed.
        """
        fragment = fragment_of(message, negotiated=negotiated)
        if fragment is not None and fragment.total > most:
            raise WireError(f"a message of {fragment.total} fragments")
        if fragment is not None and self._is_known(message.header, fragment):
            return None
        sk, plaintext = protection.unseal(datagram, message, cipher)
        if fragment is not None:
            return self._keep(message.header, fragment, plaintext, datagram, now, limit)
        self._collecting.pop(_key(message.header), None)
        return OpenedMessage(sk.first, plaintext, datagram, len(datagram) - len(sk.body))

    def holds(self, key: Key, number: int, total: int) -> bool:
        """Whether fragment `number` of `total` was received; `key`: (is a response, message ID)."""
        known = self._collecting.get(key)
        return known is not None and known.total == total and number in known.parts

    def _is_known(self, header: IkeHeader, fragment: SkfPayload) -> bool:
        """Whether this fragment was received before; WireError if it fits no message (RFC 7383 2.6).

        All of this is checked before decryption.
        """
        known = self._collecting.get(_key(header))
        if known is None:
            return False
        if header.exchange != known.exchange:
            raise WireError("fragments of one message in two kinds of exchanges")
        if fragment.total < known.total:
            raise WireError(f"one of {fragment.total} fragments, where {known.total} are awaited")
        return fragment.total == known.total and fragment.number in known.parts

    def _keep(
        self,
        header: IkeHeader,
        fragment: SkfPayload,
        plaintext: bytes,
        datagram: bytes,
        now: float,
        limit: int,
    ) -> OpenedMessage | None:
        known = self._collecting.get(_key(header))
        if known is None or fragment.total > known.total:
            known = _Collection(header.exchange, fragment.total, now + TIMEOUT)
            self._collecting[_key(header)] = known
        known.parts[fragment.number] = plaintext
        known.size += len(plaintext)
        if fragment.number == 1:
            known.first, known.datagram = fragment.first, datagram
        if known.size > limit:
            del self._collecting[_key(header)]
            return OpenedMessage(PayloadType.NONE, b"", datagram, _PREFIX, too_long=True)
        if len(known.parts) < known.total:
            return None
        del self._collecting[_key(header)]
        content = b"".join(known.parts[number] for number in range(1, known.total + 1))
        return OpenedMessage(known.first, content, known.datagram, _PREFIX)

    def forget(self) -> None:
        """Discard all incomplete messages."""
        self._collecting.clear()

    def expire(self, now: float) -> None:
        """Discard the messages that were not completed in time."""
        for key in [key for key, one in self._collecting.items() if one.expires <= now]:
            del self._collecting[key]

    @property
    def deadline(self) -> float | None:
        if not self._collecting:
            return None
        return min(one.expires for one in self._collecting.values())
