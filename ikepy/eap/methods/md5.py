"""EAP-MD5 (RFC 3748 5.4): a challenge and a hash. It makes no keys and does not authenticate the server;
for labs.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from hashlib import md5
from hmac import compare_digest
from typing import ClassVar

from ikepy.crypto.secret import Secret
from ikepy.eap.packet import EapType
from ikepy.eap.passwords import Password, PasswordOf
from ikepy.eap.turns import Answer, Ask, Disproven, Message, Move, PeerMove, Proven
from ikepy.errors import WireError
from ikepy.wire.reader import Reader

CHALLENGE = 16  # octets of ours
DIGEST = 16


@dataclass(frozen=True, slots=True)
class Md5Server:
    """The authenticator's end."""

    password: PasswordOf
    random: Callable[[int], bytes]
    type: ClassVar[int] = EapType.MD5

    def begin(self, user: str, identifier: int) -> Move:
        challenge = self.random(CHALLENGE)
        return Ask(bytes([CHALLENGE]) + challenge, partial(self._check, user, challenge))

    def _check(self, user: str, challenge: bytes, message: Message) -> Move:
        known = self.password(user)
        usable = known is not None and not known.hashed
        secret = known.secret if known is not None and usable else Secret(self.random(CHALLENGE))
        expected = _digest(message.identifier, secret, challenge)
        try:
            received = _value(message.data)
        except WireError as error:
            return Disproven(f"EAP-MD5: {error}")
        if compare_digest(received, expected) and usable:
            return Proven()
        return Disproven(_why(user, known))


@dataclass(frozen=True, slots=True)
class Md5Peer:
    """The peer's end."""

    password: Password
    user: str
    type: ClassVar[int] = EapType.MD5

    def begin(self, message: Message) -> PeerMove:
        try:
            challenge = _value(message.data)
        except WireError as error:
            return Disproven(f"EAP-MD5: {error}")
        if not challenge:
            return Disproven("EAP-MD5: a challenge of zero length")
        if self.password.hashed:
            return Disproven("EAP-MD5 takes a password, and only its NT hash is configured")
        answer = _digest(message.identifier, self.password.secret, challenge)
        return Answer(bytes([DIGEST]) + answer + self.user.encode(), None, Proven())


def _digest(identifier: int, password: Secret, challenge: bytes) -> bytes:
    """RFC 1994 4.1."""
    return md5(bytes([identifier]) + password.expose() + challenge).digest()


def _value(data: bytes) -> bytes:
    """The challenge or digest before the name."""
    reader = Reader(data)
    return reader.take(reader.u8())


def _why(user: str, known: Password | None) -> str:
    if known is None:
        return f"no password is configured for the user {user!r}"
    if known.hashed:
        return f"only the NT hash of the user {user!r} is configured: EAP-MD5 takes the password"
    return f"a wrong password of the user {user!r}"
