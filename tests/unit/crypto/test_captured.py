"""Suites that only an onlooker opens: old ciphers, sealed by the library itself."""

from __future__ import annotations

import hmac

import pytest
from cryptography.hazmat.decrepit.ciphers.algorithms import CAST5, Blowfish, TripleDES
from cryptography.hazmat.primitives.ciphers import BlockCipherAlgorithm, Cipher
from cryptography.hazmat.primitives.ciphers.modes import CBC

from ikepy.crypto.captured import ENCRYPTION, INTEGRITY, CapturedCipher
from ikepy.errors import IntegrityError, WireError

PREFIX, IV, PLAIN, MAC_KEY = b"in front of it", b"12345678", b"sixteen octets!!", b"k" * 20
DES = b"8 octets"


def sealed(cipher: BlockCipherAlgorithm, hashed: str, size: int) -> bytes:
    context = Cipher(cipher, CBC(IV)).encryptor()
    body = IV + context.update(PLAIN) + context.finalize()
    return body + hmac.digest(MAC_KEY, PREFIX + body, hashed)[:size]


@pytest.mark.parametrize(
    ("name", "key", "cipher"),
    [
        ("DES_CBC", DES, TripleDES(DES * 3)),
        ("3DES_CBC", b"a" * 8 + b"b" * 8 + b"c" * 8, TripleDES(b"a" * 8 + b"b" * 8 + b"c" * 8)),
        ("CAST_CBC", b"c" * 16, CAST5(b"c" * 16)),
        ("BLOWFISH_CBC", b"b" * 24, Blowfish(b"b" * 24)),
    ],
)
@pytest.mark.parametrize(
    ("integrity", "hashed", "size"),
    [
        ("HMAC_MD5_96", "md5", 12),
        ("HMAC_MD5_128", "md5", 16),
        ("HMAC_SHA1_160", "sha1", 20),
        ("ANY_96", "md5", 12),
    ],
)
def test_old_suites(
    name: str, key: bytes, cipher: BlockCipherAlgorithm, integrity: str, hashed: str, size: int
) -> None:
    captured = CapturedCipher(ENCRYPTION[name], key, INTEGRITY[integrity], MAC_KEY)
    body = sealed(cipher, hashed, size)
    assert captured.open(PREFIX, body) == PLAIN
    if integrity != "ANY_96":
        with pytest.raises(IntegrityError):
            captured.open(PREFIX + b"x", body)


@pytest.mark.parametrize("name", ENCRYPTION)
def test_impossible_lengths(name: str) -> None:
    encryption = ENCRYPTION[name]
    key = bytes((encryption.key or (16 if encryption.mode.value != "NULL" else 0)) + encryption.salt)
    captured = CapturedCipher(encryption, key, INTEGRITY["ANY_96"], b"")
    with pytest.raises(WireError):
        captured.open(b"", bytes(captured.iv + captured.icv - 1))


@pytest.mark.parametrize(
    ("name", "size"), [("AES_CBC", 15), ("AES_GCM_16", 3), ("3DES_CBC", 16), ("AES_CTR", 5)]
)
def test_keys_that_do_not_fit(name: str, size: int) -> None:
    with pytest.raises(ValueError, match="key"):
        CapturedCipher(ENCRYPTION[name], bytes(size), None, b"")
