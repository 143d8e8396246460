"""AES-GCM and AES-CBC under the Encrypted payload, with published vectors of the modes themselves.

The last byte of a vector's plaintext is what stands in the place of Pad Length, so the payloads that come
out are the vector's plaintext without so many bytes.
"""

import hashlib
import hmac

import pytest

from ikepy.crypto.secret import Secret
from ikepy.crypto.sk_cipher import SkCipher
from ikepy.errors import WireError
from ikepy.wire.constants import Encr, Integ

# McGrew and Viega, "The Galois/Counter Mode of Operation", appendix B, test cases 4, 10 and 16.
GCM_NONCE = "cafebabefacedbaddecaf888"
GCM_AAD = bytes.fromhex("feedfacedeadbeeffeedfacedeadbeefabaddad2")
GCM_PLAINTEXT = bytes.fromhex(
    "d9313225f88406e5a55909c5aff5269a86a7a9531534f7da2e4c303d8a318a72"
    "1c3c0c95956809532fcf0e2449a6b525b16aedf5aa0de657ba637b39"
)
GCM_KEY = "feffe9928665731c6d6a8f9467308308" * 2
GCM_VECTORS = [
    (
        128,
        "42831ec2217774244b7221b784d0d49ce3aa212f2c02a4e035c17e2329aca12e"
        "21d514b25466931c7d8f6a5aac84aa051ba30b396a0aac973d58e091",
        "5bc94fbc3221a5db94fae95ae7121a47",
    ),
    (
        192,
        "3980ca0b3c00e841eb06fac4872a2757859e1ceaa6efd984628593b40ca1e19c"
        "7d773d00c144c525ac619d18c84a3f4718e2448b2fe324d9ccda2710",
        "2519498e80f1478f37ba55bd6d27618c",
    ),
    (
        256,
        "522dc1f099567d07f47f37a32a84427d643a8cdcbfe5c0c97598a2bd2555d1aa"
        "8cb08e48590dbb3da7b08b1056828838c5f61e6393ba7a0abcc9f662",
        "76fc6ece0f4e1768cddf8853bb2d551b",
    ),
]


@pytest.mark.parametrize(("key_bits", "ciphertext", "tag"), GCM_VECTORS)
@pytest.mark.parametrize(
    ("encr", "tag_length"), [(Encr.AES_GCM_8, 8), (Encr.AES_GCM_12, 12), (Encr.AES_GCM_16, 16)]
)
def test_gcm(encr: Encr, tag_length: int, key_bits: int, ciphertext: str, tag: str) -> None:
    key = bytes.fromhex(GCM_KEY)[: key_bits // 8]
    nonce = bytes.fromhex(GCM_NONCE)
    cipher = SkCipher(encr, key_bits, None, Secret(key + nonce[:4]), None)
    message = GCM_AAD + nonce[4:] + bytes.fromhex(ciphertext) + bytes.fromhex(tag)[:tag_length]
    payloads = GCM_PLAINTEXT[: -1 - GCM_PLAINTEXT[-1]]
    assert len(payloads) == 2
    assert cipher.open(message, len(GCM_AAD)) == payloads


# RFC 3602 section 4, cases 1 to 4: key, IV, plaintext, ciphertext.
CBC_VECTORS = [
    (
        "06a9214036b8a15b512e03d534120006",
        "3dafba429d9eb430b422da802c9fac41",
        b"Single block msg",
        "e353779c1079aeb82708942dbe77181a",
    ),
    (
        "c286696d887c9aa0611bbb3e2025a45a",
        "562e17996d093d28ddb3ba695a2e6f58",
        bytes(range(32)),
        "d296cd94c2cccf8a3a863028b5e1dc0a7586602d253cfff91b8266bea6d61ab1",
    ),
    (
        "6c3ea0477630ce21a2ce334aa746c2cd",
        "c782dc4c098c66cbd9cd27d825682c81",
        b"This is a 48-byte message (exactly 3 AES blocks)",
        "d0a02b3836451753d493665d33f0e8862dea54cdb293abc7506939276772f8d5021c19216bad525c8579695d83ba2684",
    ),
    (
        "56e47a38c5598974bc46903dba290349",
        "8ce82eefbea0da3c44699ed7db51b7d9",
        bytes(range(0xA0, 0xE0)),
        "c30e32ffedc0774e6aff6af0869f71aa"
        "0f3af07a9a31a9c684db207eb0ef8e4e"
        "35907aa632c3ffdf868bb7b29d3d46ad"
        "83ce9f9a102ee99d49a53e87f4c3da55",
    ),
]
SK_A = b"integrity key of 32 bytes, shown"
PREFIX = b"in front of the body"


@pytest.mark.parametrize(("key", "iv", "plaintext", "ciphertext"), CBC_VECTORS)
def test_cbc(key: str, iv: str, plaintext: bytes, ciphertext: str) -> None:
    cipher = SkCipher(Encr.AES_CBC, 128, Integ.HMAC_SHA2_256_128, Secret(bytes.fromhex(key)), Secret(SK_A))
    message = PREFIX + bytes.fromhex(iv) + bytes.fromhex(ciphertext)
    message += hmac.new(SK_A, message, hashlib.sha256).digest()[:16]
    end = len(plaintext) - 1 - plaintext[-1]
    if end < 0:  # cases 1 and 4 end in a byte that is no possible pad length
        with pytest.raises(WireError):
            cipher.open(message, len(PREFIX))
    else:
        assert cipher.open(message, len(PREFIX)) == plaintext[:end]
