"""Decrypts messages that have an Encrypted payload (RFC 7296 3.14, RFC 5282)."""

from __future__ import annotations

from ikepy.crypto.sk_cipher import SkCipher
from ikepy.errors import WireError
from ikepy.wire.message import Message
from ikepy.wire.payloads import SkfPayload, SkPayload


def encrypted(message: Message) -> SkPayload | SkfPayload:
    """The Encrypted (or Encrypted Fragment) payload, which is last; WireError if there is none."""
    if message.payloads and isinstance(message.payloads[-1], SkPayload | SkfPayload):
        return message.payloads[-1]
    raise WireError("the message is not protected")


def unseal(datagram: bytes, message: Message, cipher: SkCipher) -> tuple[SkPayload | SkfPayload, bytes]:
    """The Encrypted (or Encrypted Fragment) payload and its plaintext; IntegrityError if the ICV is wrong."""
    sk = encrypted(message)
    return sk, cipher.open(datagram, len(datagram) - len(sk.body))
