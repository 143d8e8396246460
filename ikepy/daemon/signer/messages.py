"""Messages between control and the signer: each one datagram of a SOCK_SEQPACKET pair (unix(7)).

A message is its type (one octet), a ticket (four), by which an answer finds its request, and fields, each
with its length (four octets) ahead. Neither end trusts the other's bytes: what is no message is a
MessageError.
"""

from __future__ import annotations

import struct
from dataclasses import dataclass, field, fields
from typing import Any

MAX_MESSAGE = 1 << 17  # octets: IKE_SA_INIT of 65,535, or a PKCS#12 container, and what surrounds it
MAX_FIELDS = 64
MAX_TEXT = 1024  # octets
HEAD = struct.Struct("!BI")
SIZE = struct.Struct("!I")


class MessageError(ValueError):
    """Bytes that are no message."""


@dataclass(frozen=True, slots=True)
class LoadKey:
    """Keep a private key: of `data`, or, where that is empty, of the file whose descriptor comes with this.

    `kind`: of `ikepy.crypto.private_keys.KINDS`. `password`: empty for none. Answered by `Loaded`.
    """

    ticket: int
    kind: str
    password: bytes = field(repr=False)
    data: bytes = field(repr=False)


@dataclass(frozen=True, slots=True)
class LoadToken:
    """Use a private key in a PKCS#11 token. `module`: the library's path; `slot`: its number, empty: any;
    `handle`: CKA_ID in hex digits; `pin`: empty for none. Answered by `Loaded`."""

    ticket: int
    module: str
    slot: str
    handle: str
    pin: bytes = field(repr=False)


@dataclass(frozen=True, slots=True)
class Sign:
    """Sign octets by a key. `scheme`: a value of `ikepy.crypto.schemes.Scheme`. Answered by `Signed`."""

    ticket: int
    key_id: str
    scheme: str
    octets: bytes


@dataclass(frozen=True, slots=True)
class Unload:
    """Forget a key; nothing if there is none. Answered by `Done`."""

    ticket: int
    key_id: str


@dataclass(frozen=True, slots=True)
class Loaded:
    """The public half of a key: its ID, its SubjectPublicKeyInfo, and certificates that came with it, DER."""

    ticket: int
    key_id: str
    public_key: bytes
    certificates: tuple[bytes, ...]


@dataclass(frozen=True, slots=True)
class Signed:
    ticket: int
    signature: bytes


@dataclass(frozen=True, slots=True)
class Done:
    ticket: int


@dataclass(frozen=True, slots=True)
class Refused:
    """A request that failed, and why: text for the log, with nothing of a key in it."""

    ticket: int
    why: str


Request = LoadKey | LoadToken | Sign | Unload
Answer = Loaded | Signed | Done | Refused
Message = Request | Answer
_TYPES: dict[int, Any] = dict(
    enumerate((LoadKey, LoadToken, Sign, Unload, Loaded, Signed, Done, Refused), start=1)
)
_NUMBERS = {kind: number for number, kind in _TYPES.items()}


def encode(message: Message) -> bytes:
    """Raises MessageError for what is too long: who gets it takes that for nonsense, and ends the pair."""
    names = [one.name for one in fields(message) if one.name != "ticket"]
    values: list[bytes] = []
    for name in names:
        value = getattr(message, name)
        if isinstance(value, str):
            values.append(value.encode())
            if len(values[-1]) > MAX_TEXT:
                raise MessageError(f"{name}: {len(values[-1])} octets, at most {MAX_TEXT}")
        elif isinstance(value, bytes):
            values.append(value)
        else:
            values += value
    parts = [HEAD.pack(_NUMBERS[type(message)], message.ticket)]
    for value in values:
        parts += (SIZE.pack(len(value)), value)
    data = b"".join(parts)
    if len(data) > MAX_MESSAGE or len(values) > MAX_FIELDS:
        raise MessageError(f"{type(message).__name__}: {len(data)} octets, at most {MAX_MESSAGE}")
    return data


def decode(data: bytes | bytearray | memoryview, *expected: type[Any]) -> Any:
    """The message, which is of an expected type. Raises MessageError for anything else."""
    if not HEAD.size <= len(data) <= MAX_MESSAGE:
        raise MessageError(f"{len(data)} octets are no message")
    number, ticket = HEAD.unpack_from(data)
    kind = _TYPES.get(number)
    if kind not in expected:
        raise MessageError("a message that is not expected here")
    values = _fields(memoryview(data)[HEAD.size :])
    own = fields(kind)[1:]
    several = bool(own) and str(own[-1].type).startswith("tuple")
    if len(values) < len(own) - several or (len(values) > len(own) and not several):
        raise MessageError(f"{kind.__name__}: {len(values)} fields")
    single = own[:-1] if several else own
    read: list[object] = [_value(value, str(one.type)) for one, value in zip(single, values, strict=False)]
    if several:
        read.append(tuple(bytes(one) for one in values[len(single) :]))
    return kind(ticket, *read)


def _fields(data: memoryview) -> list[memoryview]:
    found: list[memoryview] = []
    while data:
        if len(found) == MAX_FIELDS or len(data) < SIZE.size:
            raise MessageError("too many fields, or one that is cut off")
        (size,) = SIZE.unpack_from(data)
        if size > len(data) - SIZE.size:
            raise MessageError("a field that is longer than its message")
        found.append(data[SIZE.size : SIZE.size + size])
        data = data[SIZE.size + size :]
    return found


def _value(value: memoryview, kind: str) -> bytes | str:
    if kind == "bytes":
        return bytes(value)
    if len(value) > MAX_TEXT:
        raise MessageError("a text that is too long")
    try:
        return bytes(value).decode()
    except UnicodeDecodeError:
        raise MessageError("a text that is none") from None
