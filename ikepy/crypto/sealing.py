"""Seals a value that leaves the process, under a key of the caller's (AES-256-GCM, RFC 5116; HKDF, RFC 5869).

Each seal draws a salt of 256 bits and derives a key of its own from it. Thus no nonce can repeat under a key,
however many values are sealed under one key and whoever else seals under it: with random nonces of 96 bits
alone, 2^32 seals would be the limit (NIST SP 800-38D 8.3).
"""

from __future__ import annotations

from collections.abc import Callable

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.kdf.hkdf import HKDF

from ikepy.crypto.secret import Secret
from ikepy.errors import IntegrityError, LocalMisuse

KEY_SIZE = 32
SALT_SIZE = 32
TAG_SIZE = 16
_NONCE = bytes(12)  # the key is used once
_PURPOSE = b"ikepy sealed value, AES-256-GCM"


def seal(key: Secret, random: Callable[[int], bytes], header: bytes, plaintext: bytes) -> bytes:
    """`header`, which stays readable, then salt, ciphertext and tag, which vouches for the header too.

    `random` gives that many unpredictable bytes. LocalMisuse if the key has not KEY_SIZE bytes.
    """
    salt = random(SALT_SIZE)
    return header + salt + _aead(key, salt).encrypt(_NONCE, plaintext, header)


def unseal(key: Secret, header_size: int, sealed: bytes) -> bytes:
    """The plaintext. IntegrityError if it was sealed by another key, altered or cut."""
    header, salt = sealed[:header_size], sealed[header_size : header_size + SALT_SIZE]
    ciphertext = sealed[header_size + SALT_SIZE :]
    if len(ciphertext) < TAG_SIZE:
        raise IntegrityError("too short for a sealed value")
    try:
        return _aead(key, salt).decrypt(_NONCE, ciphertext, header)
    except InvalidTag:
        raise IntegrityError("sealed by another key, or altered") from None


def _aead(key: Secret, salt: bytes) -> AESGCM:
    if len(key) != KEY_SIZE:
        raise LocalMisuse(f"a sealing key has {KEY_SIZE} bytes, not {len(key)}")
    return AESGCM(HKDF(SHA256(), KEY_SIZE, salt, _PURPOSE).derive(key.expose()))
