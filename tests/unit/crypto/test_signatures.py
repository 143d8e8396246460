"""Signatures and the keys that they are verified with: what hostile ones are refused for."""

from __future__ import annotations

import hashlib
from collections.abc import Callable

import pytest
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec, padding, rsa

from ikepy.crypto import algorithm_ids, signatures
from ikepy.crypto.algorithm_ids import Algorithm
from ikepy.crypto.schemes import KeyFacts, KeyKind, Scheme
from ikepy.errors import LocalMisuse
from ikepy.pki import keys
from tests.pki import chain

OCTETS = b"ResponderSignedOctets"
DIGEST_INFO = bytes.fromhex("3031300d060960864801650304020105000420")  # RFC 8017 9.2, SHA-256


def spki_of(key: keys.PrivateKey) -> bytes:
    return keys.public_bytes(key.public_key(), "der")


def rsa_key() -> rsa.RSAPrivateKey:
    key = chain("rsa").moon.key
    assert isinstance(key, rsa.RSAPrivateKey)
    return key


def raw_rsa(encoded: int, key: rsa.RSAPrivateKey) -> bytes:
    """The RSA operation on any encoding at all."""
    numbers = key.private_numbers()
    modulus = numbers.public_numbers.n
    return pow(encoded, numbers.d, modulus).to_bytes(key.key_size // 8, "big")


@pytest.mark.parametrize(
    ("kind", "size", "facts"),
    [
        ("rsa", 2048, KeyFacts(KeyKind.RSA, 2048)),
        ("ecdsa", 521, KeyFacts(KeyKind.ECDSA, 521, "secp521r1")),
        ("brainpool", 512, KeyFacts(KeyKind.ECDSA, 512, "brainpoolP512r1")),
        ("ed25519", None, KeyFacts(KeyKind.ED25519, 256)),
        ("ed448", None, KeyFacts(KeyKind.ED448, 456)),
        ("mldsa87", None, KeyFacts(KeyKind.ML_DSA, 87)),
    ],
)
def test_what_keys_are(kind: str, size: int | None, facts: KeyFacts) -> None:
    assert signatures.facts(spki_of(keys.generate(kind, size))) == facts


def fake_rsa(modulus: int, exponent: int) -> bytes:
    return keys.public_bytes(rsa.RSAPublicNumbers(exponent, modulus).public_key(), "der")


@pytest.mark.parametrize(
    ("bits", "exponent", "why"),
    [
        (1024, 65537, "RSA key of 1024 bits; allowed: 2048 to 8192"),
        (16384, 65537, "RSA key of 16384 bits"),
        (2048, 3, "the exponent 3; allowed: 65537"),
        (2048, 2**2047 + 1, "the exponent 2048 bits"),
    ],
)
def test_rsa_keys_that_cost_too_much_or_prove_too_little(bits: int, exponent: int, why: str) -> None:
    spki = fake_rsa(2**bits - 1, exponent)
    with pytest.raises(ValueError, match=why):
        signatures.facts(spki)
    with pytest.raises(ValueError, match=why):
        signatures.verifies(spki, Algorithm(Scheme.RSA_SHA256), bytes(bits // 8), OCTETS)
    with pytest.raises(ValueError, match=why):
        signatures.hash_of_pkcs1(spki, bytes(bits // 8), OCTETS)


def test_an_exponent_of_one_is_no_key() -> None:
    """A signature would be its own proof."""
    # The DER of exponent 3, with 1 in its place: the library does not make it.
    spki = fake_rsa(2**2048 - 1, 3).removesuffix(b"\x02\x01\x03") + b"\x02\x01\x01"
    with pytest.raises(ValueError, match=r"malformed|the exponent 1;"):
        signatures.facts(spki)


def test_other_curves_and_no_keys() -> None:
    with pytest.raises(ValueError, match="a key on the curve secp256k1; allowed"):
        signatures.facts(keys.public_bytes(ec.generate_private_key(ec.SECP256K1()).public_key(), "der"))
    for data in (b"", b"\x30\x00", b"key", spki_of(rsa_key())[:-1]):
        with pytest.raises(ValueError, match="malformed"):
            signatures.facts(data)


NO_PARAMETERS = bytes.fromhex("302f300b06096086480165030402010420")
RUBBISH = bytes.fromhex("3035301106096086480165030402010504000000000420")


def padded(info: bytes, size: int, *, start: bytes = b"\0\1", end: bytes = b"\0") -> bytes:
    return start + b"\xff" * (size - len(start) - len(end) - len(info)) + end + info


def behind(info: bytes, size: int) -> bytes:
    short = padded(info, len(info) + 11)
    return short + bytes(size - len(short))


LAX: dict[str, Callable[[bytes, int], bytes]] = {
    "rubbish behind the hash": behind,
    "little padding, the rest in front": lambda info, size: (
        bytes(size - len(info) - 10) + padded(info, len(info) + 10)
    ),
    "another byte in the padding": lambda info, size: padded(info, size, end=b"\xfe\0"),
    "block type 2": lambda info, size: padded(info, size, start=b"\0\2"),
    "no zero": lambda info, size: padded(info, size, end=b""),
    "parameters left out": lambda info, size: padded(NO_PARAMETERS + info[-32:], size),
    "parameters that are rubbish": lambda info, size: padded(RUBBISH + info[-32:], size),
}


@pytest.mark.parametrize("what", LAX)
def test_pkcs1_is_strict(what: str) -> None:
    """Bleichenbacher's signature of 2006 and its descendants (RFC 8017 8.2.2)."""
    key = rsa_key()
    info = DIGEST_INFO + hashlib.sha256(OCTETS).digest()
    size = key.key_size // 8
    encoded = LAX[what](info, size)
    assert len(encoded) == size
    signature = raw_rsa(int.from_bytes(encoded, "big"), key)
    spki = spki_of(key)
    assert not signatures.verifies(spki, Algorithm(Scheme.RSA_SHA256), signature, OCTETS)
    assert signatures.hash_of_pkcs1(spki, signature, OCTETS) is None


def test_the_strict_encoding_itself_is_right() -> None:
    """That the signatures above fail for what is named, and nothing else."""
    key = rsa_key()
    info = DIGEST_INFO + hashlib.sha256(OCTETS).digest()
    size = key.key_size // 8
    encoded = padded(info, size)
    signature = raw_rsa(int.from_bytes(encoded, "big"), key)
    assert signatures.verifies(spki_of(key), Algorithm(Scheme.RSA_SHA256), signature, OCTETS)
    assert signatures.hash_of_pkcs1(spki_of(key), signature, OCTETS) is Scheme.RSA_SHA256.hash


@pytest.mark.parametrize("salt", [0, 20, 32, 64])
def test_pss_with_the_salt_that_it_says(salt: int) -> None:
    key = rsa_key()
    signature = key.sign(OCTETS, padding.PSS(padding.MGF1(hashes.SHA256()), salt), hashes.SHA256())
    spki = spki_of(key)
    assert signatures.verifies(spki, Algorithm(Scheme.PSS_SHA256, salt), signature, OCTETS)
    assert not signatures.verifies(spki, Algorithm(Scheme.PSS_SHA256, salt + 1), signature, OCTETS)
    assert not signatures.verifies(spki, Algorithm(Scheme.PSS_SHA384, salt), signature, OCTETS)
    assert not signatures.verifies(spki, Algorithm(Scheme.RSA_SHA256), signature, OCTETS)


def test_our_salt_is_as_long_as_the_hash() -> None:
    key = rsa_key()
    for scheme, size in ((Scheme.PSS_SHA256, 32), (Scheme.PSS_SHA384, 48), (Scheme.PSS_SHA512, 64)):
        signature = signatures.sign(key, scheme, OCTETS)
        assert signatures.verifies(spki_of(key), Algorithm(scheme, size), signature, OCTETS)
        assert algorithm_ids.salt_of(scheme) == size


def test_a_scheme_of_another_kind_of_key() -> None:
    key = rsa_key()
    with pytest.raises(LocalMisuse):
        signatures.sign(key, Scheme.ED25519, OCTETS)
    signature = signatures.sign(key, Scheme.RSA_SHA256, OCTETS)
    assert not signatures.verifies(spki_of(key), Algorithm(Scheme.ECDSA_SHA256), signature, OCTETS)


def test_lax_der_of_ecdsa_is_refused() -> None:
    key = chain("ecdsa").moon.key
    signature = signatures.sign(key, Scheme.ECDSA_SHA256, OCTETS)
    spki = spki_of(key)
    assert signatures.verifies(spki, Algorithm(Scheme.ECDSA_SHA256), signature, OCTETS)
    for lax in (signature + b"\0", b"\x30\x81" + signature[1:2] + signature[2:]):
        assert not signatures.verifies(spki, Algorithm(Scheme.ECDSA_SHA256), lax, OCTETS)
