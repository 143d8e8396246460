"""Odd and malformed messages, what RFC 7296 wants done about each, and what the answer was worth.

All are variants of an IKE_SA_INIT that asks for an acceptable suite with a KE payload of another group, so
that a responder that takes one for an honest request says INVALID_KE_PAYLOAD, and keeps nothing.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from enum import Enum

from ikepy.crypto.kex.method import Random
from ikepy.probe.discovery.offers import Request, header
from ikepy.probe.discovery.replies import Outcome, Reply
from ikepy.wire.constants import ExchangeType, HeaderFlag, NotifyType, PayloadType
from ikepy.wire.message import HEADER_SIZE, encode_message
from ikepy.wire.payloads import KePayload, NoncePayload, Payload, SaPayload, UnknownPayload

_NEXT, _VERSION, _EXCHANGE, _FLAGS, _MESSAGE_ID, _LENGTH = 16, 17, 18, 19, 20, 24  # offsets in the header
_PAYLOAD_LENGTH = HEADER_SIZE + 2
_UNKNOWN_PAYLOAD, _UNKNOWN_EXCHANGE = 200, 240
_KEEPALIVE = b"\xff"


class Verdict(Enum):
    """What is to be thought of an answer."""

    RIGHT = "as RFC 7296 has it"
    ALLOWED = "allowed"
    WRONG = "not as RFC 7296 has it"
    UNCLEAR = "unclear"


class Expected(Enum):
    """The answers that are right, and those that are allowed; all others are wrong."""

    HONEST = "an answer as to any honest request"
    MAJOR = "INVALID_MAJOR_VERSION, or no answer"
    CRITICAL = "UNSUPPORTED_CRITICAL_PAYLOAD"
    SYNTAX = "INVALID_SYNTAX, or no answer"
    SILENCE = "no answer"
    UNKNOWN_SPI = "INVALID_IKE_SPI, or no answer"


ANSWER_IS_DUE = frozenset({Expected.HONEST, Expected.CRITICAL})
_SAYS_NOTHING = frozenset({Outcome.COOKIE, Outcome.CLOSED})


@dataclass(frozen=True, slots=True)
class OddMessage:
    """`build`: its octets, from an honest request. `section`: of RFC 7296."""

    name: str
    expected: Expected
    section: str
    build: Callable[[Request, Random], bytes]


def judge(expected: Expected, reply: Reply, honest: Reply) -> Verdict:
    """What RFC 7296 says of that answer; `honest`: what an honest request got. Of silence it is that only
    where a later request was answered.
    """
    silent = reply.outcome is Outcome.SILENT
    error = reply.notify if reply.outcome is Outcome.ERROR else 0
    if reply.outcome in _SAYS_NOTHING:
        return Verdict.UNCLEAR
    match expected:
        case Expected.HONEST:
            if honest.acceptable is None:
                return Verdict.UNCLEAR
            right, allowed = reply.acceptable in (True, honest.acceptable), False
        case Expected.MAJOR:
            right, allowed = error == NotifyType.INVALID_MAJOR_VERSION, silent
        case Expected.CRITICAL:
            right, allowed = error == NotifyType.UNSUPPORTED_CRITICAL_PAYLOAD, silent
        case Expected.SYNTAX:  # the request can't be authentic: silence is right, too (2.21.1)
            right, allowed = silent or error == NotifyType.INVALID_SYNTAX, reply.outcome is Outcome.REFUSED
        case Expected.UNKNOWN_SPI:
            right, allowed = silent or error == NotifyType.INVALID_IKE_SPI, False
        case Expected.SILENCE:
            right, allowed = silent, error == NotifyType.INVALID_SYNTAX
    return Verdict.RIGHT if right else Verdict.ALLOWED if allowed else Verdict.WRONG


# -- how they are made -------------------------------------------------------------------------------------


def _set(offset: int, value: bytes) -> Callable[[Request, Random], bytes]:
    """The honest message with other octets at that place."""

    def build(request: Request, random: Random) -> bytes:
        octets = bytearray(request.datagram())
        octets[offset : offset + len(value)] = value
        return bytes(octets)

    return build


def _with(change: Callable[[Payload], Payload | None], *more: Payload) -> Callable[[Request, Random], bytes]:
    """The honest message with changed payloads (None: left out), and further ones at the end."""

    def build(request: Request, random: Random) -> bytes:
        changed = [after for one in request.payloads if (after := change(one)) is not None]
        return encode_message(header(request.spi_i), (*changed, *more))

    return build


def _same(payload: Payload) -> Payload:
    return payload


def _without(kind: type[Payload]) -> Callable[[Request, Random], bytes]:
    return _with(lambda one: None if isinstance(one, kind) else one)


def _longer_than_it_is(request: Request, random: Random) -> bytes:
    octets = bytearray(request.datagram())
    octets[_LENGTH : _LENGTH + 4] = (len(octets) + 100).to_bytes(4, "big")
    return bytes(octets)


def _cut(request: Request, random: Random) -> bytes:
    octets = request.datagram()
    return octets[: len(octets) // 2]


def _short_nonce(request: Request, random: Random) -> bytes:
    """A nonce of 8 octets: one of the right type cannot be made that short, so its octets are cut out."""
    nonce = next(one for one in request.payloads if isinstance(one, NoncePayload))
    octets = request.datagram()
    place = octets.index(nonce.data)
    short = (
        octets[: place - 2] + (4 + 8).to_bytes(2, "big") + nonce.data[:8] + octets[place + len(nonce.data) :]
    )
    return short[:_LENGTH] + len(short).to_bytes(4, "big") + short[_LENGTH + 4 :]


def _unknown_sa(exchange: int) -> Callable[[Request, Random], bytes]:
    """A protected request of an IKE_SA that there is not."""

    def build(request: Request, random: Random) -> bytes:
        body = random(64)
        spis = request.spi_i + b"\2" + random(7)
        length = HEADER_SIZE + 4 + len(body)
        head = bytes([PayloadType.SK, 0x20, exchange, HeaderFlag.INITIATOR])
        head += (1).to_bytes(4, "big") + length.to_bytes(4, "big")
        return spis + head + b"\0\0" + (4 + len(body)).to_bytes(2, "big") + body

    return build


ODD_MESSAGES = (
    OddMessage("major version 3", Expected.MAJOR, "2.5", _set(_VERSION, b"\x30")),
    OddMessage("minor version 5", Expected.HONEST, "2.5", _set(_VERSION, b"\x25")),
    OddMessage(
        "an unknown critical payload",
        Expected.CRITICAL,
        "2.5",
        _with(_same, UnknownPayload(_UNKNOWN_PAYLOAD, True, b"probe")),
    ),
    OddMessage(
        "an unknown payload that is not critical",
        Expected.HONEST,
        "2.5",
        _with(_same, UnknownPayload(_UNKNOWN_PAYLOAD, False, b"probe")),
    ),
    OddMessage("reserved flags set", Expected.HONEST, "3.1", _set(_FLAGS, b"\xcf")),
    OddMessage("a reserved bit of a payload set", Expected.HONEST, "3.2", _set(HEADER_SIZE + 1, b"\x7f")),
    OddMessage("a length beyond the datagram", Expected.SILENCE, "3.1", _longer_than_it_is),
    OddMessage("half a message", Expected.SILENCE, "3.1", _cut),
    OddMessage(
        "a payload that is longer than the message",
        Expected.SYNTAX,
        "3.2",
        _set(_PAYLOAD_LENGTH, b"\xff\xff"),
    ),
    OddMessage("a payload of length 0", Expected.SYNTAX, "3.2", _set(_PAYLOAD_LENGTH, b"\0\0")),
    OddMessage("no SA payload", Expected.SYNTAX, "1.2", _without(SaPayload)),
    OddMessage("no KE payload", Expected.SYNTAX, "1.2", _without(KePayload)),
    OddMessage("no nonce", Expected.SYNTAX, "1.2", _without(NoncePayload)),
    OddMessage("a nonce of 8 octets", Expected.SYNTAX, "3.9", _short_nonce),
    OddMessage("message ID 1", Expected.SYNTAX, "2.2", _set(_MESSAGE_ID, b"\0\0\0\1")),
    OddMessage("a response to nothing", Expected.SILENCE, "2.21", _set(_FLAGS, bytes([HeaderFlag.RESPONSE]))),
    OddMessage("the initiator's SPI is zero", Expected.SYNTAX, "3.1", _set(0, bytes(8))),
    OddMessage("an unknown exchange", Expected.SYNTAX, "3.1", _set(_EXCHANGE, bytes([_UNKNOWN_EXCHANGE]))),
    OddMessage(
        "IKE_AUTH of an unknown IKE_SA", Expected.UNKNOWN_SPI, "2.21.4", _unknown_sa(ExchangeType.IKE_AUTH)
    ),
    OddMessage(
        "INFORMATIONAL of an unknown IKE_SA",
        Expected.UNKNOWN_SPI,
        "1.5",
        _unknown_sa(ExchangeType.INFORMATIONAL),
    ),
    OddMessage("a single octet", Expected.SILENCE, "3.1", lambda request, random: _KEEPALIVE),
)
