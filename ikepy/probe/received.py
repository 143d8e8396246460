"""Messages as they came: header, payloads and every generic header, opened where the keys are known."""

from __future__ import annotations

import struct
import time
from dataclasses import dataclass, field
from enum import IntEnum
from typing import TypeVar

from ikepy.crypto.sk_cipher import SkCipher
from ikepy.errors import IntegrityError, WireError
from ikepy.sa.message import query
from ikepy.sa.message.fragments import OpenedMessage, Reassembly
from ikepy.wire.constants import ExchangeType, NotifyType, PayloadType
from ikepy.wire.message import HEADER_SIZE, MAX_PAYLOADS, IkeHeader, Message, decode_header
from ikepy.wire.payloads import NotifyPayload, Payload, SkfPayload, SkPayload, decode_payload
from ikepy.wire.reader import Reader

P = TypeVar("P")
ENCRYPTED = (SkPayload, SkfPayload)


@dataclass(frozen=True, slots=True)
class Generic:
    """One payload as it stood: its type, and what its generic header says (RFC 7296 3.2)."""

    type: int
    following: int
    critical: bool
    reserved: int
    length: int
    body: bytes


@dataclass(slots=True)
class Received:
    """A message that came. `generic`: its payloads' generic headers, `inner`: those inside SK, `payloads`:
    the decoded ones, from inside SK where there is one. `problem`: why it is not understood, empty if it is.
    `copies`: how often it came again. Of a message in fragments `octets` and `generic` are a fragment's;
    `opened`: what was inside SK or SKF."""

    time_s: float
    octets: bytes
    port: int  # ours
    source_port: int
    header: IkeHeader
    first: int  # the header's Next Payload
    generic: tuple[Generic, ...] = ()
    inner: tuple[Generic, ...] = ()
    payloads: tuple[Payload, ...] = ()
    protected: bool = False
    problem: str = ""
    copies: int = 0
    opened: OpenedMessage | None = field(default=None, repr=False)
    answer: bytes | None = field(default=None, repr=False)
    # As `time_s`, by a clock that nobody sets
    at: float = field(default_factory=time.monotonic, repr=False, compare=False)

    def maybe(self, kind: type[P]) -> P | None:
        """The first payload of a kind."""
        return query.maybe(self.payloads, kind)

    def all(self, kind: type[P]) -> list[P]:
        """All payloads of a kind, in order."""
        return [one for one in self.payloads if isinstance(one, kind)]

    def notify(self, type: NotifyType) -> NotifyPayload | None:
        """The first notify of a type."""
        return query.notify(self.payloads, type)

    @property
    def error(self) -> NotifyPayload | None:
        """The first notify of an error type."""
        return query.error(self.payloads)

    @property
    def is_fragment(self) -> bool:
        """Whether it is one fragment of a message, still sealed."""
        return bool(self.payloads) and isinstance(self.payloads[-1], SkfPayload)

    def generic_of(self, type: int) -> Generic | None:
        """The first generic header of a payload of this type, inside SK or not."""
        return next((one for one in (*self.inner, *self.generic) if one.type == type), None)

    def __str__(self) -> str:
        return self.summary

    @property
    def summary(self) -> str:
        """One line: "IKE_AUTH response 1 [IDr AUTH SA TSi TSr N(AUTHENTICATION_FAILED)]"."""
        kind = "response" if self.header.is_response else "request"
        shown = ", ".join(_name(one) for one in self.payloads)
        trouble = f" ({self.problem})" if self.problem else ""
        lock = "SK " if self.protected else ""
        return (
            f"{exchange_name(self.header.exchange)} {kind} {self.header.message_id} {lock}[{shown}]{trouble}"
        )


def exchange_name(exchange: int) -> str:
    """The registry's name of an exchange type, or its number."""
    return name_of(ExchangeType, exchange) or f"exchange {exchange}"


def _name(payload: Payload) -> str:
    if isinstance(payload, NotifyPayload):
        return f"N({notify_name(payload.notify)})"
    return name_of(PayloadType, payload.type) or f"payload {payload.type}"


def notify_name(notify: int) -> str:
    """The registry's name of a notify type, or its number."""
    return name_of(NotifyType, notify) or str(notify)


def name_of(numbers: type[IntEnum], number: int) -> str:
    """The name of a number in its registry, empty if it has none."""
    try:
        return numbers(number).name
    except ValueError:
        return ""


def walk(first: int, octets: bytes) -> tuple[Generic, ...]:
    """The generic headers of a chain, as far as they can be followed."""
    found: list[Generic] = []
    at = 0
    while first and at + 4 <= len(octets) and len(found) < MAX_PAYLOADS:
        following, flags, length = struct.unpack_from("!BBH", octets, at)
        if length < 4 or at + length > len(octets):
            break
        body = octets[at + 4 : at + length]
        found.append(Generic(first, following, bool(flags & 0x80), flags & 0x7F, length, body))
        first = PayloadType.NONE if first in (PayloadType.SK, PayloadType.SKF) else following
        at += length
    return tuple(found)


def decode_chain(first: int, octets: bytes) -> tuple[Payload, ...]:
    """The payloads of a chain. WireError if one is malformed."""
    reader = Reader(octets)
    payloads: list[Payload] = []
    while first != PayloadType.NONE:
        if len(payloads) == MAX_PAYLOADS:
            raise WireError(f"more than {MAX_PAYLOADS} payloads")
        payload, first = decode_payload(first, reader)
        payloads.append(payload)
    reader.end()
    return tuple(payloads)


def read(time_s: float, octets: bytes, port: int, source_port: int) -> Received | None:
    """A datagram as a message, still sealed; None if it isn't one by its header."""
    try:
        header, first, _ = decode_header(octets)
    except WireError:
        return None
    got = Received(time_s, octets, port, source_port, header, first)
    got.generic = walk(first, octets[HEADER_SIZE:])
    try:
        got.payloads = decode_chain(first, octets[HEADER_SIZE:])
    except WireError as error:
        got.problem = str(error)
    got.protected = bool(got.payloads) and isinstance(got.payloads[-1], ENCRYPTED)
    return got


def unseal(got: Received, cipher: SkCipher, fragments: Reassembly | None = None) -> bool:
    """Open what is inside SK, or inside SKF with the fragments that came before; False while some are
    missing. `fragments`: those of the IKE_SA, None where none were agreed on. What can't be opened or decoded
    is a `problem`."""
    if not got.protected:
        return True
    message, agreed = Message(got.header, got.payloads), fragments is not None
    collected = fragments or Reassembly()
    try:
        opened = collected.open(got.octets, message, cipher, time.monotonic(), negotiated=agreed)
        if opened is None:
            return False
        got.opened, got.octets, got.payloads = opened, opened.datagram, ()
        got.inner = walk(opened.first, opened.plaintext)
        got.payloads = decode_chain(opened.first, opened.plaintext)
    except IntegrityError as error:
        got.problem = str(error)
    except WireError as error:
        got.problem = f"inside SK: {error}" if got.opened else str(error)
    return True
