"""Certificates, CRLs, public and private keys, from PEM or DER: what is told of them, and nothing else yet.

Names are in charon's words, as `list-certs` has them. What is read may be hostile: sizes are bounded, and
whatever else is wrong is a ValueError, which repeats nothing of a key.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from datetime import datetime
from ipaddress import ip_address
from typing import TypeVar

from cryptography import x509
from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec, ed448, ed25519, rsa
from cryptography.hazmat.primitives.asymmetric.types import PublicKeyTypes
from cryptography.x509.oid import ExtendedKeyUsageOID

MAX_CERTIFICATE = 65535  # octets; a CRL of a thousand entries is as long
MAX_KEY = 8192  # octets: an RSA key of 8192 bits in PEM
PEM = b"-----BEGIN"
PrivateKeys = (
    rsa.RSAPrivateKey | ec.EllipticCurvePrivateKey | ed25519.Ed25519PrivateKey | ed448.Ed448PrivateKey
)
PublicKeys = rsa.RSAPublicKey | ec.EllipticCurvePublicKey | ed25519.Ed25519PublicKey | ed448.Ed448PublicKey
# RFC 4514's and charon's short names of attributes.
ATTRIBUTES = {
    "2.5.4.3": "CN",
    "2.5.4.4": "S",
    "2.5.4.5": "SN",
    "2.5.4.6": "C",
    "2.5.4.7": "L",
    "2.5.4.8": "ST",
    "2.5.4.10": "O",
    "2.5.4.11": "OU",
    "2.5.4.12": "T",
    "2.5.4.13": "D",
    "2.5.4.41": "N",
    "2.5.4.42": "G",
    "2.5.4.43": "I",
    "2.5.4.45": "ID",
    "0.9.2342.19200300.100.1.1": "UID",
    "0.9.2342.19200300.100.1.25": "DC",
    "1.2.840.113549.1.9.1": "E",
}
KINDS: dict[str, tuple[type, ...]] = {
    "any": (rsa.RSAPrivateKey, ec.EllipticCurvePrivateKey, ed25519.Ed25519PrivateKey, ed448.Ed448PrivateKey),
    "rsa": (rsa.RSAPrivateKey,),
    "ecdsa": (ec.EllipticCurvePrivateKey,),
}
T = TypeVar("T")
E = TypeVar("E", bound=x509.ExtensionType)


@dataclass(frozen=True, slots=True)
class Certificate:
    """An X.509 certificate (RFC 5280). `der`: itself; `key_id`: of its key, None for one of another kind.

    `subject`: the distinguished name; `names`: alternative ones. `is_ca`, `is_ocsp`: what it says itself.
    """

    der: bytes
    subject: str
    names: tuple[str, ...]
    key_id: str | None
    is_ca: bool
    is_ocsp: bool


@dataclass(frozen=True, slots=True)
class Crl:
    """A certificate revocation list (RFC 5280 5)."""

    der: bytes
    issuer: str
    issued: datetime


@dataclass(frozen=True, slots=True)
class PublicKey:
    """A raw public key, as a SubjectPublicKeyInfo."""

    der: bytes
    key_id: str


@dataclass(frozen=True, slots=True)
class PrivateKey:
    """A private key, which nobody is shown. `key_id`: SHA-1 of the public key's bits, in hex digits."""

    key_id: str
    key: PrivateKeys = field(repr=False, compare=False)


def certificate(data: bytes) -> Certificate:
    """Read an X.509 certificate. ValueError if it is none."""
    found = _read(data, x509.load_pem_x509_certificate, x509.load_der_x509_certificate)
    try:
        extensions = found.extensions
        basic = _extension(extensions, x509.BasicConstraints)
        usage = _extension(extensions, x509.ExtendedKeyUsage)
        alternative = _extension(extensions, x509.SubjectAlternativeName)
        return Certificate(
            found.public_bytes(serialization.Encoding.DER),
            distinguished_name(found.subject),
            tuple(_names(alternative)) if alternative is not None else (),
            _key_id_of(found),
            is_ca=basic is not None and basic.ca,
            is_ocsp=usage is not None and ExtendedKeyUsageOID.OCSP_SIGNING in usage,
        )
    except (ValueError, x509.DuplicateExtension, x509.UnsupportedGeneralNameType):
        raise ValueError("its extensions or names are malformed") from None


def crl(data: bytes) -> Crl:
    """Read a CRL. ValueError if it is none."""
    found = _read(data, x509.load_pem_x509_crl, x509.load_der_x509_crl)
    der = found.public_bytes(serialization.Encoding.DER)
    return Crl(der, distinguished_name(found.issuer), found.last_update_utc)


def public_key(data: bytes) -> PublicKey:
    """Read a public key, as SubjectPublicKeyInfo or PKCS#1. ValueError if it is none."""
    found = _read(data, serialization.load_pem_public_key, serialization.load_der_public_key)
    encoding = serialization.Encoding.DER, serialization.PublicFormat.SubjectPublicKeyInfo
    return PublicKey(found.public_bytes(*encoding), _key_id(found))


def private_key(data: bytes, kind: str = "any") -> PrivateKey:
    """Read a private key of a kind (KINDS), in any of its encodings without a password. ValueError."""
    if len(data) > MAX_KEY:
        raise ValueError(f"it is too long; allowed: at most {MAX_KEY} octets")
    load = (
        serialization.load_pem_private_key
        if data.lstrip().startswith(PEM)
        else serialization.load_der_private_key
    )
    try:
        found = load(data, None)
    except TypeError:
        raise ValueError("it is encrypted: load it without a password") from None
    except (ValueError, UnsupportedAlgorithm):
        raise ValueError("it is no private key in PEM or DER, or of an unknown kind") from None
    if not isinstance(found, KINDS[kind]):
        raise ValueError(f"it is of another kind; allowed: {kind.upper()}")
    assert isinstance(found, PrivateKeys)
    return PrivateKey(_key_id(found.public_key()), found)


def distinguished_name(name: x509.Name) -> str:
    """A name as charon prints it: "C=CH, O=strongSwan, CN=moon"; "?" for what can't be printed."""
    parts = []
    for attribute in name:
        key = ATTRIBUTES.get(attribute.oid.dotted_string, attribute.oid.dotted_string)
        value = attribute.value if isinstance(attribute.value, str) else attribute.value.hex()
        parts.append(f"{key}={''.join(c if c.isprintable() else '?' for c in value)}")
    return ", ".join(parts)


def _read(data: bytes, pem: Callable[[bytes], T], der: Callable[[bytes], T]) -> T:
    if len(data) > MAX_CERTIFICATE:
        raise ValueError(f"it is too long; allowed: at most {MAX_CERTIFICATE} octets")
    try:
        return pem(data) if data.lstrip().startswith(PEM) else der(data)
    except (ValueError, UnsupportedAlgorithm):
        raise ValueError("it is neither PEM nor DER of this type") from None


def _extension(extensions: x509.Extensions, kind: type[E]) -> E | None:
    try:
        return extensions.get_extension_for_class(kind).value
    except x509.ExtensionNotFound:
        return None


def _names(alternative: x509.SubjectAlternativeName) -> Iterator[str]:
    yield from alternative.get_values_for_type(x509.DNSName)
    yield from alternative.get_values_for_type(x509.RFC822Name)
    yield from (str(ip_address(str(one))) for one in alternative.get_values_for_type(x509.IPAddress))


def _key_id_of(found: x509.Certificate) -> str | None:
    try:
        return _key_id(found.public_key())
    except (ValueError, UnsupportedAlgorithm):
        return None


def _key_id(key: PublicKeyTypes) -> str:
    """charon's: method (1) of RFC 5280 4.2.1.2."""
    if not isinstance(key, PublicKeys):
        raise ValueError("it is a key of an unknown kind, or one that signs nothing")
    return x509.SubjectKeyIdentifier.from_public_key(key).digest.hex()
