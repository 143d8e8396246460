"""AES-CTR, with the published vectors (RFC 3686 6): in ESP, and as RFC 5930 has it in IKE."""

import pytest

from esp.sa.ciphers import keyed_aead
from esp.sa.suites import AES_CTR, HMAC_SHA1_96, suite_for
from ikepy.crypto.secret import Secret
from ikepy.crypto.sk_cipher import SkCipher
from ikepy.wire.constants import Encr, Integ
from tests.unit.crypto.randomness import none

# AES key, IV, nonce, plaintext, ciphertext
VECTORS = [
    (
        "ae6852f8121067cc4bf7a5765577f39e",
        "0000000000000000",
        "00000030",
        b"Single block msg".hex(),
        "e4095d4fb7a7b3792d6175a3261311b8",
    ),
    (
        "7e24067817fae0d743d6ce1f32539163",
        "c0543b59da48d90b",
        "006cb6db",
        bytes(range(32)).hex(),
        "5104a106168a72d9790d41ee8edad388eb2e1efc46da57c8fce630df9141be28",
    ),
    (
        "7691be035e5020a8ac6e618529f9a0dc",
        "27777f3f4a1786f0",
        "00e0017b",
        bytes(range(36)).hex(),
        "c1cf48a89f2ffdd9cf4652e9efdb72d74540a42bde6d7836d59a5ceaaef3105325b2072f",
    ),
    (
        "16af5b145fc9f579c175f93e3bfb0eed863d06ccfdb78515",
        "36733c147d6d93cb",
        "00000048",
        b"Single block msg".hex(),
        "4b55384fe259c9c84e7935a003cbe928",
    ),
    (
        "02bf391ee8ecb159b959617b0965279bf59b60a786d3e0fe",
        "5cbd60278dcc0912",
        "0007bdfd",
        bytes(range(36)).hex(),
        "96893fc55e5c722f540b7dd1ddf7e758d288bc95c69165884536c811662f2188abee0935",
    ),
    (
        "776beff2851db06f4c8a0542c8696f6c6a81af1eec96b4d37fc1d689e6c1c104",
        "db5672c97aa8f0b2",
        "00000060",
        b"Single block msg".hex(),
        "145ad01dbf824ec7560863dc71e3e0c0",
    ),
    (
        "ff7a617ce69148e4f1726e2f43581de2aa62d9f805532edff1eed687fb54153d",
        "51a51d70a1c11148",
        "001cc5b7",
        bytes(range(36)).hex(),
        "eb6c52821d0bbbf7ce7594462aca4faab407df866569fd07f48cc0b583d6071f1ec0e6b8",
    ),
]
each_vector = pytest.mark.parametrize(("key", "iv", "nonce", "plaintext", "ciphertext"), VECTORS)


@each_vector
def test_esp(key: str, iv: str, nonce: str, plaintext: str, ciphertext: str) -> None:
    octets = bytes.fromhex(key)
    suite = suite_for(AES_CTR, 8 * len(octets), HMAC_SHA1_96)
    aead, salt = keyed_aead(suite, octets + bytes.fromhex(nonce) + bytes(20))
    body = memoryview(bytearray(bytes.fromhex(plaintext) + bytes(12)))
    aead.encrypt_into(salt + bytes.fromhex(iv), body[:-12], bytes(8), body)
    assert body[:-12].hex() == ciphertext
    aead.decrypt_into(salt + bytes.fromhex(iv), body, bytes(8), body[:-12])
    assert body[:-12].hex() == plaintext


@each_vector
def test_ike(key: str, iv: str, nonce: str, plaintext: str, ciphertext: str) -> None:
    """The plaintext's last octet is left out: there stands the pad length."""
    octets = bytes.fromhex(key)
    cipher = SkCipher(
        Encr.AES_CTR,
        8 * len(octets),
        Integ.HMAC_SHA1_96,
        Secret(octets + bytes.fromhex(nonce)),
        Secret(bytes(20)),
        first_iv=int(iv, 16),
    )
    sealed = cipher.seal(b"", bytes.fromhex(plaintext)[:-1], none)
    assert sealed[:8].hex() == iv
    assert sealed[8:-13].hex() == ciphertext[:-2]
