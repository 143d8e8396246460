"""Dissects an IKEv2 message: header, and the chain of payloads (RFC 7296 3.1, 3.2)."""

from __future__ import annotations

from dataclasses import dataclass
from functools import partial

from ikepy.dissect import names
from ikepy.dissect.names import named, of
from ikepy.dissect.notes import NOTES
from ikepy.dissect.payloads import BODIES
from ikepy.dissect.tree import Fields, Layer, hexadecimal, layer
from ikepy.wire.constants import HeaderFlag, PayloadType
from ikepy.wire.message import HEADER_SIZE, MAX_PAYLOADS, PAYLOAD_HEADER_SIZE

_FLAGS = {HeaderFlag.INITIATOR: "Initiator", HeaderFlag.VERSION: "Version", HeaderFlag.RESPONSE: "Response"}
_CRITICAL = 0x80
_ENCRYPTED = (PayloadType.SK, PayloadType.SKF)


@dataclass(frozen=True, slots=True)
class SkSizes:
    """Octets of IV and checksum in an Encrypted payload, where its algorithms are known."""

    iv: int
    icv: int


def dissect_ike(octets: bytes, sizes: SkSizes | None = None, name: str = "IKE message") -> Layer:
    """A message without its non-ESP marker. Never raises; what is wrong is in `problems`.

    `sizes`: shows an Encrypted payload's IV and checksum apart from what is between them.
    """
    return layer(name, octets, lambda fields: _message(fields, sizes))


def dissect_payloads(first: int, octets: bytes, name: str = "Decrypted payloads") -> Layer:
    """The inside of an Encrypted payload; `first` is the type of the first payload. Never raises."""
    return layer(name, octets, lambda fields: _chain(fields, first, None))


def _message(fields: Fields, sizes: SkSizes | None) -> str:
    head = fields.peek(HEADER_SIZE)
    fields.part("IKE header", HEADER_SIZE, lambda inner: _header(inner, len(fields.octets)), "header")
    if len(head) < HEADER_SIZE:
        return "no IKE message: too short"
    exchange = names.short(names.EXCHANGES, head[18])
    kind = "response" if head[19] & HeaderFlag.RESPONSE else "request"
    told = f"{exchange} {kind} {int.from_bytes(head[20:24], 'big')}"
    if head[17] >> 4 == 1:
        fields.rest("Payloads of IKEv1")
        return f"IKEv1, {names.short(names.FORMER_EXCHANGES, head[18])}"
    if head[17] >> 4 != 2:
        fields.rest("Payloads of another version")
        return f"IKE version {head[17] >> 4}.{head[17] & 15}"
    payloads = _chain(fields, head[16], sizes)
    return f"{told} [ {payloads} ]" if payloads else told


def _header(fields: Fields, size: int) -> str:
    fields.take(8, "Initiator's SPI", key="header.spi_i")
    fields.take(8, "Responder's SPI", key="header.spi_r")
    fields.number(1, "Next payload", of(names.PAYLOADS), "header.next")
    fields.number(1, "Version", lambda number: f"{number >> 4}.{number & 15}", "header.version")
    exchange = fields.number(1, "Exchange type", of(names.EXCHANGES), "header.exchange")
    flags = fields.number(1, "Flags", _flags, "header.flags")
    message_id = fields.number(4, "Message ID", key="header.id")
    length = fields.number(4, "Length", key="header.length")
    if length != size:
        fields.complain(f"the header says {length} octets, the datagram has {size}")
    kind = "response" if flags & HeaderFlag.RESPONSE else "request"
    return f"{names.short(names.EXCHANGES, exchange)} {kind}, message ID {message_id}"


def _flags(number: int) -> str:
    told = [word for flag, word in _FLAGS.items() if number & flag]
    further = number & ~sum(_FLAGS)
    return ", ".join([*told, *([f"unknown 0x{further:02x}"] if further else [])]) or "none"


def _chain(fields: Fields, following: int, sizes: SkSizes | None) -> str:
    """All payloads; their short names, in their order."""
    told: list[str] = []
    while following and fields.remaining:
        if len(told) == MAX_PAYLOADS:
            fields.complain(f"more than {MAX_PAYLOADS} payloads")
            break
        if fields.remaining < PAYLOAD_HEADER_SIZE:
            fields.complain(
                f"a payload of {fields.remaining} octets: its generic header has {PAYLOAD_HEADER_SIZE}"
            )
            break
        type, start = following, fields.at
        following, length = fields.peek(1)[0], int.from_bytes(fields.peek(2, 2), "big")
        if length < PAYLOAD_HEADER_SIZE:
            fields.complain(f"payload {names.short(names.PAYLOADS, type)}: a length of {length} octets")
            break
        fields.part(
            named(names.PAYLOADS, type),
            length,
            partial(_payload, type=type, sizes=sizes),
            _key(fields, type),
        )
        told.append(_short(fields, type, start))
        if type in _ENCRYPTED:
            following = PayloadType.NONE
    else:
        if following:
            fields.complain(
                f"payload {names.short(names.PAYLOADS, following)} is announced, but nothing follows"
            )
    if fields.remaining:
        fields.rest("Behind the last payload", hexadecimal)
        fields.complain("octets behind the last payload")
    return " ".join(told)


def _payload(fields: Fields, type: int, sizes: SkSizes | None) -> str:
    fields.part("Generic header", PAYLOAD_HEADER_SIZE, _generic, "generic")
    if type == PayloadType.SKF:
        number = fields.number(2, "Fragment number", key="skf.number")
        total = fields.number(2, "Total fragments", key="skf.total")
        if not 1 <= number <= total:
            fields.complain(f"fragment {number} of {total}")
        _encrypted(fields, sizes)
        return f"fragment {number} of {total}"
    if type == PayloadType.SK:
        size = fields.remaining
        _encrypted(fields, sizes)
        return f"{size} octets"
    body = BODIES.get(type)
    if body is None:
        fields.rest("Data")
        return "of a type that is not known"
    return body(fields)


def _generic(fields: Fields) -> str:
    following = fields.number(1, "Next payload", of(names.PAYLOADS), "generic.next")
    critical = fields.number(
        1, "Critical", lambda flags: "yes" if flags & _CRITICAL else "no", "generic.critical"
    )
    length = fields.number(2, "Length", key="generic.length")
    flag = ", critical" if critical & _CRITICAL else ""
    return f"{length} octets{flag}, next {names.short(names.PAYLOADS, following)}"


def _encrypted(fields: Fields, sizes: SkSizes | None) -> None:
    if sizes is None or fields.remaining < sizes.iv + sizes.icv:
        fields.rest("Encrypted octets", key="sk.encrypted")
        return
    if sizes.iv:
        fields.take(sizes.iv, "Initialization vector", key="sk.iv")
    fields.take(fields.remaining - sizes.icv, "Encrypted payloads", key="sk.encrypted")
    if sizes.icv:
        fields.take(sizes.icv, "Integrity checksum", key="sk.icv")


def _key(fields: Fields, type: int) -> str:
    """The key of the note: a notify has one by its own type."""
    if type == PayloadType.NOTIFY:
        notify = names.NOTIFIES.get(int.from_bytes(fields.peek(2, 6), "big"), "")
        if (key := f"notify.{notify}") in NOTES:
            return key
    return str(type)


def _short(fields: Fields, type: int, start: int) -> str:
    short = names.SHORT.get(type, f"({type})")
    body = fields.octets[start + PAYLOAD_HEADER_SIZE : fields.at]
    if type == PayloadType.NOTIFY and len(body) >= 4:
        return f"N({names.short(names.NOTIFIES, int.from_bytes(body[2:4], 'big'))})"
    if type == PayloadType.SKF and len(body) >= 4:
        return f"SKF({int.from_bytes(body[:2], 'big')}/{int.from_bytes(body[2:4], 'big')})"
    if type == PayloadType.CP and body:
        return f"CP({names.short(names.CONFIGURATIONS, body[0])})"
    return short
