"""Private keys, read in the process that signs: PKCS#8 (RFC 5958), PKCS#1, SEC 1 (RFC 5915) and PKCS#12
(RFC 7292).

Kinds are swanctl's words for its directories and secrets. What is wrong is a ValueError, which repeats
nothing of a key or a password.
"""

from __future__ import annotations

from dataclasses import dataclass, field

from cryptography import x509
from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec, ed448, ed25519, mldsa, rsa
from cryptography.hazmat.primitives.serialization import pkcs12

from ikepy.crypto.secret import Secret
from ikepy.crypto.signatures import LEAST_RSA, MOST_RSA
from ikepy.crypto.x509.encoding import is_pem

MAX_FILE = 65536  # octets of a key, or of a PKCS#12 container with its certificates
SigningKey = (
    rsa.RSAPrivateKey
    | ec.EllipticCurvePrivateKey
    | ed25519.Ed25519PrivateKey
    | ed448.Ed448PrivateKey
    | mldsa.MLDSA44PrivateKey
    | mldsa.MLDSA65PrivateKey
    | mldsa.MLDSA87PrivateKey
)
PKCS12 = "pkcs12"
KINDS = ("private", "any", "rsa", "ecdsa", "pkcs8", PKCS12)
_OF_KIND = {"rsa": rsa.RSAPrivateKey, "ecdsa": ec.EllipticCurvePrivateKey}


@dataclass(frozen=True, slots=True)
class LoadedKey:
    """A private key. `key_id`: SHA-1 of the public key's bits, in hex digits (RFC 5280 4.2.1.2, method 1).

    `public_key`: its SubjectPublicKeyInfo, DER. `certificates`: DER, those that came with it, its own first.
    """

    key_id: str
    public_key: bytes = field(repr=False)
    key: SigningKey = field(repr=False, compare=False)
    certificates: tuple[bytes, ...] = field(default=(), repr=False)

    def pkcs8(self) -> Secret:
        """The key itself, in DER."""
        form = serialization.Encoding.DER, serialization.PrivateFormat.PKCS8
        return Secret(self.key.private_bytes(*form, serialization.NoEncryption()))


def load(data: bytes | bytearray, kind: str = "private", password: bytes | None = None) -> LoadedKey:
    """Read a private key of a kind of KINDS, in PEM or DER. Raises ValueError."""
    if len(data) > MAX_FILE:
        raise ValueError(f"it is too long; allowed: at most {MAX_FILE} octets")
    if kind == PKCS12:
        return _from_pkcs12(data, password)
    read = serialization.load_pem_private_key if is_pem(data) else serialization.load_der_private_key
    try:
        found = read(data, password)
    except TypeError:
        if password is not None:  # it is not encrypted: the password is not needed
            return load(data, kind)
        raise ValueError("it is encrypted: give its password as a secret") from None
    except (ValueError, UnsupportedAlgorithm):
        other = "" if password is None else ", or has another password"
        raise ValueError(f"it is no private key in PEM or DER, or of an unknown kind{other}") from None
    if kind in _OF_KIND and not isinstance(found, _OF_KIND[kind]):
        raise ValueError(f"it is a key of another kind; allowed: {kind.upper()}")
    return _of(found)


def public_half(key: object) -> tuple[str, bytes]:
    """The key ID and the SubjectPublicKeyInfo (DER) of a public key. Raises ValueError."""
    if not hasattr(key, "public_bytes"):
        raise ValueError("it is a key of a kind that signs nothing")
    der = key.public_bytes(serialization.Encoding.DER, serialization.PublicFormat.SubjectPublicKeyInfo)
    return x509.SubjectKeyIdentifier.from_public_key(key).digest.hex(), der  # type: ignore[arg-type]


def subject_public_key_info(data: bytes) -> bytes:
    """A public key (SubjectPublicKeyInfo or PKCS#1, DER) as SubjectPublicKeyInfo. Raises ValueError."""
    return public_half(_public(data))[1]


def key_id(public_key: bytes) -> str:
    """Of a SubjectPublicKeyInfo, DER. Raises ValueError."""
    return public_half(_public(public_key))[0]


def public_key_of(certificate: bytes) -> bytes:
    """The SubjectPublicKeyInfo of a certificate, DER. Raises ValueError."""
    try:
        return public_half(x509.load_der_x509_certificate(certificate).public_key())[1]
    except (ValueError, UnsupportedAlgorithm, x509.InvalidVersion):
        raise ValueError("it is no certificate, or of a key of an unknown kind") from None


def _public(data: bytes) -> object:
    try:
        return serialization.load_der_public_key(data)
    except (ValueError, UnsupportedAlgorithm):
        raise ValueError("it is no public key, or of an unknown kind") from None


def _from_pkcs12(data: bytes | bytearray, password: bytes | None) -> LoadedKey:
    try:
        found = pkcs12.load_pkcs12(bytes(data), password)
    except (ValueError, UnsupportedAlgorithm, TypeError):
        raise ValueError("it is no PKCS#12 container, or has another password") from None
    if found.key is None:
        raise ValueError("the PKCS#12 container has no private key")
    chain = [] if found.cert is None else [found.cert.certificate]
    chain += [one.certificate for one in found.additional_certs]
    return _of(found.key, tuple(one.public_bytes(serialization.Encoding.DER) for one in chain))


def _of(key: object, certificates: tuple[bytes, ...] = ()) -> LoadedKey:
    if not isinstance(key, SigningKey):
        raise ValueError("it is a key of a kind that signs nothing")
    if isinstance(key, rsa.RSAPrivateKey) and not LEAST_RSA <= key.key_size <= MOST_RSA:
        raise ValueError(f"it is an RSA key of {key.key_size} bits; allowed: {LEAST_RSA} to {MOST_RSA} bits")
    return LoadedKey(*public_half(key.public_key()), key, certificates)
