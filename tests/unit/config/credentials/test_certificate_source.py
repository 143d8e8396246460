"""Certificates and keys of a connection, from TOML, swanctl.conf and VICI alike."""

from __future__ import annotations

from pathlib import Path

import pytest

from ikepy.config import toml_source
from ikepy.config.credentials.certificate_source import MOST
from ikepy.config.difference import Impact, connection_change
from ikepy.config.layers import Layers
from ikepy.config.model import Config, Connection
from ikepy.config.sources import swanctl, vici_message
from ikepy.config.sources.vici_message import Tree
from ikepy.errors import ConfigError
from tests.pki import chain

TOML = """
[connections.net]
remote_addrs = ["192.0.2.2"]
send_cert = "always"
send_certreq = false
ocsp = "both"
[connections.net.local]
auth = "pubkey"
certs = ["moon.crt"]
[connections.net.remote]
auth = "rsa-3072-ecdsa-256"
id = "sun.example.org"
cacerts = ["root.crt"]
ca_id = "C=CH, O=ikepy, CN=ecdsa root"
cert_policy = ["1.2.3.4"]
hash_and_url = true
[connections.net.local2]
auth = "psk"
id = "user"
[connections.net.children.net]
[secrets.ike]
secret = "LzU0vX3nRkq9TfWm7cYh"
"""
SWANCTL = """
connections {
  net {
    remote_addrs = 192.0.2.2
    send_cert = always
    send_certreq = no
    ocsp = both
    local-b {
      round = 2
      auth = psk
      id = user
    }
    local-a {
      round = 1
      certs = moon.crt
    }
    remote {
      auth = rsa-3072-ecdsa-256
      id = sun.example.org
      cacert-1 {
        file = root.crt
      }
      ca_id = C=CH, O=ikepy, CN=ecdsa root
      cert_policy = 1.2.3.4
      hash_and_url = yes
    }
    children {
      net {
      }
    }
  }
}
secrets {
  ike {
    secret = LzU0vX3nRkq9TfWm7cYh
  }
}
"""


@pytest.fixture
def files(tmp_path: Path) -> Path:
    """The certificate is beside the file, the CA's where swanctl has it."""
    (tmp_path / "moon.crt").write_bytes(chain().moon.pem)
    (tmp_path / "x509ca").mkdir()
    (tmp_path / "x509ca" / "root.crt").write_bytes(chain().root.der)
    return tmp_path


def hold(connection: Connection) -> None:
    local, remote = connection.local, connection.remote
    assert local.certs == (chain().moon.der,)
    assert str(remote.auth) == "rsa-3072-ecdsa-256"
    assert remote.cacerts == (chain().root.der,)
    assert str(remote.ca_id) == "C=CH, O=ikepy, CN=ecdsa root"
    assert remote.cert_policy == ("1.2.3.4",)
    assert remote.hash_and_url
    assert (connection.send_cert, connection.send_certreq, connection.ocsp) == ("always", False, "both")
    assert connection.local2 is not None
    assert str(connection.local2.auth) == "psk"
    assert connection.remote2 is None
    assert connection.methods == {"pubkey", "psk"}


def test_toml(files: Path) -> None:
    path = files / "ikepy.toml"
    path.write_text(TOML)
    path.chmod(0o600)
    hold(toml_source.load(path).connections["net"])


def test_text_around_pem(files: Path) -> None:
    text = f"Issuer: C=CH, O=ikepy\n{chain().moon.pem.decode()}"
    path = files / "ikepy.toml"
    found = toml_source.parse(TOML.replace('"moon.crt"', f'"""{text}"""'), str(path))
    hold(found.connections["net"])


def test_swanctl_conf(files: Path) -> None:
    """In the order of `round`, by whatever name."""
    hold(swanctl.draft(files / "swanctl.conf", SWANCTL).read().config.connections["net"])


@pytest.mark.parametrize("text", [b"", b"        Issuer: C=CH, O=Caf\xe9\n"])
def test_vici(text: bytes) -> None:
    """swanctl sends what the files hold, with text around it; in sections for single certificates too."""
    tree: Tree = {
        "net": {
            "remote_addrs": [b"192.0.2.2"],
            "send_cert": b"always",
            "send_certreq": b"no",
            "ocsp": b"both",
            "local-1": {"round": b"2", "auth": b"psk", "id": b"user"},
            "local-0": {"auth": b"pubkey", "certs": [text + chain().moon.pem if text else chain().moon.der]},
            "remote": {
                "auth": b"rsa-3072-ecdsa-256",
                "id": b"sun.example.org",
                "cacert1": {"file": text + chain().root.pem},
                "ca_id": b"C=CH, O=ikepy, CN=ecdsa root",
                "cert_policy": [b"1.2.3.4"],
                "hash_and_url": b"yes",
            },
            "children": {"net": {}},
        }
    }
    hold(vici_message.read(tree, Layers(Config())).config.connections["net"])


def mistake(files: Path, old: str, new: str) -> str:
    with pytest.raises(ConfigError) as caught:
        toml_source.parse(TOML.replace(old, new), str(files / "ikepy.toml"))
    return str(caught.value)


def test_mistakes(files: Path) -> None:
    (files / "key.pub").write_bytes(chain().moon.spki)
    assert "connections.net.local.certs[0]: " in mistake(files, "moon.crt", "sun.crt")
    assert "neither PEM nor DER" in mistake(files, "moon.crt", "key.pub")
    assert "connections.net.remote.cacerts[0]: it is no CA's" in mistake(files, "root.crt", "moon.crt")
    assert "connections.net.remote.cert_policy[0]: allowed: an object identifier" in mistake(
        files, "1.2.3.4", "policy"
    )
    many = ", ".join(['"moon.crt"'] * (MOST + 1))
    assert f"connections.net.local.certs: allowed: at most {MOST}" in mistake(files, '"moon.crt"', many)
    assert 'connections.net.send_cert: unknown policy; allowed: "always"' in mistake(
        files, 'send_cert = "always"', 'send_cert = "now"'
    )
    assert 'connections.net.ocsp: unknown policy; allowed: "reply"' in mistake(files, '"both"', '"yes"')


def test_renewed_certificates_leave_sas_alone(files: Path) -> None:
    path = files / "ikepy.toml"
    old = toml_source.parse(TOML, str(path)).connections["net"]
    (files / "moon.crt").write_bytes(chain().sun.pem)
    new = toml_source.parse(TOML, str(path)).connections["net"]
    assert connection_change(old, new).impact is Impact.IN_PLACE
    other = toml_source.parse(TOML.replace('"user"', '"other"'), str(path)).connections["net"]
    assert connection_change(old, other).impact is Impact.REPLACE
