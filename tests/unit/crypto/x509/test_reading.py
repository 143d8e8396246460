"""Certificates and keys in every encoding, and what is none."""

from __future__ import annotations

import contextlib
import re
from datetime import timedelta
from ipaddress import ip_address

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec, ed448, ed25519, rsa, x25519
from cryptography.hazmat.primitives.serialization import PublicFormat
from cryptography.x509.oid import ExtendedKeyUsageOID
from hypothesis import given
from hypothesis import strategies as st

from ikepy.crypto.private_keys import MAX_FILE
from ikepy.crypto.private_keys import load as private_key
from ikepy.crypto.x509.certificate import certificate
from ikepy.crypto.x509.crl import crl
from ikepy.crypto.x509.public_key import public_key
from tests import certificates as made
from tests.certificates import DER, NOW, PEM

KEY = ec.generate_private_key(ec.SECP256R1())
ALTERNATIVE = x509.SubjectAlternativeName(
    [x509.DNSName("gw.example.org"), x509.IPAddress(ip_address("192.0.2.1")), x509.RFC822Name("a@b.org")]
)
USAGE = x509.ExtendedKeyUsage([ExtendedKeyUsageOID.OCSP_SIGNING])


def test_a_certificate() -> None:
    ca = made.certificate("CA", KEY, KEY, ca=True)
    end = made.certificate("gwa", KEY, KEY, ALTERNATIVE, USAGE)
    for encoding in (DER, PEM):
        found = certificate(ca.public_bytes(encoding))
        assert (found.der, str(found.subject)) == (ca.public_bytes(DER), "C=CH, O=ikepy, CN=CA")
        assert (found.is_ca, found.is_ocsp, tuple(found.names)) == (True, False, ())
    found = certificate(end.public_bytes(DER))
    assert (found.is_ca, found.is_ocsp) == (False, True)
    assert tuple(found.names) == ("gw.example.org", "a@b.org", "192.0.2.1")
    assert found.key_id == private_key(made.private(KEY)).key_id


def test_a_crl() -> None:
    list_ = made.crl(KEY, days_ago=2)
    for encoding in (DER, PEM):
        found = crl(list_.public_bytes(encoding))
        assert str(found.issuer) == "C=CH, O=ikepy, CN=CA"
        assert (found.der, found.issued) == (list_.public_bytes(DER), (NOW - timedelta(days=2)).timestamp())


KEYS = {
    "rsa": rsa.generate_private_key(65537, 2048),
    "ecdsa": KEY,
    "ed25519": ed25519.Ed25519PrivateKey.generate(),
    "ed448": ed448.Ed448PrivateKey.generate(),
}


@pytest.mark.parametrize("kind", KEYS)
def test_keys(kind: str) -> None:
    key = KEYS[kind]
    found = private_key(made.private(key))
    assert found == private_key(made.private(key, PEM))
    assert found.key_id == public_key(made.public(key)).key_id
    assert re.fullmatch(r"[0-9a-f]{40}", found.key_id)
    assert "key=" not in repr(found) and repr(made.private(key))[12:40] not in repr(found)
    for other in ("rsa", "ecdsa"):
        if other == kind:
            assert isinstance(key, rsa.RSAPrivateKey | ec.EllipticCurvePrivateKey)
            assert private_key(made.traditional(key), other) == found
        else:
            with pytest.raises(ValueError, match=f"another kind; allowed: {other.upper()}"):
                private_key(made.private(key), other)


@pytest.mark.parametrize("behind", [b"", b"\nMore of it, and nothing else.\n"])
def test_text_around_pem(behind: bytes) -> None:
    """As `openssl pkcs12 -nodes` and `openssl crl -text` write it."""
    before = b"Bag Attributes\n    localKeyID: 01 02\nsubject=CN = x\n" * 2000
    ca, list_ = made.certificate("CA", KEY, KEY, ca=True), made.crl(KEY)
    assert certificate(before + ca.public_bytes(PEM) + behind).der == ca.public_bytes(DER)
    assert crl(before + list_.public_bytes(PEM) + behind).der == list_.public_bytes(DER)
    public = KEY.public_key().public_bytes(PEM, PublicFormat.SubjectPublicKeyInfo)
    assert public_key(before[:1000] + public + behind) == public_key(made.public(KEY))
    other = ca.public_bytes(PEM)
    for key in KEYS.values():
        found = private_key(before[:1000] + other + made.private(key, PEM) + behind)
        assert found == private_key(made.private(key))
    with pytest.raises(ValueError, match="it is encrypted"):
        private_key(before[:1000] + made.private(KEY, PEM, b"password"))


def test_keys_that_are_none() -> None:
    exchange = x25519.X25519PrivateKey.generate()
    with pytest.raises(ValueError, match="signs nothing"):
        private_key(made.private(exchange))
    with pytest.raises(ValueError, match="signs nothing"):
        public_key(made.public(exchange))
    with pytest.raises(ValueError, match="it is encrypted"):
        private_key(made.private(KEY, PEM, b"password"))
    with pytest.raises(ValueError, match="too long"):
        private_key(bytes(MAX_FILE + 1))
    with pytest.raises(ValueError, match="no private key"):
        private_key(made.public(KEY))


def test_an_inconsistent_rsa_key_is_refused() -> None:
    key = KEYS["rsa"]
    assert isinstance(key, rsa.RSAPrivateKey)
    der = made.traditional(key)
    with pytest.raises(ValueError, match="no private key"):
        private_key(der[:200] + bytes((der[200] ^ 1,)) + der[201:])


def test_a_malformed_extension_is_an_error() -> None:
    broken = x509.UnrecognizedExtension(x509.ObjectIdentifier("2.5.29.37"), b"\x30\x05")
    builder = (
        x509.CertificateBuilder(subject_name=made.name("x"), issuer_name=made.name("x"))
        .public_key(KEY.public_key())
        .serial_number(1)
        .not_valid_before(NOW)
        .not_valid_after(NOW + timedelta(days=1))
        .add_extension(broken, critical=False)
    )
    with pytest.raises(ValueError, match="extensions or names are malformed"):
        certificate(builder.sign(KEY, hashes.SHA256()).public_bytes(DER))


VALID = made.certificate("gwa", KEY, KEY, ALTERNATIVE, USAGE).public_bytes(DER)


@given(data=st.binary(max_size=300), at=st.integers(0, len(VALID) - 1))
def test_nothing_but_a_value_error(data: bytes, at: int) -> None:
    changed = VALID[:at] + data[:8] + VALID[at + len(data[:8]) :]
    for reader in (certificate, crl, public_key, private_key):
        for one in (data, changed, b"-----BEGIN CERTIFICATE-----\n" + data):
            with contextlib.suppress(ValueError):
                reader(one)
