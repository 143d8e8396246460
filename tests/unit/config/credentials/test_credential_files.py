"""CAs, certificates, CRLs and keys that a configuration names or that lie beside it."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from ikepy.config import files_read
from ikepy.config.sources import recognise, swanctl
from ikepy.config.toml_source import Reading
from ikepy.errors import ConfigError
from tests.pki import chain
from tests.unit.config.example import minimal

PKI = chain()


@pytest.fixture
def place(tmp_path: Path) -> Path:
    for name in ("x509", "x509ca", "x509ocsp", "x509crl", "pubkey"):
        (tmp_path / name).mkdir()
    (tmp_path / "x509ca" / "root.pem").write_bytes(PKI.root.pem)
    return tmp_path


def read(place: Path, text: str = "") -> Reading:
    file = place / "ikepy.toml"
    file.write_text(minimal() + text)
    return recognise.read(file)


def mistake(place: Path, text: str) -> str:
    with pytest.raises(ConfigError) as caught:
        read(place, text)
    return str(caught.value)


def test_directories(place: Path) -> None:
    (place / "x509" / "moon.der").write_bytes(PKI.moon.der)
    (place / "x509ca" / "ca.pem").write_bytes(b"Some text\n" + PKI.ca.pem)
    (place / "x509crl" / "ca.crl").write_bytes(PKI.crl())
    (place / "pubkey" / "sun").write_bytes(PKI.sun.spki)
    found = read(place).config.directories
    assert [one.der for one in found.certificates] == [PKI.moon.der]
    assert [one.der for one in found.cas] == [PKI.ca.der, PKI.root.der]
    assert [str(one.issuer) for one in found.crls] == [PKI.ca.dn]
    assert [one.key_id for one in found.public_keys] == [PKI.sun.key_id]


def test_what_is_none_is_left_out_and_said(place: Path) -> None:
    (place / "x509ca" / "moon.pem").write_bytes(PKI.moon.pem)
    (place / "x509crl" / "text").write_text("no list")
    (place / "x509" / "link.pem").symlink_to(place / "nowhere")
    (place / "x509" / "directory").mkdir()
    reading = read(place)
    assert [one.der for one in reading.config.directories.cas] == [PKI.root.der]
    told = dict(reading.remarks)
    assert "is left out: it is no CA's" in told[str(place / "x509ca" / "moon.pem")]
    assert "is left out: it is neither PEM nor DER" in told[str(place / "x509crl" / "text")]
    assert "is left out: there is no file" in told[str(place / "x509" / "link.pem")]
    assert "is left out" in told[str(place / "x509" / "directory")]


def test_they_are_watched(place: Path) -> None:
    with files_read.noting() as noted:
        read(place)
    assert not noted.changed()
    assert place / "x509ca" in noted.directories()
    (place / "x509crl" / "ca.crl").write_bytes(PKI.crl())
    assert noted.changed()


def test_certificates_that_expire_soon(place: Path) -> None:
    for name, days in (("old", -3), ("soon", 12), ("later", 60)):
        end = datetime.now(UTC) + timedelta(days=days, minutes=1)
        made = PKI.issue(name, not_before=end - timedelta(days=100), not_after=end)
        (place / "x509" / name).write_bytes(made.pem)
    told = [text for key, text in read(place).remarks if key == "x509"]
    assert len(told) == 2
    assert 'CN=old": it has expired on ' in told[0]
    assert 'CN=soon": it expires on ' in told[1]
    assert "in 12 days" in told[1]


@pytest.mark.parametrize("name", ["root.pem", "x509ca/root.pem"])
def test_an_authority(place: Path, name: str) -> None:
    text = f'[authorities.ours]\ncacert = "{name}"\ncrl_uris = ["http://a.example/x.crl"]\n'
    found = read(place, text).config.authorities["ours"]
    assert found.cacert.der == PKI.root.der
    assert found.crl_uris == ("http://a.example/x.crl",)


def test_an_authority_in_the_text_itself(place: Path) -> None:
    text = f'[authorities.ours]\ncacert = """\n{PKI.root.pem.decode()}"""\n'
    assert read(place, text).config.authorities["ours"].cacert.der == PKI.root.der


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ('cacert = "nothing.pem"', "cacert: there is no file "),
        ('cacert = "nothing.pem"', "/x509ca; allowed: a file in PEM or DER"),
        ('cacert = "x509"', "can't be read: Is a directory"),
        ('cacert = "ikepy.toml"', "cacert: it is neither PEM nor DER of this type"),
        ('cacert = "moon.pem"', "cacert: it is no CA's"),
        ("cacert = 5", "cacert: must be text"),
        ("", "cacert: is missing"),
        ('cacert = "root.pem"\nocsp_uris = ["file:///etc/passwd"]', r"ocsp_uris[0]: must be an address"),
        ('cacert = "root.pem"\ncert_uri_base = "http://x/"', "cert_uri_base: known to swanctl"),
        ('cacert = "root.pem"\ncrl_uri = []', 'did you mean "crl_uris"'),
    ],
)
def test_mistakes(place: Path, text: str, told: str) -> None:
    (place / "moon.pem").write_bytes(PKI.moon.pem)
    assert told in mistake(place, f"[authorities.ours]\n{text}\n")


def test_swanctl(place: Path) -> None:
    file = place / "swanctl.conf"
    by_name = "a { cacert = root.pem\ncrl_uris = http://a/1, http://a/2 }"
    by_path = f"b {{ file = {place}/x509ca/root.pem\ncert_uri_base = http://a/ }}"
    text = f"connections {{ }}\nauthorities {{ {by_name}\n{by_path} }}\n"
    reading = swanctl.draft(file, text).read()
    found = reading.config.authorities
    assert found["a"].crl_uris == ("http://a/1", "http://a/2")
    assert found["a"].cacert == found["b"].cacert
    assert "sent whole" in dict(reading.remarks)["authorities.b.cert_uri_base"]
    for text, told in (
        ("slot = 1", "a.slot: CAs' certificates are in files"),
        ("file = x", "a.file: there is no"),
    ):
        with pytest.raises(ConfigError) as caught:
            swanctl.draft(file, f"authorities {{ a {{ {text}\n }} }}").read()
        assert f"swanctl.conf:1: authorities.{told}" in str(caught.value)
