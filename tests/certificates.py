"""Certificates and keys for tests, made anew: a CA, an end entity, a CRL."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.x509.oid import NameOID

PrivateKey = ec.EllipticCurvePrivateKey | rsa.RSAPrivateKey
NOW = datetime.now(UTC).replace(microsecond=0)
DER, PEM = serialization.Encoding.DER, serialization.Encoding.PEM


def name(common: str) -> x509.Name:
    parts = (
        (NameOID.COUNTRY_NAME, "CH"),
        (NameOID.ORGANIZATION_NAME, "ikepy"),
        (NameOID.COMMON_NAME, common),
    )
    return x509.Name([x509.NameAttribute(oid, text) for oid, text in parts])


def certificate(
    common: str, key: PrivateKey, issuer: PrivateKey, *extensions: x509.ExtensionType, ca: bool = False
) -> x509.Certificate:
    """Of `key`, signed by that of the issuer, whose name is "CA"."""
    builder = (
        x509.CertificateBuilder()
        .subject_name(name(common))
        .issuer_name(name("CA"))
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(NOW - timedelta(days=1))
        .not_valid_after(NOW + timedelta(days=30))
        .add_extension(x509.BasicConstraints(ca=ca, path_length=None), critical=True)
    )
    for one in extensions:
        builder = builder.add_extension(one, critical=False)
    return builder.sign(issuer, hashes.SHA256())


def crl(issuer: PrivateKey, *, days_ago: int = 0) -> x509.CertificateRevocationList:
    """An empty one of the issuer "CA"."""
    issued = NOW - timedelta(days=days_ago)
    return (
        x509.CertificateRevocationListBuilder()
        .issuer_name(name("CA"))
        .last_update(issued)
        .next_update(issued + timedelta(days=30))
        .add_extension(x509.CRLNumber(100 - days_ago), critical=False)
        .add_extension(
            x509.AuthorityKeyIdentifier.from_issuer_public_key(issuer.public_key()), critical=False
        )
        .sign(issuer, hashes.SHA256())
    )


def private(key: Any, encoding: serialization.Encoding = DER, password: bytes | None = None) -> bytes:
    """As PKCS#8."""
    hidden: serialization.KeySerializationEncryption = serialization.NoEncryption()
    if password is not None:
        hidden = serialization.BestAvailableEncryption(password)
    encoded: bytes = key.private_bytes(encoding, serialization.PrivateFormat.PKCS8, hidden)
    return encoded


def traditional(key: PrivateKey) -> bytes:
    """As PKCS#1 or SEC 1, in DER, which swanctl sends."""
    return key.private_bytes(
        DER, serialization.PrivateFormat.TraditionalOpenSSL, serialization.NoEncryption()
    )


def public(key: Any) -> bytes:
    """As SubjectPublicKeyInfo."""
    encoded: bytes = key.public_key().public_bytes(DER, serialization.PublicFormat.SubjectPublicKeyInfo)
    return encoded
