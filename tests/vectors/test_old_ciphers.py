"""Camellia (RFC 3713 Appendix A), 3DES (FIPS 81 Table C1) and AES-GMAC (draft-mcgrew-gcm-test-01), published
vectors; AES-CCM computed independently, as RFC 3610 has it."""

import pytest
from cryptography.hazmat.primitives.ciphers import Cipher
from cryptography.hazmat.primitives.ciphers.algorithms import AES
from cryptography.hazmat.primitives.ciphers.modes import ECB

from esp.sa.ciphers import keyed_aead
from esp.sa.suites import (
    CAMELLIA_CBC,
    CCM_ICV,
    HMAC_SHA1_96,
    NULL_AES_GMAC,
    TRIPLE_DES_CBC,
    suite_for,
)
from ikepy.crypto.secret import Secret
from ikepy.crypto.sk_cipher import SkCipher
from ikepy.wire.constants import Encr
from tests.unit.crypto.randomness import none

BLOCK = bytes.fromhex("0123456789abcdeffedcba9876543210")


@pytest.mark.parametrize(
    ("key", "ciphertext"),
    [
        (BLOCK, "67673138549669730857065648eabe43"),
        (BLOCK + bytes.fromhex("0011223344556677"), "b4993401b3e996f84ee5cee7d79b09b9"),
        (BLOCK + bytes.fromhex("00112233445566778899aabbccddeeff"), "9acc237dff16d76c20ef7c919e3a7509"),
    ],
    ids=["128", "192", "256"],
)
def test_camellia(key: bytes, ciphertext: str) -> None:
    aead, _ = keyed_aead(suite_for(CAMELLIA_CBC, 8 * len(key), HMAC_SHA1_96), key + bytes(20))
    body = memoryview(bytearray(BLOCK + bytes(12)))
    aead.encrypt_into(bytes(16), body[:16], bytes(8), body)
    assert body[:16].hex() == ciphertext


def test_3des() -> None:
    """Three equal keys make it DES."""
    key, iv = bytes.fromhex("0123456789abcdef") * 3, bytes.fromhex("1234567890abcdef")
    aead, _ = keyed_aead(suite_for(TRIPLE_DES_CBC, None, HMAC_SHA1_96), key + bytes(20))
    body = memoryview(bytearray(b"Now is the time for all " + bytes(12)))
    aead.encrypt_into(iv, body[:24], bytes(8), body)
    assert body[:24].hex() == "e5c7cdde872bf27c43e934008c389c0f683788499a7c05f6"


def test_gmac() -> None:
    """The IV is in the AAD (erratum 1821 of RFC 4543), and the payload in the clear."""
    key = bytes.fromhex("4c80cdefbb5d10da906ac73c3613a63422433c64")
    payload = bytes.fromhex(
        "45000030da3a00008001df3bc0a80005c0a800010800c6cd0200070061626364"
        "65666768696a6b6c6d6e6f707172737401020201"
    )
    aead, salt = keyed_aead(suite_for(NULL_AES_GMAC, 128, None), key)
    body = memoryview(bytearray(payload + bytes(16)))
    header = bytes.fromhex("0000432100000007")
    aead.encrypt_into(salt + bytes(8), body[:-16], header, body)
    assert bytes(body[:-16]) == payload
    assert body[-16:].hex() == "f2a9a836e155106aa8dcd618e4099aaa"
    aead.decrypt_into(salt + bytes(8), body, header, body[:-16])


def ccm(key: bytes, nonce: bytes, plaintext: bytes, aad: bytes, tag: int) -> bytes:
    """RFC 3610 2 with L = 4, as RFC 4309 has it."""
    encrypt = Cipher(AES(key), ECB()).encryptor().update
    flags = 0x40 | (tag - 2) // 2 << 3 | 3
    blocks = bytes([flags]) + nonce + len(plaintext).to_bytes(4, "big")
    for part in (len(aad).to_bytes(2, "big") + aad, plaintext):
        blocks += part + bytes(-len(part) % 16)
    mac = bytes(16)
    for at in range(0, len(blocks), 16):
        mac = encrypt(bytes(a ^ b for a, b in zip(mac, blocks[at : at + 16], strict=True)))
    stream = b"".join(
        encrypt(b"\3" + nonce + count.to_bytes(4, "big")) for count in range(len(plaintext) // 16 + 2)
    )
    text = mac[:tag] + bytes(16 - tag) + plaintext
    sealed = bytes(a ^ b for a, b in zip(text, stream, strict=False))
    return sealed[16:] + sealed[:tag]


@pytest.mark.parametrize("encr", CCM_ICV)
@pytest.mark.parametrize("bits", [128, 192, 256])
def test_ccm(encr: int, bits: int) -> None:
    """In ESP and IKE: a nonce of a salt of three octets and the IV of eight (RFC 4309 4)."""
    key, salt, iv, tag = bytes(range(bits // 8)), b"\xa1\xa2\xa3", 0x0102030405060708, CCM_ICV[encr]
    nonce = salt + iv.to_bytes(8, "big")
    plaintext, aad = bytes(range(52)), bytes(range(8))
    aead, nonce_salt = keyed_aead(suite_for(encr, bits, None), key + salt)
    body = memoryview(bytearray(plaintext + bytes(tag)))
    aead.encrypt_into(nonce_salt + nonce[3:], body[: len(plaintext)], aad, body)
    assert bytes(body) == ccm(key, nonce, plaintext, aad, tag)
    sealed = SkCipher(Encr(encr), bits, None, Secret(key + salt), None, first_iv=iv).seal(
        aad, plaintext, none
    )
    assert sealed == aad + nonce[3:] + ccm(key, nonce, plaintext + b"\0", aad, tag)
