"""Signs, and verifies signatures, with the keys that IKE_AUTH knows (RFC 7296 2.15, 7427, 8420, 8017).

Keys of peers are hostile: what costs much to verify, or proves nothing, is refused before it is used. PKCS#1
v1.5 is verified by comparison of the whole encoding: nothing may stand behind or beside the hash (RFC 8017
8.2.2). ML-DSA is that of FIPS 204, pure, with an empty context (draft-ietf-ipsecme-ikev2-pqc-auth).
"""

from __future__ import annotations

from hashlib import new

from cryptography.exceptions import InvalidSignature, UnsupportedAlgorithm
from cryptography.hazmat.backends import openssl
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec, ed448, ed25519, mldsa, padding, rsa
from cryptography.hazmat.primitives.asymmetric.types import PrivateKeyTypes, PublicKeyTypes
from cryptography.hazmat.primitives.asymmetric.utils import decode_dss_signature, encode_dss_signature

from ikepy.crypto import algorithm_ids
from ikepy.crypto.schemes import KeyFacts, KeyKind, Scheme
from ikepy.errors import LocalMisuse
from ikepy.wire.constants import HashAlgorithm

OPENSSL = openssl.backend  # else the first signature loads it, when the signer may read no file any more
LEAST_RSA, MOST_RSA = 2048, 8192  # bits (RFC 8247 3.1.1); verification is quadratic in them
# Of RSA (FIPS 186-5 A.1.1). 3 is what lax checks of PKCS#1 v1.5 were broken with, 1 is no key at all, and
# large ones cost much.
LEAST_EXPONENT, MOST_EXPONENT = 65537, 2**64
CURVES = {
    "secp256r1": 256,
    "secp384r1": 384,
    "secp521r1": 521,
    "brainpoolP256r1": 256,
    "brainpoolP384r1": 384,
    "brainpoolP512r1": 512,
}
_MLDSA_PUBLIC = {
    mldsa.MLDSA44PublicKey: 44,
    mldsa.MLDSA65PublicKey: 65,
    mldsa.MLDSA87PublicKey: 87,
}
_HASHES: dict[HashAlgorithm, hashes.HashAlgorithm] = {
    HashAlgorithm.SHA1: hashes.SHA1(),
    HashAlgorithm.SHA2_256: hashes.SHA256(),
    HashAlgorithm.SHA2_384: hashes.SHA384(),
    HashAlgorithm.SHA2_512: hashes.SHA512(),
}
# DigestInfo up to the digest, which ends it (RFC 8017 9.2 note 1).
_DIGEST_INFOS = {
    HashAlgorithm.SHA2_256: ("sha256", "3031300d060960864801650304020105000420"),
    HashAlgorithm.SHA2_384: ("sha384", "3041300d060960864801650304020205000430"),
    HashAlgorithm.SHA2_512: ("sha512", "3051300d060960864801650304020305000440"),
    HashAlgorithm.SHA1: ("sha1", "3021300906052b0e03021a05000414"),
}


def facts(public_key: bytes) -> KeyFacts:
    """The kind and size of a key, by its DER SubjectPublicKeyInfo. ValueError, with a text for the log, if it
    is none that we verify with."""
    return facts_of(_loaded(public_key))


def facts_of(key: PublicKeyTypes, most_rsa: int = MOST_RSA) -> KeyFacts:
    """As `facts`, of a key that is loaded. `most_rsa`: bits that an RSA key may have."""
    match key:
        case rsa.RSAPublicKey():
            return _of_rsa(key, most_rsa)
        case ec.EllipticCurvePublicKey() if key.curve.name in CURVES:
            return KeyFacts(KeyKind.ECDSA, CURVES[key.curve.name], key.curve.name)
        case ec.EllipticCurvePublicKey():
            raise ValueError(f"a key on the curve {key.curve.name}; allowed: {', '.join(CURVES)}")
        case ed25519.Ed25519PublicKey():
            return KeyFacts(KeyKind.ED25519, 256)
        case ed448.Ed448PublicKey():
            return KeyFacts(KeyKind.ED448, 456)
    for kind, size in _MLDSA_PUBLIC.items():
        if isinstance(key, kind):
            return KeyFacts(KeyKind.ML_DSA, size)
    raise ValueError("a key of an unknown kind, or one that signs nothing")


def _of_rsa(key: rsa.RSAPublicKey, most: int) -> KeyFacts:
    if not LEAST_RSA <= key.key_size <= most:
        raise ValueError(f"an RSA key of {key.key_size} bits; allowed: {LEAST_RSA} to {most}")
    exponent = key.public_numbers().e
    if not LEAST_EXPONENT <= exponent <= MOST_EXPONENT:
        shown = exponent if exponent < LEAST_EXPONENT else f"{exponent.bit_length()} bits"
        raise ValueError(f"an RSA key with the exponent {shown}; allowed: 65537 to 2^64")
    return KeyFacts(KeyKind.RSA, key.key_size)


def _loaded(public_key: bytes) -> PublicKeyTypes:
    try:
        return serialization.load_der_public_key(public_key)
    except (ValueError, UnsupportedAlgorithm):
        raise ValueError("its key is malformed, or of an unknown kind") from None


# -- verifying ---------------------------------------------------------------------------------------------


def verifies(public_key: bytes, algorithm: algorithm_ids.Algorithm, signature: bytes, octets: bytes) -> bool:
    """Whether `signature` is that of `octets`, by the DER SubjectPublicKeyInfo `public_key`.

    ValueError, with a text for the log, if the key is none that we verify with (`facts`).
    """
    key = _loaded(public_key)
    if facts_of(key).kind is not algorithm.scheme.kind:
        return False
    try:
        _verify(key, algorithm, signature, octets)
    except (InvalidSignature, ValueError):
        return False
    return True


def _verify(key: PublicKeyTypes, algorithm: algorithm_ids.Algorithm, signature: bytes, octets: bytes) -> None:
    scheme = algorithm.scheme
    match key:
        case rsa.RSAPublicKey():
            key.verify(signature, octets, _padding(scheme, algorithm.salt), _HASHES[scheme.hash])
        case ec.EllipticCurvePublicKey():
            key.verify(signature, octets, ec.ECDSA(_HASHES[scheme.hash]))
        case ed25519.Ed25519PublicKey() | ed448.Ed448PublicKey():
            key.verify(signature, octets)
        case mldsa.MLDSA44PublicKey() | mldsa.MLDSA65PublicKey() | mldsa.MLDSA87PublicKey():
            if f"ml-dsa-{facts_of(key).bits}" != scheme.value:
                raise ValueError("another size")
            key.verify(signature, octets)
        case _:
            raise ValueError("another kind")


def hash_of_pkcs1(public_key: bytes, signature: bytes, octets: bytes) -> HashAlgorithm | None:
    """The hash with which a PKCS#1 v1.5 signature is right; None if it is not, as for a key of another kind.

    Of method 1 the signature itself says which hash it is (RFC 7296 3.8). ValueError as in `verifies`.
    """
    key = _loaded(public_key)
    facts_of(key)
    if not isinstance(key, rsa.RSAPublicKey):
        return None
    try:
        info = key.recover_data_from_signature(signature, padding.PKCS1v15(), None)
    except (InvalidSignature, ValueError):
        return None
    for algorithm, (name, start) in _DIGEST_INFOS.items():
        if info == bytes.fromhex(start) + new(name, octets, usedforsecurity=False).digest():
            return algorithm
    return None


# -- signing -----------------------------------------------------------------------------------------------


def sign(key: PrivateKeyTypes, scheme: Scheme, octets: bytes) -> bytes:
    """The signature of `octets`. LocalMisuse if the scheme does not suit the key."""
    if facts_of(key.public_key()).kind is not scheme.kind:
        raise LocalMisuse(f"a key that can't sign by {scheme.value}")
    match key:
        case rsa.RSAPrivateKey():
            chosen = _padding(scheme, algorithm_ids.salt_of(scheme))
            return key.sign(octets, chosen, _HASHES[scheme.hash])
        case ec.EllipticCurvePrivateKey():
            return key.sign(octets, ec.ECDSA(_HASHES[scheme.hash]))
        case ed25519.Ed25519PrivateKey() | ed448.Ed448PrivateKey():
            return key.sign(octets)
        case mldsa.MLDSA44PrivateKey() | mldsa.MLDSA65PrivateKey() | mldsa.MLDSA87PrivateKey():
            return key.sign(octets)
    raise LocalMisuse("a key of another kind")


def _padding(scheme: Scheme, salt: int) -> padding.PSS | padding.PKCS1v15:
    if scheme.pss:
        return padding.PSS(padding.MGF1(_HASHES[scheme.hash]), salt)
    return padding.PKCS1v15()


# -- ECDSA of RFC 4754 -------------------------------------------------------------------------------------


def raw_ecdsa(signature: bytes, bits: int) -> bytes:
    """r and s, each as long as the curve's order (RFC 4754 7), of a DER signature."""
    r, s = decode_dss_signature(signature)
    size = (bits + 7) // 8
    return r.to_bytes(size, "big") + s.to_bytes(size, "big")


def der_ecdsa(raw: bytes, bits: int) -> bytes | None:
    """The DER signature of r and s; None if they have another length."""
    size = (bits + 7) // 8
    if len(raw) != 2 * size:
        return None
    return encode_dss_signature(int.from_bytes(raw[:size], "big"), int.from_bytes(raw[size:], "big"))
