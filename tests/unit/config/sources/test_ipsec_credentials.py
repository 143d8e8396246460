"""Certificates, keys, CAs and EAP in ipsec.conf and ipsec.secrets, with the files in ipsec.d."""

from __future__ import annotations

import errno
import os
from collections.abc import Iterator
from pathlib import Path
from tempfile import TemporaryDirectory

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ikepy.config import files, toml_source
from ikepy.config.model import AuthRemote, Config, Connection
from ikepy.config.sources import convert, recognise
from ikepy.config.toml_source import Reading
from ikepy.errors import ConfigError
from tests.pki import chain

PKI = chain()
DIRECTORIES = ("certs", "cacerts", "ocspcerts", "crls", "private")
ROOT_DN = "C=CH, O=ikepy, CN=root"


@pytest.fixture
def place(tmp_path: Path) -> Path:
    for name in DIRECTORIES:
        (tmp_path / "ipsec.d" / name).mkdir(parents=True)
    fill(tmp_path / "ipsec.d")
    return tmp_path


def fill(directory: Path) -> None:
    (directory / "certs" / "moon.pem").write_bytes(PKI.moon.pem)
    (directory / "certs" / "sun.der").write_bytes(PKI.sun.der)
    (directory / "certs" / "sun.pub").write_bytes(PKI.sun.spki)
    (directory / "cacerts" / "root.pem").write_bytes(PKI.root.pem)
    (directory / "crls" / "ca.crl").write_bytes(PKI.crl())
    key = directory / "private" / "moon.key"
    key.touch(0o600)
    key.write_bytes(PKI.moon.pkcs8_pem)


def conn(*lines: str, more: str = "") -> str:
    given = "".join(f"\t{line}\n" for line in lines)
    return f"conn net\n\tauto=add\n\tright=192.0.2.2\n\trightsubnet=10.2.0.0/16\n{given}{more}"


def read(place: Path, text: str, secrets: str = ": PKCS8 moon.key\n", name: str = "ipsec.conf") -> Reading:
    path = place / name
    path.write_text(text)
    path.with_suffix(".secrets").touch(0o600)
    path.with_suffix(".secrets").write_text(secrets)
    return recognise.read(path)


def net(place: Path, *lines: str, more: str = "") -> Connection:
    return read(place, conn(*lines, more=more)).config.connections["net"]


def mistakes(place: Path, text: str, secrets: str = "") -> str:
    with pytest.raises(ConfigError) as caught:
        read(place, text, secrets)
    return str(caught.value).replace(f"{place}/", "")


def test_certificates_are_what_both_ends_have_by_default(place: Path) -> None:
    found = net(place, "leftcert=moon.pem", "rightid=sun.example.org")
    assert (str(found.local.auth), str(found.remote.auth)) == ("pubkey", "pubkey")
    assert found.local.certs == (PKI.moon.der,)
    assert found.local.id is None
    assert str(found.local.own_id) == PKI.moon.dn
    assert str(found.remote.id) == "sun.example.org"
    assert (found.send_cert, found.send_certreq, found.remote.revocation) == ("ifasked", True, "relaxed")


def test_what_the_directories_hold(place: Path) -> None:
    (place / "ipsec.d" / "cacerts" / "moon.pem").write_bytes(PKI.moon.pem)
    reading = read(place, conn("leftcert=moon.pem"))
    held = reading.config.directories
    assert [one.der for one in held.cas] == [PKI.root.der]
    assert [str(one.issuer) for one in held.crls] == [PKI.ca.dn]
    assert held.certificates == ()  # charon reads those alone that are named
    assert "it is no CA's" in dict(reading.remarks)[str(place / "ipsec.d" / "cacerts" / "moon.pem")]
    assert [one.path for one in reading.config.private_keys.values()] == [
        place / "ipsec.d" / "private" / "moon.key"
    ]


def test_those_of_the_images_folders_are_beside_them(place: Path) -> None:
    (place / "ipsec.config.d").mkdir()
    config = read(place, conn("leftcert=moon.pem"), name="ipsec.config.d/a.conf").config
    assert config.connections["net"].local.certs == (PKI.moon.der,)
    assert [one.der for one in config.directories.cas] == [PKI.root.der]
    assert list(config.private_keys) == ["pkcs8-1"]


class Refusing:
    """What opens files for a daemon that has given up its rights: it lists no directory."""

    def open(self, path: str) -> int:
        return os.open(path, os.O_RDONLY)

    def matching(self, pattern: str) -> list[str]:
        raise PermissionError(errno.EACCES, "not one of the files that the start has read", pattern)


@pytest.fixture
def refusing() -> Iterator[None]:
    files.open_by(Refusing())
    yield
    files.open_by(files.Own())


@pytest.mark.usefixtures("refusing")
def test_directories_that_may_not_be_looked_into_are_a_mistake(place: Path) -> None:
    """A reload that took them for empty would end with no CA at all."""
    assert "ipsec.d/cacerts: can't be looked into: not one of the files" in mistakes(place, conn())


@pytest.mark.usefixtures("refusing")
def test_secrets_are_looked_for_by_whoever_may_read_them(
    place: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def forbidden(*_: object, **__: object) -> bool:
        raise PermissionError(errno.EACCES, "the directory is root's")

    monkeypatch.setattr(Path, "exists", forbidden)
    monkeypatch.setattr(Path, "stat", forbidden)
    assert "secrets" not in mistakes(place, conn(), ": PKCS8 moon.key\n")


@pytest.mark.parametrize(
    ("line", "kind", "shown"),
    [
        ("leftauth=pubkey", "pubkey", "pubkey"),
        ("leftauth=rsa-3072-sha256", "pubkey", "rsa-3072-sha256"),
        ("leftauth=ike:ecdsa-sha384", "pubkey", "ike:ecdsa-sha384"),
        ("authby=rsasig", "pubkey", "pubkey"),
        ("authby=ecdsasig", "pubkey", "pubkey"),
        ("leftauth=eap-md5", "eap", "eap-md5"),
        ("leftauth=EAP-TLS", "eap", "eap-tls"),
        ("leftauth=eap", "eap", "eap"),
        ("leftauth=secret", "psk", "psk"),
    ],
)
def test_methods(place: Path, line: str, kind: str, shown: str) -> None:
    secrets = ': PSK "LzU0vX3nRkq9TfWm7cYh"\n'
    method = read(place, conn("leftcert=moon.pem", line), secrets).config.connections["net"].local.auth
    assert (method.kind, str(method)) == (kind, shown)


def test_what_the_peer_is_held_to(place: Path) -> None:
    remote = net(
        place,
        "rightauth=ecdsa-256-sha256",
        f'rightca="{ROOT_DN}"',
        "rightcertpolicy=1.2.3, 1.2.4",
        more="config setup\n\tstrictcrlpolicy=yes\n",
    ).remote
    assert str(remote.ca_id) == ROOT_DN
    assert (remote.cert_policy, remote.revocation, remote.cacerts) == (("1.2.3", "1.2.4"), "strict", ())
    assert net(place, "rightca=root.pem").remote.cacerts == (PKI.root.der,)
    assert str(net(place, f'leftca="{ROOT_DN}"', "rightca=%same").remote.ca_id) == ROOT_DN
    ifuri = net(place, more="config setup\n\tstrictcrlpolicy=ifuri\n").remote
    assert ifuri.revocation == "ifuri"


def test_the_peers_certificate_or_key_may_be_here(place: Path) -> None:
    remote = net(place, "rightcert=sun.der").remote
    assert (remote.certs, remote.id) == ((PKI.sun.der,), None)
    for key in "rightsigkey", "rightrsasigkey":
        remote = net(place, f"{key}=sun.pub").remote
        assert (remote.pubkeys, str(remote.id)) == ((PKI.sun.spki,), "192.0.2.2")
    absolute = net(place, f"leftcert={place}/ipsec.d/certs/moon.pem", "leftsigkey=%cert").local
    assert (absolute.certs, absolute.pubkeys) == ((PKI.moon.der,), ())


@pytest.mark.parametrize(
    ("line", "sent", "asked"),
    [
        ("leftsendcert=always", "always", True),
        ("leftsendcert=yes", "always", True),
        ("leftsendcert=no", "never", True),
        ("rightsendcert=never", "ifasked", False),
        ("rightsendcert=ifasked", "ifasked", True),
    ],
)
def test_which_certificates_are_sent_and_asked_for(place: Path, line: str, sent: str, asked: bool) -> None:
    found = net(place, "leftcert=moon.pem", line)
    assert (found.send_cert, found.send_certreq) == (sent, asked)


def test_users_by_eap_with_a_certificate_of_the_gateway(place: Path) -> None:
    """ipsec.conf as many gateways for road warriors have it."""
    gateway = net(
        place, "leftcert=moon.pem", "leftsendcert=always", "rightauth=eap-mschapv2", "eap_identity=%identity"
    )
    assert (gateway.local.auth.kind, gateway.remote.eap, gateway.remote.eap_id) == (
        "pubkey",
        "eap-mschapv2",
        "%any",
    )
    client = read(
        place,
        conn("leftauth=eap", "rightauth=pubkey", "eap_identity=alice", "aaa_identity=aaa.example.org"),
        'alice : EAP "LzU0vX3nRkq9TfWm7cYh"\nbob : NTLM 0x00112233445566778899aabbccddeeff\n',
    ).config
    local = client.connections["net"].local
    assert (local.eap, local.eap_id, str(local.aaa_id)) == ("eap", "alice", "aaa.example.org")
    assert {name: one.kind for name, one in client.secrets.items()} == {"eap-1": "eap", "ntlm-1": "ntlm"}
    user = client.user("alice")
    assert user is not None
    assert user.secret.expose() == b"LzU0vX3nRkq9TfWm7cYh"


def test_two_rounds(place: Path) -> None:
    found = net(
        place,
        "leftcert=moon.pem",
        "leftid=moon.example.org",
        "leftauth2=eap-md5",
        "rightauth2=eap-md5",
        "rightid2=someone",
        "eap_identity=alice",
    )
    assert found.local2 is not None
    assert isinstance(found.remote2, AuthRemote)
    assert (found.local2.eap, str(found.local2.id)) == ("eap-md5", "moon.example.org")
    assert (found.remote2.eap_id, str(found.remote2.id)) == ("alice", "someone")
    assert (found.local.eap_id, found.remote.eap_id) == (None, None)


def test_sections_ca(place: Path) -> None:
    text = conn() + (
        "ca %default\n\tocspuri=http://192.0.2.9/ocsp\n"
        "ca base\n\tcrluri=http://192.0.2.9/a.crl\n\tcrluri2=http://192.0.2.9/b.crl\n"
        "ca strongswan\n\talso=base\n\tcacert=root.pem\n\tauto=add\n"
        "ca other\n\tcacert=root.pem\n\tauto=add\n"
        "ca ignored\n\tcacert=root.pem\n"
    )
    found = read(place, text).config.authorities
    assert sorted(found) == ["other", "strongswan"]
    assert found["strongswan"].cacert.der == PKI.root.der
    assert found["strongswan"].crl_uris == ("http://192.0.2.9/a.crl", "http://192.0.2.9/b.crl")
    assert found["other"].ocsp_uris == ("http://192.0.2.9/ocsp",)


@pytest.mark.parametrize(
    ("lines", "told"),
    [
        ("auto=perhaps", "ipsec.conf:6: ca a.auto: allowed: ignore, add"),
        ("auto=add", "ipsec.conf:5: ca a.cacert: is missing"),
        ("auto=add\n\tcacert=no.pem", "ipsec.conf:7: ca a.cacert: there is no file"),
        (
            "auto=add\n\tcacert=root.pem\n\tcrluri=file:///a.crl",
            "ipsec.conf:8: ca a.crluri: must be an address",
        ),
        (
            "auto=add\n\tcacert=root.pem\n\tcert=x",
            "ipsec.conf:8: ca a.cert: unknown key; allowed: auto, cacert",
        ),
        ("also=nobody", "ipsec.conf:6: ca a.also: there is no ca of this name"),
    ],
)
def test_mistakes_in_sections_ca(place: Path, lines: str, told: str) -> None:
    assert told in mistakes(place, conn(more=f"ca a\n\t{lines}\n"))


@pytest.mark.parametrize(
    ("line", "told"),
    [
        ("leftcert=none.pem", "ipsec.conf:5: conn net.leftcert[0]: there is no file"),
        ("leftcert=%smartcard:50", "ipsec.conf:5: conn net.leftcert: certificates of tokens are not read"),
        (
            "rightsigkey=0sAwEAAc",
            "ipsec.conf:5: conn net.rightsigkey: a key that stands here itself is not read",
        ),
        ("rightrsasigkey=dns:0sAw", "ipsec.conf:5: conn net.rightrsasigkey: a key that stands here itself"),
        ("rightca=moon.pem", "ipsec.conf:5: conn net.rightca[0]: there is no file"),
        ("rightauth=eap-sim", 'ipsec.conf:5: conn net.rightauth: "eap-sim" is not supported by ikepy'),
        ("authby=never", "ipsec.conf:5: conn net.authby: "),
        ("leftauth2=rsa-big", 'ipsec.conf:5: conn net.leftauth2: "big" is no kind of key'),
        ("leftsendcert=perhaps", "ipsec.conf:5: conn net.leftsendcert: "),
        ("rightcertpolicy=x", "ipsec.conf:5: conn net.rightcertpolicy[0]: "),
    ],
)
def test_a_mistake_is_told_with_line_and_key(place: Path, line: str, told: str) -> None:
    assert told in mistakes(place, conn(line))


@pytest.mark.parametrize(
    ("line", "key", "told"),
    [
        ("leftca=root.pem", "leftca", "our certificate is the one that leftcert names"),
        ("rightid2=someone", "rightid2", "there is no second round of authentication without rightauth2"),
        ("eap_identity=alice", "eap_identity", "neither end authenticates by EAP"),
        ("rightid=%sun.example.org", "rightid", 'the "%" in front is left out'),
        ("rightsendcert=always", "rightsendcert", "the peer decides"),
    ],
)
def test_what_changes_nothing_is_remarked(place: Path, line: str, key: str, told: str) -> None:
    assert told in dict(read(place, conn("leftcert=moon.pem", line)).remarks)[f"conn net.{key}"]


def test_keys_with_passwords(place: Path) -> None:
    private = place / "ipsec.d" / "private"
    locked = private / "locked key.pem"
    locked.touch(0o600)
    locked.write_bytes(PKI.moon.pkcs8_pem)
    secrets = (
        f': ECDSA {private}/moon.key\n: RSA moon.key  # no password\n: PKCS8 "locked key.pem" "pass word"\n'
        ": P12 moon.key 0x00ff\n"
    )
    found = read(place, conn(), secrets).config.private_keys
    assert {name: (one.path.name, one.password and one.password.expose()) for name, one in found.items()} == {
        "ecdsa-1": ("moon.key", None),
        "rsa-1": ("moon.key", None),
        "pkcs8-1": ("locked key.pem", b"pass word"),
        "pkcs12-1": ("moon.key", b"\x00\xff"),
    }


@pytest.mark.parametrize(
    ("secrets", "told"),
    [
        (": RSA none.key hush", "ipsec.secrets:1: line 1, RSA.file: this file can't be read"),
        (": RSA moon.key %prompt", "ipsec.secrets:1: line 1, RSA: nobody is asked for a password"),
        (': RSA moon.key "hush', "ipsec.secrets:1: RSA: the secret ends neither"),
        (": RSA { Modulus: 0x00 hush }", "ipsec.secrets:1: RSA: there is no file of a private key"),
        (": RSA", "ipsec.secrets:1: RSA: there is no file of a private key"),
        (": PIN %smartcard:50 hush", "ipsec.secrets:1: line 1, PIN: keys in tokens need the file"),
        ("bob : NTLM hush", "ipsec.secrets:1: line 1, NTLM: an NT hash has 16 octets"),
    ],
)
def test_bad_keys_are_told_without_secrets(place: Path, secrets: str, told: str) -> None:
    lines = mistakes(place, conn(), secrets)
    assert told in lines
    assert "hush" not in lines


def test_what_is_converted_means_the_same_but_for_the_directories_which_is_told(place: Path) -> None:
    text = conn("leftcert=moon.pem", "rightca=root.pem", "rightauth=eap-mschapv2", "eap_identity=%any")
    text += "ca a\n\tcacert=root.pem\n\tauto=add\n\tcrluri=http://192.0.2.9/a.crl\n"
    secrets = ': PKCS8 moon.key "pass word"\nalice : EAP "LzU0vX3nRkq9TfWm7cYh"\n'
    config = read(place, text, secrets).config
    draft = recognise.draft(place / "ipsec.conf")
    assert draft is not None
    written = convert.to_toml(draft, secrets=True)
    assert alike(toml_source.parse(written, str(place / "x.toml")), config)
    told = "\n".join(convert.lost(draft))
    assert f"{place}/ipsec.d/cacerts: TOML does not read it: copy what is in it into x509ca" in told
    assert f"{place}/ipsec.d/crls: TOML does not read it: copy what is in it into x509crl" in told
    assert "ocspcerts" not in told


def alike(one: Config, other: Config) -> bool:
    """But for what the directories hold."""
    return one == other.model_copy(update={"directories": one.directories})


def test_without_a_certificate_of_ours_it_is_told(place: Path) -> None:
    (place / "ipsec.d" / "cacerts" / "root.pem").unlink()
    told = dict(read(place, conn()).remarks)
    assert "without a certificate of ours (leftcert)" in told["connections.net.local.auth"]
    assert "or in ipsec.d/cacerts beside this file" in told["connections.net.remote.auth"]


@given(
    st.lists(
        st.sampled_from([":", "RSA", "P12", "EAP", "NTLM", "PIN", '"', "{", "%prompt", "a.key", "\n", "\t"])
    )
)
def test_any_secrets_are_read_or_refused(words: list[str]) -> None:
    with TemporaryDirectory() as directory:
        try:
            reading = read(Path(directory), conn(), " ".join(words))
        except ConfigError as error:
            assert all(told for _, told in error.problems)
        else:
            assert not reading.config.private_keys  # there is no file
