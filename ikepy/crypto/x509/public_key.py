"""Public keys that IKE signs with: what is read of them, and which of them are refused before they cost time.

strongSwan takes RSA keys of any exponent, ikepy does not (`ikepy.crypto.signatures`). In a chain an RSA key
may have up to 16384 bits: more is more than OpenSSL verifies.
"""

from __future__ import annotations

from dataclasses import dataclass

from cryptography.exceptions import InvalidSignature, UnsupportedAlgorithm
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec, ed448, ed25519, mldsa, padding, rsa
from cryptography.hazmat.primitives.asymmetric.types import PublicKeyTypes
from cryptography.hazmat.primitives.asymmetric.utils import Prehashed
from cryptography.x509 import SubjectKeyIdentifier

from ikepy.crypto import signatures
from ikepy.crypto.schemes import KeyFacts
from ikepy.crypto.x509 import encoding

MAX_KEY = 8192  # octets of DER
LABELS = (b"PUBLIC KEY", b"RSA PUBLIC KEY")  # of PEM
MAX_RSA = 16384  # bits
SHA2 = (hashes.SHA224, hashes.SHA256, hashes.SHA384, hashes.SHA512)
SHA3 = (hashes.SHA3_224, hashes.SHA3_256, hashes.SHA3_384, hashes.SHA3_512)
MlDsa = mldsa.MLDSA44PublicKey | mldsa.MLDSA65PublicKey | mldsa.MLDSA87PublicKey
Keys = rsa.RSAPublicKey | ec.EllipticCurvePublicKey | ed25519.Ed25519PublicKey | ed448.Ed448PublicKey | MlDsa
Parameters = padding.PSS | padding.PKCS1v15 | ec.ECDSA | None


@dataclass(frozen=True, slots=True)
class PublicKey:
    """A raw public key, as a SubjectPublicKeyInfo. `key_id`: as `key_id` of this module."""

    der: bytes
    key_id: str


def public_key(data: bytes) -> PublicKey:
    """Read a public key, as SubjectPublicKeyInfo or PKCS#1, PEM or DER. ValueError if it is none."""
    der = encoding.der(data, MAX_KEY, *LABELS)
    try:
        found = serialization.load_der_public_key(der)
    except (ValueError, UnsupportedAlgorithm):
        raise ValueError("it is neither PEM nor DER of this type") from None
    return PublicKey(subject_public_key_info(found), key_id(found))


def subject_public_key_info(key: PublicKeyTypes) -> bytes:
    """DER."""
    return key.public_bytes(serialization.Encoding.DER, serialization.PublicFormat.SubjectPublicKeyInfo)


def key_id(key: PublicKeyTypes) -> str:
    """charon's name of a key: SHA-1 of its bits, in hex digits (RFC 5280 4.2.1.2, method 1). ValueError."""
    if not isinstance(key, Keys):
        raise ValueError("it is a key of an unknown kind, or one that signs nothing")
    return SubjectKeyIdentifier.from_public_key(key).digest.hex()


def strength(key: PublicKeyTypes) -> KeyFacts:
    """What a key in a chain is worth. ValueError if it must not be used at all."""
    return signatures.facts_of(key, MAX_RSA)


def verify(
    key: PublicKeyTypes,
    signature: bytes,
    data: bytes | memoryview,
    hashed: hashes.HashAlgorithm | None,
    parameters: Parameters,
) -> None:
    """Verify a signature of a certificate, CRL or OCSP response. ValueError if it is not the key's.

    `data` may be long: it is hashed in parts, so that other threads go on.
    """
    if hashed is not None and not isinstance(hashed, (*SHA2, *SHA3)):
        raise ValueError(f"it is signed with {hashed.name}, which is too weak; allowed: SHA-2 and SHA-3")
    try:
        match key:
            case rsa.RSAPublicKey() if hashed is not None and isinstance(
                parameters, padding.PSS | padding.PKCS1v15
            ):
                key.verify(signature, _digest(data, hashed), parameters, Prehashed(hashed))
            case ec.EllipticCurvePublicKey() if hashed is not None and isinstance(parameters, ec.ECDSA):
                key.verify(signature, _digest(data, hashed), ec.ECDSA(Prehashed(hashed)))
            case ed25519.Ed25519PublicKey() | ed448.Ed448PublicKey() if parameters is None:
                key.verify(signature, bytes(data))
            case mldsa.MLDSA44PublicKey() | mldsa.MLDSA65PublicKey() | mldsa.MLDSA87PublicKey() if (
                parameters is None
            ):
                key.verify(signature, bytes(data))
            case _:
                raise ValueError("it is signed by a key of another kind than its issuer's")
    except (InvalidSignature, UnsupportedAlgorithm):
        raise ValueError("its signature is not its issuer's") from None


def _digest(data: bytes | memoryview, hashed: hashes.HashAlgorithm) -> bytes:
    state, view = hashes.Hash(hashed), memoryview(data)
    for start in range(0, len(view), 1 << 20):
        state.update(view[start : start + (1 << 20)])
    return state.finalize()
