"""Signatures in AUTH: which way is chosen, and what of a peer's is refused."""

from __future__ import annotations

from dataclasses import replace

import pytest
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec, padding, rsa

from ikepy.config import auth_method
from ikepy.crypto import algorithm_ids, signatures
from ikepy.crypto.schemes import KeyFacts, KeyKind, Scheme
from ikepy.pki import keys
from ikepy.sa.auth.announced import NOTHING, Announced, methods_payload
from ikepy.sa.auth.signed_auth import HASHES, Way, Wrong, auth_payload, check, choose, verified
from ikepy.wire.constants import AuthMethod, HashAlgorithm
from ikepy.wire.payloads import AuthPayload
from tests.pki import chain

OCTETS = b"InitiatorSignedOctets"
OLD, NEW = NOTHING, Announced(hashes=frozenset(HASHES))
DIGITAL = AuthMethod.DIGITAL_SIGNATURE
RSA, LARGE = KeyFacts(KeyKind.RSA, 3072), KeyFacts(KeyKind.RSA, 8192)
P256, P384 = KeyFacts(KeyKind.ECDSA, 256, "secp256r1"), KeyFacts(KeyKind.ECDSA, 384, "secp384r1")
ED25519, ED448 = KeyFacts(KeyKind.ED25519, 256), KeyFacts(KeyKind.ED448, 456)
BRAINPOOL = KeyFacts(KeyKind.ECDSA, 256, "brainpoolP256r1")


def rules(text: str) -> tuple[auth_method.KeyRule, ...]:
    return auth_method.parse(text).ike


CHOICES = [
    (RSA, NEW, "pubkey", (DIGITAL, Scheme.RSA_SHA256)),
    (LARGE, NEW, "pubkey", (DIGITAL, Scheme.RSA_SHA512)),
    (RSA, NEW, "ike:rsa/pss-sha384", (DIGITAL, Scheme.PSS_SHA384)),
    (RSA, NEW, "ike:rsa-sha512-sha384", (DIGITAL, Scheme.RSA_SHA512)),
    (RSA, OLD, "pubkey", (AuthMethod.RSA_SIGNATURE, Scheme.RSA_SHA1)),
    (P256, NEW, "pubkey", (DIGITAL, Scheme.ECDSA_SHA256)),
    (P384, NEW, "pubkey", (DIGITAL, Scheme.ECDSA_SHA384)),
    (P384, OLD, "pubkey", (AuthMethod.ECDSA_SHA_384_P384, Scheme.ECDSA_SHA384)),
    (BRAINPOOL, NEW, "pubkey", (DIGITAL, Scheme.ECDSA_SHA256)),
    (ED25519, NEW, "pubkey", (DIGITAL, Scheme.ED25519)),
    (ED448, NEW, "pubkey", (DIGITAL, Scheme.ED448)),
    (P384, Announced(hashes=frozenset({HashAlgorithm.SHA2_256})), "pubkey", (DIGITAL, Scheme.ECDSA_SHA256)),
]


@pytest.mark.parametrize(("key", "peer", "auth", "way"), CHOICES)
def test_the_way_to_sign(key: KeyFacts, peer: Announced, auth: str, way: tuple[AuthMethod, Scheme]) -> None:
    assert choose(key, peer, rules(auth), experimental=False) == way


@pytest.mark.parametrize(
    ("key", "peer", "auth", "why"),
    [
        (ED25519, OLD, "pubkey", "verifies no signature of a ed25519-256 key"),
        (BRAINPOOL, OLD, "pubkey", "verifies no signature of a ecdsa-256 key"),
        (RSA, OLD, "ike:rsa-sha256", "local.auth permits no signature"),
        (ED25519, Announced(hashes=frozenset({HashAlgorithm.SHA2_256})), "pubkey", "verifies no signature"),
        (KeyFacts(KeyKind.ML_DSA, 65), NEW, "pubkey", "verifies no signature"),
    ],
)
def test_no_way_to_sign(key: KeyFacts, peer: Announced, auth: str, why: str) -> None:
    found = choose(key, peer, rules(auth), experimental=False)
    assert isinstance(found, str)
    assert why in found


def test_what_the_peer_announces_is_preferred() -> None:
    """PSS to one that verifies it; what it does not announce, if it announces none of ours (RFC 9593)."""
    said = replace(NEW, methods=NOTHING.and_in(methods_payload(verified((), experimental=False))).methods)
    assert choose(RSA, said, (), experimental=False) == (DIGITAL, Scheme.PSS_SHA256)
    only = replace(NEW, methods=frozenset({(int(DIGITAL), Scheme.PSS_SHA512)}))
    assert choose(RSA, only, (), experimental=False) == (DIGITAL, Scheme.PSS_SHA512)
    assert choose(ED25519, only, (), experimental=False) == (DIGITAL, Scheme.ED25519)


def test_what_is_announced_is_what_is_permitted() -> None:
    every = verified((), experimental=False)
    assert (DIGITAL, Scheme.PSS_SHA256) in every
    assert not any(scheme.experimental for _, scheme in every)
    assert {scheme for _, scheme in verified(rules("ike:rsa/pss-sha512"), experimental=False)} == {
        Scheme.PSS_SHA512
    }
    assert Way(DIGITAL, Scheme.ML_DSA_65) in verified((), experimental=True)


KINDS = [
    ("rsa", Scheme.RSA_SHA256, DIGITAL),
    ("rsa", Scheme.PSS_SHA384, DIGITAL),
    ("rsa", Scheme.RSA_SHA1, AuthMethod.RSA_SIGNATURE),
    ("ecdsa", Scheme.ECDSA_SHA256, DIGITAL),
    ("ecdsa", Scheme.ECDSA_SHA512, DIGITAL),
    ("ecdsa", Scheme.ECDSA_SHA256, AuthMethod.ECDSA_SHA_256_P256),
    ("brainpool", Scheme.ECDSA_SHA256, DIGITAL),
    ("ed25519", Scheme.ED25519, DIGITAL),
    ("ed448", Scheme.ED448, DIGITAL),
]


def signed(
    kind: str, scheme: Scheme, method: AuthMethod, octets: bytes = OCTETS
) -> tuple[AuthPayload, bytes]:
    moon = chain(kind).moon
    signature = signatures.sign(moon.key, scheme, OCTETS)
    return auth_payload(Way(method, scheme), signatures.facts(moon.spki), signature), moon.spki


@pytest.mark.parametrize(("kind", "scheme", "method"), KINDS)
def test_what_is_signed_is_verified(kind: str, scheme: Scheme, method: AuthMethod) -> None:
    auth, key = signed(kind, scheme, method)
    assert check(auth, key, OCTETS, (), experimental=False) is scheme


@pytest.mark.parametrize(("kind", "scheme", "method"), KINDS)
def test_other_octets_another_key_and_changed_bits(kind: str, scheme: Scheme, method: AuthMethod) -> None:
    auth, key = signed(kind, scheme, method)
    assert isinstance(check(auth, key, b"other", (), experimental=False), Wrong)
    sun = chain(kind).sun.spki
    assert isinstance(check(auth, sun, OCTETS, (), experimental=False), Wrong)
    changed = auth.data[:-1] + bytes([auth.data[-1] ^ 1])
    assert isinstance(check(replace(auth, data=changed), key, OCTETS, (), experimental=False), Wrong)
    for data in (b"", auth.data[:1], auth.data[:20], auth.data + b"\0"):
        assert isinstance(check(replace(auth, data=data), key, OCTETS, (), experimental=False), Wrong)


def why(auth: AuthPayload, key: bytes, text: str = "pubkey") -> str:
    found = check(auth, key, OCTETS, rules(text), experimental=False)
    assert isinstance(found, Wrong)
    return found.why


def test_a_hash_that_was_not_offered() -> None:
    moon = chain("rsa").moon
    signature = signatures.sign(moon.key, Scheme.RSA_SHA1, OCTETS)
    algorithm = algorithm_ids.encoded(Scheme.RSA_SHA1)
    auth = AuthPayload(DIGITAL, bytes([len(algorithm)]) + algorithm + signature)
    assert "it signs with rsa-sha1, which we have not offered" in why(auth, moon.spki)


@pytest.mark.parametrize("hash", [hashes.SHA1(), hashes.SHA256(), hashes.SHA384(), hashes.SHA512()])
def test_rsa_of_old_peers_with_any_hash(hash: hashes.HashAlgorithm) -> None:
    """Method 1 says the hash in the signature itself (RFC 7296 3.8)."""
    moon = chain("rsa").moon
    assert isinstance(moon.key, rsa.RSAPrivateKey)
    auth = AuthPayload(AuthMethod.RSA_SIGNATURE, moon.key.sign(OCTETS, padding.PKCS1v15(), hash))
    found = check(auth, moon.spki, OCTETS, (), experimental=False)
    assert isinstance(found, Scheme)
    assert found.value == f"rsa-{hash.name}"


def test_a_method_of_another_curve() -> None:
    key = keys.generate("ecdsa", 384)
    assert isinstance(key, ec.EllipticCurvePrivateKey)
    auth, _ = signed("ecdsa", Scheme.ECDSA_SHA256, AuthMethod.ECDSA_SHA_256_P256)
    spki = keys.public_bytes(key.public_key(), "der")
    assert "is for another curve than that of its ecdsa-384 key" in why(auth, spki)


def test_raw_ecdsa_of_another_length() -> None:
    auth, key = signed("ecdsa", Scheme.ECDSA_SHA256, AuthMethod.ECDSA_SHA_256_P256)
    assert len(auth.data) == 64
    assert why(replace(auth, data=auth.data[1:]), key) == "its signature has 63 octets, not 64"


def test_zero_and_too_large_numbers_prove_nothing() -> None:
    _, key = signed("ecdsa", Scheme.ECDSA_SHA256, AuthMethod.ECDSA_SHA_256_P256)
    for data in (bytes(64), b"\xff" * 64):
        assert "its signature is wrong" in why(AuthPayload(AuthMethod.ECDSA_SHA_256_P256, data), key)


def test_constraints_hold_for_the_signature() -> None:
    auth, key = signed("rsa", Scheme.RSA_SHA256, DIGITAL)
    assert "remote.auth does not permit its signature, rsa-sha256 by its rsa-3072 key" in why(
        auth, key, "ike:rsa/pss"
    )
    assert "does not permit" in why(auth, key, "ike:rsa-sha384")
    assert "does not permit" in why(auth, key, "ike:rsa-4096")
    assert check(auth, key, OCTETS, rules("rsa-3072-sha256"), experimental=False) is Scheme.RSA_SHA256


def test_ml_dsa_by_a_switch_alone() -> None:
    key = keys.generate("mldsa65")
    spki = keys.public_bytes(key.public_key(), "der")
    way = Way(DIGITAL, Scheme.ML_DSA_65)
    auth = auth_payload(way, signatures.facts(spki), signatures.sign(key, Scheme.ML_DSA_65, OCTETS))
    assert check(auth, spki, OCTETS, (), experimental=True) is Scheme.ML_DSA_65
    assert "its signature algorithm is not supported" in why(auth, spki)
    assert choose(signatures.facts(spki), NEW, (), experimental=True) == way
    other = keys.public_bytes(keys.generate("mldsa44").public_key(), "der")
    assert isinstance(check(auth, other, OCTETS, (), experimental=True), Wrong)


def test_unknown_methods() -> None:
    _, key = signed("ecdsa", Scheme.ECDSA_SHA256, DIGITAL)
    for method in (AuthMethod.DSS_SIGNATURE, AuthMethod.NULL, 201):
        assert "it authenticates by" in why(AuthPayload(method, b"x"), key)
