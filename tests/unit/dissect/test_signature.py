"""Signatures in AUTH, judged by an onlooker: "wrong" is what was computed, and no rule of ours."""

from __future__ import annotations

import pytest
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec, padding, rsa

from ikepy.crypto import algorithm_ids, signatures
from ikepy.crypto.captured import ENCRYPTION
from ikepy.crypto.key_schedule import Seed
from ikepy.crypto.schemes import Scheme
from ikepy.dissect.auth_check import AuthCheck, Conclusions
from ikepy.dissect.derivation import Covered, signed_octets
from ikepy.dissect.keys import IkeKeys, Keys
from ikepy.dissect.seen import Seen
from ikepy.wire.constants import AuthMethod, CertEncoding, Prf
from ikepy.wire.payloads import AuthPayload, CertPayload

SEED = Seed(b"n" * 32, b"m" * 32, b"initiatr", b"respondr")
COVERED = Covered(Prf.HMAC_SHA2_256, b"request", SEED.nonce_r, b"p" * 32, b"\2\0\0\0gwa", b"")
OCTETS = signed_octets(COVERED)
SHA1, SHA256, V15 = hashes.SHA1(), hashes.SHA256(), padding.PKCS1v15()
Key = rsa.RSAPrivateKey | ec.EllipticCurvePrivateKey
Case = tuple[Key, AuthMethod, bytes]
P256, P384 = ec.generate_private_key(ec.SECP256R1()), ec.generate_private_key(ec.SECP384R1())
RSA, SMALL, CUBE = (rsa.generate_private_key(e, n) for e, n in ((65537, 2048), (65537, 1024), (3, 2048)))
KOBLITZ = ec.generate_private_key(ec.SECP256K1())
ECDSA_SHA1 = bytes.fromhex("300906072a8648ce3d0401")


def judged(key: Key, method: AuthMethod, data: bytes) -> Conclusions:
    """What is said of an initiator's AUTH, who has sent his key as it is."""
    form = serialization.Encoding.DER, serialization.PublicFormat.SubjectPublicKeyInfo
    cert = CertPayload(CertEncoding.RAW_PUBLIC_KEY, key.public_key().public_bytes(*form))
    seen = Seen(COVERED.message, b"response", SEED, None, ids={True: COVERED.id_body}, certs={True: cert})
    keys, gcm = Keys(), ENCRYPTION["AES_GCM_16"]
    sealed = bytes(20)
    told = IkeKeys(SEED.spi_i, SEED.spi_r, gcm, sealed, sealed, prf=COVERED.prf_id, sk_pi=COVERED.sk_p)
    keys.add_ike(told)
    return AuthCheck(keys, ()).judge(seen, AuthPayload(method, data), True)


def digital(signature: bytes, by: Scheme | bytes) -> bytes:
    algorithm = algorithm_ids.encoded(by) if isinstance(by, Scheme) else by
    return bytes([len(algorithm)]) + algorithm + signature


def raw(key: ec.EllipticCurvePrivateKey, hash: hashes.HashAlgorithm, bits: int) -> bytes:
    return signatures.raw_ecdsa(key.sign(OCTETS, ec.ECDSA(hash)), bits)


DS, OLD, CURVE = AuthMethod.DIGITAL_SIGNATURE, AuthMethod.RSA_SIGNATURE, AuthMethod.ECDSA_SHA_256_P256
RIGHT: dict[str, Case] = {
    "rsa-sha1": (RSA, OLD, RSA.sign(OCTETS, V15, SHA1)),
    "rsa-sha256": (RSA, OLD, RSA.sign(OCTETS, V15, SHA256)),
    "rsa-sha1 ": (RSA, DS, digital(RSA.sign(OCTETS, V15, SHA1), Scheme.RSA_SHA1)),
    "ecdsa-sha256": (P256, CURVE, raw(P256, SHA256, 256)),
    "ecdsa-sha256 ": (P384, DS, digital(P384.sign(OCTETS, ec.ECDSA(SHA256)), Scheme.ECDSA_SHA256)),
}
UNTOLD: dict[str, Case] = {
    "an RSA key of 1024 bits": (SMALL, OLD, SMALL.sign(OCTETS, V15, SHA1)),
    "an RSA key with the exponent 3": (CUBE, OLD, CUBE.sign(OCTETS, V15, SHA1)),
    "a key on the curve secp256k1": (KOBLITZ, DS, digital(b"signature", Scheme.ECDSA_SHA256)),
    "its algorithm is not known here: 300906072a86": (P256, DS, digital(b"signature", ECDSA_SHA1)),
}
WRONG: dict[str, Case] = {
    "its signature is wrong": (RSA, OLD, RSA.sign(OCTETS[1:], V15, SHA1)),
    "its signature is wrong: ": (RSA, DS, digital(RSA.sign(OCTETS[1:], V15, SHA1), Scheme.RSA_SHA1)),
    "its method is for another curve": (P384, CURVE, raw(P384, SHA256, 384)),
    "its signature has 96 octets, not 64": (P256, CURVE, raw(P384, SHA256, 384)),
    "it is cut off": (P256, DS, digital(b"", Scheme.ECDSA_SHA256)[:-5]),
}


@pytest.mark.parametrize("scheme", RIGHT)
def test_right(scheme: str) -> None:
    found = judged(*RIGHT[scheme])
    assert found.problems == ()
    assert found.findings[0].startswith(f"AUTH of the initiator is right: {scheme.strip()} by the key of ")


@pytest.mark.parametrize("why", UNTOLD)
def test_what_is_not_verified_here_is_not_called_wrong(why: str) -> None:
    found = judged(*UNTOLD[why])
    assert found.problems == ()
    assert found.findings[0].startswith(f"AUTH of the initiator can't be verified: {why}")


@pytest.mark.parametrize("why", WRONG)
def test_wrong(why: str) -> None:
    found = judged(*WRONG[why])
    assert found.findings == ()
    assert found.problems[0].startswith(f"AUTH of the initiator is wrong: {why}")
