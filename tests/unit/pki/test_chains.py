"""What `ikepy.pki` makes, as openssl and strongSwan's pki see it."""

from __future__ import annotations

import shutil
import subprocess
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec

from ikepy.pki import certificates, crl, keys, verifying
from ikepy.pki.certificates import Contents
from tests.pki import Entity, chain, make_key

TYPES = ("rsa", "ecdsa", "brainpool", "ed25519", "ed448")
has_pki = pytest.mark.skipif(shutil.which("pki") is None, reason="needs Debian's strongswan-pki")


def run(*words: str | Path) -> str:
    done = subprocess.run([*map(str, words)], capture_output=True, text=True, timeout=60)
    return f"{done.returncode} {done.stdout}{done.stderr}"


@pytest.fixture(params=TYPES)
def files(request: pytest.FixtureRequest, tmp_path: Path) -> Path:
    made = chain(request.param)
    for name, entity in (("root", made.root), ("ca", made.ca), ("moon", made.moon), ("sun", made.sun)):
        entity.write(tmp_path, name)
    (tmp_path / "ca.crl").write_bytes(made.crl(made.sun))
    (tmp_path / "root.crl").write_bytes(made.crl(root=True))
    return tmp_path


@has_pki
def test_pki_verifies(files: Path) -> None:
    def verify(name: str) -> str:
        cas = ("--cacert", files / "root.crt", "--cacert", files / "ca.crt")
        crls = ("--crl", files / "ca.crl", "--crl", files / "root.crl")
        return run("pki", "--verify", "--in", files / name, *cas, *crls)

    assert "certificate trusted, lifetimes valid, certificate not revoked" in verify("moon.crt")
    assert "certificate was revoked" in verify("sun.crt")


def test_openssl_verifies(files: Path) -> None:
    for name in ("ca", "root"):
        with (files / "crls.pem").open("ab") as crls:
            crls.write(
                subprocess.run(
                    ["openssl", "crl", "-inform", "der", "-in", files / f"{name}.crl"],
                    capture_output=True,
                    check=True,
                ).stdout
            )

    def verify(name: str) -> str:
        chain = ("-CAfile", files / "root.crt", "-untrusted", files / "ca.crt")
        crls = ("-crl_check_all", "-CRLfile", files / "crls.pem", "-x509_strict")
        return run("openssl", "verify", *chain, *crls, files / name)

    assert verify("moon.crt").startswith("0 ")
    assert "certificate revoked" in verify("sun.crt")


@pytest.mark.parametrize("kind", ["mldsa44", "mldsa65", "mldsa87"])
def test_ml_dsa(kind: str) -> None:
    made = chain(kind)
    moon, ca, root = (x509.load_der_x509_certificate(one.der) for one in (made.moon, made.ca, made.root))
    moon.verify_directly_issued_by(ca)
    ca.verify_directly_issued_by(root)


def test_a_ca_that_calls_its_key_otherwise(tmp_path: Path) -> None:
    """By RFC 7093's methods, or any other (RFC 5280 4.2.1.1): issuers' names of keys are compared."""
    name, key = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "CA")]), make_key("ecdsa")
    assert isinstance(key, ec.EllipticCurvePrivateKey)
    now = datetime.now(UTC)
    builder = x509.CertificateBuilder(name, name, key.public_key(), 1, now, now + timedelta(days=9))
    builder = builder.add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
    for own in (x509.SubjectKeyIdentifier(b"\x01" * 20), None):
        by = builder if own is None else builder.add_extension(own, critical=False)
        ca = Entity(key, by.sign(key, hashes.SHA256()))
        moon = certificates.issue(key.public_key(), key, ca.certificate, Contents(dn="CN=moon"))
        for one in (moon, crl.sign(key, ca.certificate)):
            told = one.extensions.get_extension_for_class(x509.AuthorityKeyIdentifier).value
            expected = own or x509.SubjectKeyIdentifier.from_public_key(key.public_key())
            assert told.key_identifier == expected.digest
        (tmp_path / "ca.pem").write_bytes(ca.pem)
        (tmp_path / "moon.pem").write_bytes(certificates.encode(moon, "pem"))
        (tmp_path / "crl.pem").write_bytes(certificates.encode(crl.sign(key, ca.certificate), "pem"))
        files = ("-CAfile", tmp_path / "ca.pem", "-crl_check", "-CRLfile", tmp_path / "crl.pem")
        assert run("openssl", "verify", *files, tmp_path / "moon.pem").startswith("0 ")


@pytest.mark.parametrize("digest", keys.DIGESTS)
@pytest.mark.parametrize("kind", ["ecdsa", "rsa"])
def test_whatever_is_signed_here_is_taken_here(kind: str, digest: str) -> None:
    made = chain(kind)
    moon = made.issue("moon", key=chain().moon.key, digest=digest)
    verifying.verify(moon.der, [made.root.der, made.ca.der], [])
