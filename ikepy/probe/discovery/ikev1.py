"""Asks whether IKEv1 is alive, and whether it takes aggressive mode (RFC 2408 3, RFC 2409 5.4 and appendix
A).

IKEv1 is historic (RFC 9395); aggressive mode with a pre-shared key gives a hash of it to whoever asks.
"""

from __future__ import annotations

import struct
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from itertools import product

from ikepy.errors import WireError
from ikepy.probe.discovery.public_values import public_value
from ikepy.wire.reader import Reader

VERSION = 0x10
MAIN, AGGRESSIVE, INFORMATIONAL = 2, 4, 5
_SA, _KE, _ID, _NONCE, _NOTIFY = 1, 4, 5, 10, 11
_HEADER = struct.Struct("!8s8sBBBBII")
_HEADER_SIZE = 28
_DOI_IPSEC, _IDENTITY_ONLY, _ISAKMP, _KEY_IKE = 1, 1, 1, 1
_MORE_TRANSFORMS = 3
_FIXED = 0x8000
_ENCR, _HASH, _AUTH, _GROUP, _LIFE_TYPE, _LIFE, _KEY_LENGTH = 1, 2, 3, 4, 11, 12, 14
_PSK = 1
_ENCRS = {(7, 256): "AES-256", (7, 128): "AES-128", (5, 0): "3DES"}
_HASHES = {4: "SHA-256", 2: "SHA-1"}
_AUTHS = {_PSK: "pre-shared key", 3: "RSA signatures"}
_GROUPS = {14: "MODP_2048", 2: "MODP_1024"}
_SECONDS, _HOURS_8 = 1, 28800
_NONCE_SIZE, _KEY_ID = 20, 11
_MOST_ATTRIBUTES, _MOST_PAYLOADS = 32, 32
_ERRORS = {
    5: "INVALID-MAJOR-VERSION",
    7: "INVALID-EXCHANGE-TYPE",
    14: "NO-PROPOSAL-CHOSEN",
    24: "AUTHENTICATION-FAILED",
}


@dataclass(frozen=True, slots=True)
class Answer:
    """`alive`: whether IKEv1 is spoken. `accepted`: the transform that was taken, in words; else `words`
    says why.
    """

    alive: bool
    accepted: str = ""
    words: str = ""


SILENT = Answer(False, words="no answer")


def main_mode(spi: bytes) -> bytes:
    """The first message of main mode, with what old gateways take."""
    return _message(spi, MAIN, [(_SA, _sa(_AUTHS, _GROUPS))])


def aggressive_mode(spi: bytes, group: int, random: Callable[[int], bytes]) -> bytes:
    """The first message of aggressive mode with a pre-shared key: `group` is 2 or 14."""
    public = public_value(group, random)
    identity = struct.pack("!BBH", _KEY_ID, 0, 0) + b"probe"
    payloads = [(_SA, _sa([_PSK], [group])), (_KE, public), (_NONCE, random(_NONCE_SIZE)), (_ID, identity)]
    return _message(spi, AGGRESSIVE, payloads)


def belongs(spi: bytes, datagram: bytes) -> bool:
    """Whether it may be an answer to a message with that SPI."""
    return len(datagram) >= _HEADER_SIZE and datagram.startswith(spi)


def read(datagram: bytes) -> Answer:
    """What an answer means: also an IKEv2 message may be one."""
    try:
        return _read(datagram)
    except WireError as error:
        return Answer(False, words=f"malformed: {error}")


def _read(datagram: bytes) -> Answer:
    reader = Reader(datagram)
    reader.take(16)
    kind, version = reader.u8(), reader.u8()
    reader.take(_HEADER_SIZE - 18)
    if version >> 4 != VERSION >> 4:
        return Answer(False, words=f"answers by IKEv{version >> 4}")
    for _ in range(_MOST_PAYLOADS):
        if kind == 0:
            break
        following = reader.u8()
        reader.u8()
        body = Reader(reader.take(reader.u16() - 4))
        if kind == _SA:
            return Answer(True, accepted=_accepted(body))
        if kind == _NOTIFY:
            body.take(6)
            error = body.u16()
            return Answer(True, words=_ERRORS.get(error, f"notify {error}"))
        kind = following
    return Answer(True, words="neither SA nor notify")


def group_of(accepted: str) -> int:
    """The group in an accepted transform's words; 2 if there is none."""
    return next((number for number, name in _GROUPS.items() if name in accepted), 2)


def _accepted(body: Reader) -> str:
    body.take(8)  # DOI, situation
    body.take(6)  # up to the SPI's size
    spi_size = body.u8()
    body.u8()
    body.take(spi_size)
    body.take(8)  # the transform's header
    values: dict[int, int] = {}
    for _ in range(_MOST_ATTRIBUTES):
        if not body.remaining:
            break
        head, value = body.u16(), body.u16()
        if head & _FIXED:
            values[head & ~_FIXED] = value
        else:
            body.take(value)
    encr = (values.get(_ENCR, 0), values.get(_KEY_LENGTH, 0))
    words = [
        _ENCRS.get(encr, f"encryption {encr[0]}"),
        _HASHES.get(values.get(_HASH, 0), f"hash {values.get(_HASH, 0)}"),
        _GROUPS.get(values.get(_GROUP, 0), f"group {values.get(_GROUP, 0)}"),
        _AUTHS.get(values.get(_AUTH, 0), f"authentication {values.get(_AUTH, 0)}"),
    ]
    return ", ".join(words)


def _message(spi: bytes, exchange: int, payloads: list[tuple[int, bytes]]) -> bytes:
    following, chain = 0, b""
    for kind, body in reversed(payloads):
        chain = struct.pack("!BBH", following, 0, 4 + len(body)) + body + chain
        following = kind
    return _HEADER.pack(spi, bytes(8), following, VERSION, exchange, 0, 0, _HEADER_SIZE + len(chain)) + chain


def _sa(auths: Iterable[int], groups: Iterable[int]) -> bytes:
    choices = list(product(_ENCRS, _HASHES, auths, groups))
    transforms = b""
    for number, (encr, digest, auth, group) in enumerate(choices, 1):
        values = [(_ENCR, encr[0]), (_HASH, digest), (_AUTH, auth), (_GROUP, group)]
        values += [(_KEY_LENGTH, encr[1])] if encr[1] else []
        values += [(_LIFE_TYPE, _SECONDS), (_LIFE, _HOURS_8)]
        attributes = b"".join(struct.pack("!HH", _FIXED | kind, value) for kind, value in values)
        more = _MORE_TRANSFORMS if number < len(choices) else 0
        transforms += struct.pack("!BBHBBH", more, 0, 8 + len(attributes), number, _KEY_IKE, 0) + attributes
    proposal = struct.pack("!BBHBBBB", 0, 0, 8 + len(transforms), 1, _ISAKMP, 0, len(choices)) + transforms
    return struct.pack("!II", _DOI_IPSEC, _IDENTITY_ONLY) + proposal
