"""Signature schemes of IKE_AUTH: their names, keys and hashes (RFC 7427, 8420).

Names are those of `auth = ike:...` in swanctl.conf. A scheme says what is computed; how the result stands in
an AUTH payload, `sa.auth.signed_auth` says.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum

from ikepy.wire.constants import HashAlgorithm


class KeyKind(Enum):
    """Kinds of public keys, in swanctl's words."""

    RSA = "rsa"
    ECDSA = "ecdsa"
    ED25519 = "ed25519"
    ED448 = "ed448"
    ML_DSA = "ml-dsa"  # draft-ietf-ipsecme-ikev2-pqc-auth: by a switch


class Scheme(Enum):
    """A way to sign. ECDSA signatures are DER SEQUENCEs (RFC 3279 2.2.3), others are octets as they come."""

    RSA_SHA1 = "rsa-sha1"  # PKCS#1 v1.5, as the others named rsa-
    RSA_SHA256 = "rsa-sha256"
    RSA_SHA384 = "rsa-sha384"
    RSA_SHA512 = "rsa-sha512"
    PSS_SHA256 = "rsa/pss-sha256"  # the salt is as long as the hash, which MGF1 uses too
    PSS_SHA384 = "rsa/pss-sha384"
    PSS_SHA512 = "rsa/pss-sha512"
    ECDSA_SHA256 = "ecdsa-sha256"
    ECDSA_SHA384 = "ecdsa-sha384"
    ECDSA_SHA512 = "ecdsa-sha512"
    ED25519 = "ed25519"
    ED448 = "ed448"
    ML_DSA_44 = "ml-dsa-44"
    ML_DSA_65 = "ml-dsa-65"
    ML_DSA_87 = "ml-dsa-87"

    @property
    def kind(self) -> KeyKind:
        """The kind of the keys that sign so."""
        return _TRAITS[self].kind

    @property
    def hash(self) -> HashAlgorithm:
        """What SIGNATURE_HASH_ALGORITHMS must list for it."""
        return _TRAITS[self].hash

    @property
    def pss(self) -> bool:
        return self in (Scheme.PSS_SHA256, Scheme.PSS_SHA384, Scheme.PSS_SHA512)

    @property
    def experimental(self) -> bool:
        """Whether it is used by a switch alone."""
        return self.kind is KeyKind.ML_DSA


@dataclass(frozen=True, slots=True)
class KeyFacts:
    """The kind and the size of a key: bits of the modulus or of the curve's order (Ed25519: 256, Ed448: 456;
    ML-DSA: 44, 65 or 87). `curve`: of ECDSA, as `cryptography` calls it; "" of others."""

    kind: KeyKind
    bits: int
    curve: str = ""

    def __str__(self) -> str:
        return f"{self.kind.value}-{self.bits}"


@dataclass(frozen=True, slots=True)
class _Traits:
    kind: KeyKind
    hash: HashAlgorithm


_TRAITS = {
    Scheme.RSA_SHA1: _Traits(KeyKind.RSA, HashAlgorithm.SHA1),
    Scheme.RSA_SHA256: _Traits(KeyKind.RSA, HashAlgorithm.SHA2_256),
    Scheme.RSA_SHA384: _Traits(KeyKind.RSA, HashAlgorithm.SHA2_384),
    Scheme.RSA_SHA512: _Traits(KeyKind.RSA, HashAlgorithm.SHA2_512),
    Scheme.PSS_SHA256: _Traits(KeyKind.RSA, HashAlgorithm.SHA2_256),
    Scheme.PSS_SHA384: _Traits(KeyKind.RSA, HashAlgorithm.SHA2_384),
    Scheme.PSS_SHA512: _Traits(KeyKind.RSA, HashAlgorithm.SHA2_512),
    Scheme.ECDSA_SHA256: _Traits(KeyKind.ECDSA, HashAlgorithm.SHA2_256),
    Scheme.ECDSA_SHA384: _Traits(KeyKind.ECDSA, HashAlgorithm.SHA2_384),
    Scheme.ECDSA_SHA512: _Traits(KeyKind.ECDSA, HashAlgorithm.SHA2_512),
    Scheme.ED25519: _Traits(KeyKind.ED25519, HashAlgorithm.IDENTITY),
    Scheme.ED448: _Traits(KeyKind.ED448, HashAlgorithm.IDENTITY),
    Scheme.ML_DSA_44: _Traits(KeyKind.ML_DSA, HashAlgorithm.IDENTITY),
    Scheme.ML_DSA_65: _Traits(KeyKind.ML_DSA, HashAlgorithm.IDENTITY),
    Scheme.ML_DSA_87: _Traits(KeyKind.ML_DSA, HashAlgorithm.IDENTITY),
}
