"""EAP-MSCHAPv2 (draft-kamath-pppext-eap-mschapv2): a password proven by both ends, and keys.

    request: challenge          ->
                                <-  response: challenge, NT-Response
    request: success, S=...     ->
                                <-  response: success
    EAP-Success                 ->

A user without a password, and one with a wrong one, get the same answer at the same step, at the same cost:
EAP-Failure at once. The draft's failure request (E=691) would let whoever guesses leave before the attempt
counts.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from enum import IntEnum
from functools import partial
from hmac import compare_digest
from typing import ClassVar

from ikepy.crypto import mschapv2
from ikepy.crypto.mschapv2 import CHALLENGE, NT_RESPONSE
from ikepy.crypto.secret import Secret
from ikepy.eap.packet import EapType
from ikepy.eap.passwords import Password, PasswordOf
from ikepy.eap.turns import Answer, Ask, Disproven, Message, Move, PeerMove, Proven
from ikepy.errors import WireError
from ikepy.wire.reader import Reader

HEADER = 4  # octets: OpCode, MS-CHAPv2-ID, MS-Length
RESERVED = 8
VALUE = CHALLENGE + RESERVED + NT_RESPONSE + 1  # of a response
MAX_NAME = 256  # octets
MAX_TEXT = 512  # octets of a success or failure message
SERVER_NAME = b"ikepy"


class OpCode(IntEnum):
    CHALLENGE = 1
    RESPONSE = 2
    SUCCESS = 3
    FAILURE = 4
    CHANGE_PASSWORD = 7


@dataclass(frozen=True, slots=True)
class Mschapv2Server:
    """The authenticator's end."""

    password: PasswordOf
    random: Callable[[int], bytes]
    type: ClassVar[int] = EapType.MSCHAPV2

    def begin(self, user: str, identifier: int) -> Move:
        challenge = self.random(CHALLENGE)
        data = _packet(OpCode.CHALLENGE, identifier, bytes([CHALLENGE]) + challenge + SERVER_NAME)
        return Ask(data, partial(self._check, user, identifier, challenge))

    def _check(self, user: str, id: int, challenge: bytes, message: Message) -> Move:
        try:
            peer_challenge, response, name = _read_response(message.data, id)
        except WireError as error:
            return Disproven(f"EAP-MSCHAPv2: {error}")
        password = self.password(user)
        hash = Secret(self.random(mschapv2.NT_HASH)) if password is None else password.nt_hash
        hashed = mschapv2.challenge_hash(peer_challenge, challenge, account(name))
        right = compare_digest(mschapv2.nt_response(hash, hashed), response)
        if account(name) != account(user.encode()):
            return Disproven(f"the user {user!r} answers as {_printable(name)}")
        if password is None:
            return Disproven(f"no password is configured for the user {user!r}")
        if not right:
            return Disproven(f"a wrong password of the user {user!r}")
        proof = mschapv2.authenticator_response(hash, response, hashed).hex().upper()
        text = f"S={proof} M=Welcome".encode()
        keys = mschapv2.msk(hash, response)
        return Ask(_packet(OpCode.SUCCESS, id, text), partial(self._confirmed, keys))

    def _confirmed(self, keys: Secret, message: Message) -> Move:
        if message.data[:1] != bytes([OpCode.SUCCESS]):
            return Disproven("EAP-MSCHAPv2: the peer does not take our proof of knowing its password")
        return Proven(keys)


@dataclass(frozen=True, slots=True)
class Mschapv2Peer:
    """The peer's end."""

    password: Password
    user: str
    random: Callable[[int], bytes]
    type: ClassVar[int] = EapType.MSCHAPV2

    def begin(self, message: Message) -> PeerMove:
        try:
            id, challenge = _read_challenge(message.data)
        except WireError as error:
            return Disproven(f"EAP-MSCHAPv2: {error}")
        name, own = self.user.encode(), self.random(CHALLENGE)
        hash = self.password.nt_hash
        hashed = mschapv2.challenge_hash(own, challenge, account(name))
        response = mschapv2.nt_response(hash, hashed)
        expected = mschapv2.authenticator_response(hash, response, hashed)
        value = bytes([VALUE]) + own + bytes(RESERVED) + response + b"\0" + name
        keys = mschapv2.msk(hash, response)
        return Answer(_packet(OpCode.RESPONSE, id, value), partial(self._conclude, expected, keys))

    def _conclude(self, expected: bytes, keys: Secret, message: Message) -> PeerMove:
        op_code, text = message.data[:1], message.data[HEADER:]
        if op_code == bytes([OpCode.FAILURE]):
            return Disproven(f"EAP-MSCHAPv2: the authenticator refuses us: {_failure(text)}")
        if op_code != bytes([OpCode.SUCCESS]):
            return Disproven("EAP-MSCHAPv2: out of order: neither success nor failure after our response")
        if not compare_digest(_proof(text), expected):
            return Disproven("EAP-MSCHAPv2: the authenticator does not know our password")
        return Answer(bytes([OpCode.SUCCESS]), None, Proven(keys))


def account(name: bytes) -> bytes:
    """The user's name without the domain (RFC 2759 8.2)."""
    return name.rpartition(b"\\")[2]


def _packet(op_code: OpCode, id: int, rest: bytes) -> bytes:
    return bytes([op_code, id]) + (HEADER + len(rest)).to_bytes(2, "big") + rest


def _opened(data: bytes, op_code: OpCode) -> tuple[int, Reader]:
    """MS-CHAPv2-ID, and what follows the header. WireError if it is of another kind."""
    reader = Reader(data)
    found, id, length = reader.u8(), reader.u8(), reader.u16()
    if found != op_code:
        raise WireError(f"operation {found} out of order, in place of {op_code.name.lower()}")
    if length != len(data):
        raise WireError(f"length {length} in {len(data)} octets")
    return id, reader


def _read_challenge(data: bytes) -> tuple[int, bytes]:
    id, reader = _opened(data, OpCode.CHALLENGE)
    if reader.u8() != CHALLENGE:
        raise WireError(f"a challenge that is not {CHALLENGE} octets long")
    return id, reader.take(CHALLENGE)


def _read_response(data: bytes, id: int) -> tuple[bytes, bytes, bytes]:
    """The peer's challenge, its NT-Response and its name."""
    found, reader = _opened(data, OpCode.RESPONSE)
    if found != id:
        raise WireError(f"MS-CHAPv2-ID {found} in place of {id}")
    if reader.u8() != VALUE:
        raise WireError(f"a response that is not {VALUE} octets long")
    challenge = reader.take(CHALLENGE)
    reader.take(RESERVED)
    response = reader.take(NT_RESPONSE)
    reader.u8()  # flags
    name = reader.rest()
    if len(name) > MAX_NAME:
        raise WireError(f"a name of {len(name)} octets")
    return challenge, response, name


def _proof(text: bytes) -> bytes:
    """The 20 octets after S=; empty if there are none."""
    if len(text) > MAX_TEXT or not text.startswith(b"S="):
        return b""
    try:
        return bytes.fromhex(text[2:42].decode("ascii"))
    except ValueError:
        return b""


def _failure(text: bytes) -> str:
    """For the log: what the server's failure message says, at most 80 characters of it."""
    return _printable(text[:80])


def _printable(octets: bytes) -> str:
    return ascii(octets.decode("utf-8", "replace"))
