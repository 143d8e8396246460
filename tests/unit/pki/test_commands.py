"""`ikepy pki`: each command, what it makes, what it refuses; strongSwan's pki and openssl as judges."""

from __future__ import annotations

import os
import shutil
import stat
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from click.testing import CliRunner
from cryptography import x509

from ikepy.cli import main
from ikepy.pki import certificates, keys
from ikepy.pki.certificates import Contents

pytestmark = pytest.mark.skipif(
    shutil.which("pki") is None or shutil.which("openssl") is None, reason="needs pki and openssl"
)
ROOT_DN, GW_DN = "C=CH, O=example, CN=root", "C=CH, O=example, CN=gw"


def pki(*words: str | Path) -> str:
    done = CliRunner().invoke(main, ["pki", *map(str, words)])
    assert done.exit_code == 0, done.output
    return done.stdout


def refused(*words: str | Path) -> str:
    done = CliRunner().invoke(main, ["pki", *map(str, words)])
    assert done.exit_code == 1, done.output
    assert done.stderr.startswith("ikepy: ")
    return done.stderr


def judge(*words: str | Path) -> str:
    done = subprocess.run([*map(str, words)], capture_output=True, text=True, timeout=60)
    return f"{done.stdout}{done.stderr}"


@pytest.fixture(autouse=True)
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    monkeypatch.chdir(tmp_path)
    yield tmp_path


@pytest.fixture
def ca() -> None:
    """root.key, root.crt, gw.key, gw.crt."""
    pki("gen", "--type", "ecdsa", "--size", "256", "--out", "root.key")
    pki("self", "--ca", "--in", "root.key", "--dn", ROOT_DN, "--out", "root.crt")
    pki("gen", "--type", "ed25519", "--out", "gw.key")
    pki(
        *("issue", "--in", "gw.key", "--type", "priv", "--cacert", "root.crt", "--cakey", "root.key"),
        *("--dn", GW_DN, "--san", "gw.example.org", "--san", "192.0.2.1", "--flag", "serverAuth"),
        *("--flag", "ikeIntermediate", "--crl", "http://ca.example.org/ca.crl", "--out", "gw.crt"),
    )


def test_a_key_that_no_gateway_signs_with_is_said_to_be_for_cas(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("ikepy.crypto.signatures.MOST_RSA", 2048)
    assert "for CAs alone" in CliRunner().invoke(main, ["pki", "gen", "--size", "2056"]).stderr
    assert not CliRunner().invoke(main, ["pki", "gen", "--size", "2048"]).stderr


@pytest.mark.parametrize(
    ("words", "shown"),
    [
        (("--type", "rsa", "--size", "2048"), "RSA 2048 bits"),
        (("--type", "ecdsa", "--size", "521"), "ECDSA 521 bits"),
        (("--type", "brainpool", "--size", "512"), "ECDSA 512 bits"),
        (
            (
                "--type",
                "ed448",
            ),
            "ED448 456 bits",
        ),
        (("--type", "ed25519", "--outform", "der"), "ED25519 256 bits"),
    ],
)
def test_keys_are_pkis(words: tuple[str, ...], shown: str) -> None:
    pki("gen", *words, "--out", "key")
    assert stat.S_IMODE(Path("key").stat().st_mode) == 0o600
    told = judge("pki", "--print", "--type", "priv", "--in", "key")
    assert shown in told
    mine = pki("keyid", "--in", "key", "--id", "spk", "--format", "pretty").split()[-1]
    assert mine in told
    assert mine in pki("print", "--type", "priv", "--in", "key")


def test_a_key_is_not_overwritten_and_never_open_to_others() -> None:
    pki("gen", "--type", "ed25519", "--out", "key")
    before = Path("key").read_bytes()
    assert "key: is there already" in refused("gen", "--type", "ed25519", "--out", "key")
    assert Path("key").read_bytes() == before
    Path("key").chmod(0o644)
    pki("gen", "--type", "ed25519", "--out", "key", "--force")
    assert Path("key").read_bytes() != before
    assert stat.S_IMODE(Path("key").stat().st_mode) == 0o600
    Path("link").symlink_to("elsewhere")
    assert "is there already" in refused("gen", "--type", "ed25519", "--out", "link")
    assert not Path("elsewhere").exists()


def test_a_key_is_not_printed_into_a_file_of_others() -> None:
    with Path("open").open("w") as out:
        command = ["ikepy", "pki", "gen", "--type", "ed25519"]
        code = f"import sys; sys.argv = {command!r}; from ikepy.cli import main; main()"
        done = subprocess.run([sys.executable, "-c", code], stdout=out, stderr=subprocess.PIPE, text=True)
    assert done.returncode == 1 and "name the file with --out" in done.stderr
    assert Path("open").read_bytes() == b""


@pytest.mark.usefixtures("ca")
def test_issued_certificates() -> None:
    told = judge("pki", "--print", "--in", "gw.crt")
    for text in (
        GW_DN,
        ROOT_DN,
        "gw.example.org, 192.0.2.1",
        "serverAuth ikeIntermediate",
        "http://ca.example",
    ):
        assert text in told
    mine = pki("print", "--in", "gw.crt")
    for text in (
        GW_DN,
        ROOT_DN,
        "gw.example.org, 192.0.2.1",
        "serverAuth ikeIntermediate",
        "http://ca.example",
    ):
        assert text in mine
    assert "certificate trusted" in judge("pki", "--verify", "--in", "gw.crt", "--cacert", "root.crt")
    assert "gw.crt: OK" in judge("openssl", "verify", "-x509_strict", "-CAfile", "root.crt", "gw.crt")
    assert pki("dn", "--in", "gw.crt") == f"{GW_DN}\n"
    told = judge("pki", "--dn", "--in", "gw.crt", "--format", "hex").lower()
    assert pki("dn", "--in", "gw.crt", "--format", "hex").strip() in told


@pytest.mark.usefixtures("ca")
def test_verify_and_revoke() -> None:
    assert "certificate trusted" in pki("verify", "--in", "gw.crt", "--cacert", "root.crt")
    signed = ("signcrl", "--cacert", "root.crt", "--cakey", "root.key")
    pki(*signed, "--out", "one.crl")
    checked = ("verify", "--in", "gw.crt", "--cacert", "root.crt", "--crl")
    assert "certificate not revoked" in pki(*checked, "one.crl")
    pki(*signed, "--lastcrl", "one.crl", "--cert", "gw.crt", "--reason", "key-compromise", "--out", "two.crl")
    assert "was revoked" in refused(*checked, "two.crl")
    told = judge("pki", "--print", "--type", "crl", "--in", "two.crl")
    assert "key compromise" in told and ROOT_DN in told
    assert "keyCompromise" in pki("print", "--type", "crl", "--in", "two.crl")
    pki(*signed, "--lastcrl", "two.crl", "--serial", "0102", "--out", "three.crl")
    crl = x509.load_pem_x509_crl(Path("three.crl").read_bytes())
    assert len(crl) == 2
    assert crl.extensions.get_extension_for_class(x509.CRLNumber).value.crl_number == 3
    pki("gen", "--type", "ed25519", "--out", "other.key")
    pki("self", "--ca", "--in", "other.key", "--dn", "CN=other", "--out", "other.crt")
    assert "ikepy: " in refused("verify", "--in", "gw.crt", "--cacert", "other.crt")


def test_another_cas_list() -> None:
    pki("lab", "--out", "set", "--gateway", "gw.example.org")
    root = ("--cacert", "set/root.crt", "--cakey", "set/root.key")
    told = 'the CRL is another CA\'s: of "O=ikepy lab, CN=CA", not of "O=ikepy lab, CN=root"'
    assert told in refused("signcrl", *root, "--lastcrl", "set/ca.crl", "--out", "new.crl")
    assert not Path("new.crl").exists()
    assert told in refused("ocsp", *root, "--crl", "set/ca.crl", "--listen", "127.0.0.1:0")
    times = ("--this-update", "01.02.20 00:00:00", "--next-update", "01.02.21 00:00:00")
    pki("signcrl", *root, *times, "--serial", "01", "--out", "old.crl")
    assert "the CRL is out of date" in refused("ocsp", *root, "--crl", "old.crl", "--listen", "127.0.0.1:0")
    pki("signcrl", *root, "--lastcrl", "old.crl", "--out", "new.crl")
    assert len(x509.load_pem_x509_crl(Path("new.crl").read_bytes())) == 1


@pytest.mark.usefixtures("ca")
def test_requests() -> None:
    pki("gen", "--type", "ecdsa", "--out", "user.key")
    made = ("req", "--in", "user.key", "--dn", "CN=carol", "--san", "carol@example.org")
    pki(*made, "--profile", "client", "--out", "user.req")
    assert "verify OK" in judge("openssl", "req", "-verify", "-noout", "-in", "user.req")
    assert "carol@example.org" in pki("print", "--type", "pkcs10", "--in", "user.req")
    issued = ("issue", "--type", "pkcs10", "--in", "user.req", "--cacert", "root.crt", "--cakey", "root.key")
    pki(*issued, "--flag", "clientAuth", "--out", "user.crt")
    told = judge("pki", "--print", "--in", "user.crt")
    assert '"CN=carol"' in told and "carol@example.org" in told
    forged = bytearray(
        subprocess.run(
            ["openssl", "req", "-in", "user.req", "-outform", "der"], capture_output=True, check=True
        ).stdout
    )
    forged[-1] ^= 1
    Path("forged.req").write_bytes(forged)
    assert "signature is wrong" in refused(*issued[:4], "forged.req", *issued[5:], "--out", "no.crt")


@pytest.mark.usefixtures("ca")
def test_name_constraints_and_path_length() -> None:
    pki("gen", "--type", "ecdsa", "--out", "sub.key")
    pki(
        *("issue", "--ca", "--pathlen", "0", "--in", "sub.key", "--type", "priv", "--dn", "CN=sub"),
        *(
            "--nc-permitted",
            "dns:example.org",
            "--nc-permitted",
            "10.0.0.0/8",
            "--nc-excluded",
            "bad.example.org",
        ),
        *("--cacert", "root.crt", "--cakey", "root.key", "--out", "sub.crt"),
    )
    told = judge("openssl", "x509", "-in", "sub.crt", "-noout", "-text")
    for text in ("pathlen:0", "DNS:example.org", "IP:10.0.0.0/255.0.0.0", "DNS:bad.example.org"):
        assert text in told
    for name, well in (("gw.example.org", True), ("gw.example.com", False)):
        issued = ("issue", "--in", "gw.key", "--type", "priv", "--dn", "CN=x", "--san", name)
        pki(*issued, "--cacert", "sub.crt", "--cakey", "sub.key", "--out", "x.crt", "--force")
        checked = ("verify", "--in", "x.crt", "--cacert", "root.crt", "--cacert", "sub.crt")
        assert "certificate trusted" in pki(*checked) if well else refused(*checked)
        openssl = judge("openssl", "verify", "-CAfile", "root.crt", "-untrusted", "sub.crt", "x.crt")
        assert ("x.crt: OK" in openssl) == well


@pytest.mark.usefixtures("ca")
def test_lifetimes() -> None:
    issued = ("issue", "--in", "gw.key", "--type", "priv", "--dn", "CN=x", "--cacert", "root.crt", "--cakey")
    pki(*issued, "root.key", "--lifetime", "2", "--out", "short.crt")
    short = x509.load_pem_x509_certificate(Path("short.crt").read_bytes())
    assert (short.not_valid_after_utc - short.not_valid_before_utc).days == 2
    times = ("--not-before", "01.02.20 00:00:00", "--not-after", "01.02.21 00:00:00")
    pki(*issued, "root.key", *times, "--out", "old.crt")
    assert "expired" in refused("verify", "--in", "old.crt", "--cacert", "root.crt")
    assert "before it begins" in refused(*issued, "root.key", *times[:2], "--not-after", "01.02.19 00:00:00")
    assert "no time of the form" in refused(*issued, "root.key", "--not-after", "tomorrow")


@pytest.mark.usefixtures("ca")
def test_pkcs12() -> None:
    Path("pw").write_text("open sesame\n")
    made = ("pkcs12", "--key", "root.key", "--cert", "root.crt", "--password-file", "pw")
    pki(*made, "--out", "gw.p12")
    assert stat.S_IMODE(Path("gw.p12").stat().st_mode) == 0o600
    assert "MAC: " in judge("openssl", "pkcs12", "-in", "gw.p12", "-noout", "-info", "-passin", "file:pw")
    assert "private key, ECDSA 256" in pki("pkcs12", "--list", "--in", "gw.p12", "--password-file", "pw")
    pki("pkcs12", "--export", "2", "--in", "gw.p12", "--password-file", "pw", "--out", "again.key")
    assert pki("keyid", "--in", "again.key") == pki("keyid", "--in", "root.key")
    Path("pw").write_text("another\n")
    assert "another password" in refused("pkcs12", "--list", "--in", "gw.p12", "--password-file", "pw")


def test_an_encrypted_key() -> None:
    Path("pw").write_text("open sesame\n")
    pki("gen", "--type", "ed25519", "--password-file", "pw", "--out", "key")
    assert b"ENCRYPTED" in Path("key").read_bytes()
    pki("pub", "--in", "key", "--password-file", "pw")
    assert "is encrypted: give its password" in refused("pub", "--in", "key")


def test_one_password_of_several_keys_is_for_those_that_need_it() -> None:
    Path("pw").write_text("open sesame\n")
    pki("gen", "--type", "ed25519", "--password-file", "pw", "--out", "ca.key")
    pki("self", "--ca", "--in", "ca.key", "--password-file", "pw", "--dn", "CN=ca", "--out", "ca.crt")
    pki("gen", "--type", "ed25519", "--out", "gw.key")
    issued = ("issue", "--in", "gw.key", "--type", "priv", "--cacert", "ca.crt", "--cakey", "ca.key")
    pki(*issued, "--password-file", "pw", "--dn", "CN=gw", "--out", "gw.crt")
    assert "certificate trusted" in pki("verify", "--in", "gw.crt", "--cacert", "ca.crt")


@pytest.mark.usefixtures("ca")
@pytest.mark.parametrize(
    ("subject", "given", "critical"),
    [("/", (), True), ("/CN=carol", (), False), ("/", ("--dn", "CN=carol"), False)],
)
def test_a_request_for_an_alternative_name(subject: str, given: tuple[str, ...], critical: bool) -> None:
    """The name is critical where it is the only one (RFC 5280 4.2.1.6)."""
    asked = (
        "req",
        "-new",
        "-key",
        "root.key",
        "-subj",
        subject,
        "-addext",
        "subjectAltName=DNS:carol.example",
    )
    judge("openssl", *asked, "-out", "user.req")
    issued = ("issue", "--type", "pkcs10", "--in", "user.req", "--cacert", "root.crt", "--cakey", "root.key")
    pki(*issued, *given, "--out", "user.crt")
    made = x509.load_pem_x509_certificate(Path("user.crt").read_bytes())
    found = made.extensions.get_extension_for_class(x509.SubjectAlternativeName)
    assert found.value.get_values_for_type(x509.DNSName) == ["carol.example"]
    assert (found.critical, len(made.subject)) == (critical, 0 if critical else 1)
    assert "user.crt: OK" in judge("openssl", "verify", "-x509_strict", "-CAfile", "root.crt", "user.crt")


@pytest.mark.usefixtures("ca")
def test_a_request_for_no_name() -> None:
    judge("openssl", "req", "-new", "-key", "root.key", "-subj", "/", "-out", "user.req")
    issued = ("issue", "--type", "pkcs10", "--in", "user.req", "--cacert", "root.crt", "--cakey", "root.key")
    assert "give its subject or an alternative name" in refused(*issued)


@pytest.mark.usefixtures("ca")
@pytest.mark.parametrize(
    ("words", "why"),
    [
        (("gen", "--type", "rsa", "--size", "1024"), "1024 bits are not allowed"),
        (("gen", "--type", "ecdsa", "--size", "255"), "allowed: 256, 384, 521"),
        (("gen", "--type", "ed25519", "--size", "256"), "leave --size out"),
        (("self", "--in", "root.key"), "--dn"),
        (("self", "--in", "root.key", "--dn", "nonsense"), "nonsense"),
        (("self", "--in", "root.key", "--dn", "CN=*"), "wildcard"),
        (("self", "--in", "root.key", "--dn", "CN=a", "--pathlen", "1"), "--ca"),
        (("self", "--in", "root.key", "--dn", "CN=a", "--san", "a b"), "no name"),
        (("self", "--in", "root.key", "--dn", "CN=a", "--serial", "x"), "no serial number"),
        (("self", "--in", "root.crt", "--dn", "CN=a"), "root.crt: no private key"),
        (("self", "--in", "absent", "--dn", "CN=a"), "absent: can't be read"),
        (("self", "--in", "gw.key", "--dn", "CN=a", "--digest", "sha512"), "leave --digest out"),
        (("pub", "--type", "x509", "--in", "root.key"), "no certificate"),
        (("print", "--type", "crl", "--in", "root.crt"), "no CRL"),
        (("signcrl", "--cacert", "root.crt", "--cakey", "gw.key"), "does not belong to"),
        (("ocsp", "--cacert", "root.crt", "--cakey", "root.key", "--crl", "root.crt"), "no CRL"),
    ],
)
def test_mistakes(words: tuple[str, ...], why: str) -> None:
    assert why in refused(*words)


@pytest.mark.usefixtures("ca")
def test_text_around_pem() -> None:
    """What openssl writes in front of all of these."""
    pki("signcrl", "--cacert", "root.crt", "--cakey", "root.key", "--out", "root.crl")
    pki("req", "--in", "root.key", "--dn", "CN=carol", "--out", "user.req")
    judge(
        "openssl",
        "pkcs12",
        "-export",
        "-in",
        "root.crt",
        "-inkey",
        "root.key",
        "-out",
        "p12",
        "-passout",
        "pass:a",
    )
    shown = {
        "priv": judge("openssl", "pkcs12", "-in", "p12", "-nodes", "-passin", "pass:a"),
        "x509": judge("openssl", "x509", "-in", "root.crt", "-text"),
        "crl": judge("openssl", "crl", "-in", "root.crl", "-text"),
        "pkcs10": judge("openssl", "req", "-in", "user.req", "-text"),
        "pub": f"A text.\n{pki('pub', '--in', 'root.key')}",
    }
    for (kind, text), bare in zip(
        shown.items(), ("root.key", "root.crt", "root.crl", "user.req", "root.key"), strict=True
    ):
        assert not text.startswith("-----BEGIN")
        Path("text").write_text(text)
        before = pki("print", "--type", "priv" if kind == "pub" else kind, "--in", bare)
        assert pki("print", "--type", kind, "--in", "text") == before


def test_who_may_be_asked_about_a_certificate() -> None:
    key = keys.generate("ed25519")
    method = x509.oid.AuthorityInformationAccessOID
    several = [
        (method.OCSP, "http://a/ocsp"),
        (method.CA_ISSUERS, "http://a/ca.crt"),
        (x509.ObjectIdentifier("1.2.3"), "http://a/x"),
    ]
    access = x509.AuthorityInformationAccess(
        [x509.AccessDescription(one, x509.UniformResourceIdentifier(uri)) for one, uri in several]
    )
    made = certificates.self_signed(key, Contents(dn="CN=a", further=((access, False),)))
    Path("a.crt").write_bytes(certificates.encode(made, "pem"))
    shown = [line for line in pki("print", "--in", "a.crt").splitlines() if "http" in line]
    assert shown == ["OCSP URIs: http://a/ocsp", "CA URIs:   http://a/ca.crt"]


@pytest.mark.usefixtures("ca")
def test_who_is_no_ca_issues_nothing() -> None:
    issued = ("issue", "--in", "gw.key", "--type", "priv", "--dn", "CN=x", "--cacert", "gw.crt")
    assert "is no CA's" in refused(*issued, "--cakey", "gw.key")


def test_a_lab() -> None:
    made = pki(
        *("lab", "--out", "set", "--gateway", "moon.example.org,192.0.2.1", "--gateway", "sun.example.org"),
        *("--user", "carol@example.org"),
    ).splitlines()
    assert all(Path(one).exists() for one in made) and len(made) == 12
    keys = list(Path("set").glob("*.key"))
    assert len(keys) == 5  # of two CAs, two gateways and a user
    assert all(stat.S_IMODE(path.stat().st_mode) == 0o600 for path in keys)
    cas = (
        "--cacert",
        "set/root.crt",
        "--cacert",
        "set/ca.crt",
        "--crl",
        "set/root.crl",
        "--crl",
        "set/ca.crl",
    )
    for name in ("moon.example.org", "sun.example.org", "carol@example.org"):
        told = judge("pki", "--verify", "--in", f"set/{name}.crt", *cas)
        assert "certificate trusted, lifetimes valid, certificate not revoked" in told
        assert "certificate not revoked" in pki("verify", "--in", f"set/{name}.crt", *cas)
    told = refused("verify", "--in", "set/moon.example.org.crt", *cas[:4], "--crl", "set/ca.crl")
    assert 'is not revoked: none of "O=ikepy lab, CN=root" that is given covers it' in told
    assert "is there already" in refused("lab", "--out", "set", "--gateway", "moon.example.org")
    assert "no name of a gateway" in refused("lab", "--out", "other", "--gateway", "../moon")


@pytest.mark.parametrize(
    ("words", "whose"),
    [
        (("--gateway", "moon", "--gateway", "ca,192.0.2.1"), "a CA's"),
        (("--gateway", "moon", "--user", "root"), "a CA's"),
        (("--gateway", "moon", "--gateway", "moon,192.0.2.2"), "another gateway or user"),
        (("--gateway", "moon", "--user", "moon"), "another gateway or user"),
    ],
)
@pytest.mark.parametrize("force", [(), ("--force",)])
def test_a_lab_whose_files_would_be_the_same(
    words: tuple[str, ...], whose: str, force: tuple[str, ...]
) -> None:
    assert f"is the name of {whose}" in refused("lab", "--out", "set", *words, *force)
    assert not Path("set").exists()


def test_a_lab_is_made_whole_or_not_at_all() -> None:
    Path("set").mkdir()
    Path("set/sun.key").write_text("another's")
    words = ("lab", "--out", "set", "--gateway", "moon", "--gateway", "sun")
    assert "set/sun.key: is there already" in refused(*words)
    assert [one.name for one in Path("set").iterdir()] == ["sun.key"]
    pki(*words, "--force")
    assert b"PRIVATE KEY" in Path("set/sun.key").read_bytes()


@pytest.mark.parametrize("force", [False, True])
def test_nothing_is_left_of_a_file_that_is_not_written_whole(force: bool) -> None:
    if force:
        Path("key").write_text("the former one")
    command = ["ikepy", "pki", "gen", "--type", "ed25519", "--out", "key", *(["--force"] if force else [])]
    code = (
        "import resource, signal, sys; from ikepy.cli import main; "
        "signal.signal(signal.SIGXFSZ, signal.SIG_IGN); "  # the write fails instead
        f"resource.setrlimit(resource.RLIMIT_FSIZE, (10, 10)); sys.argv = {command!r}; main()"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert done.returncode == 1 and "key: can't be made: File too large" in done.stderr
    left = {one.name: one.read_text() for one in Path().iterdir()}
    assert left == ({"key": "the former one"} if force else {})


def test_force_leaves_a_device_what_it_is() -> None:
    os.mkfifo("pipe")
    reader = os.open("pipe", os.O_RDONLY | os.O_NONBLOCK)
    try:
        pki("gen", "--type", "ed25519", "--out", "pipe", "--force")
        assert b"PRIVATE KEY" in os.read(reader, 4096)
    finally:
        os.close(reader)
    assert stat.S_ISFIFO(Path("pipe").stat().st_mode)
