"""What `ikepy.pki` makes, as openssl and strongSwan's pki see it."""

from __future__ import annotations

import shutil
import subprocess
from pathlib import Path

import pytest
from cryptography import x509

from tests.pki import chain

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
