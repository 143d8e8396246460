"""Connections that no certificate and no CA of the configuration is for."""

from __future__ import annotations

from pathlib import Path

import pytest

from ikepy.config.sources import recognise
from tests.pki import chain

TOML = """
[connections.net]
remote_addrs = ["192.0.2.2"]
[connections.net.local]
auth = "pubkey"
{local}
[connections.net.remote]
auth = "ecdsa"
{remote}
[connections.net.children.net]
"""


def told(directory: Path, local: str = "", remote: str = "") -> list[str]:
    path = directory / "ikepy.toml"
    path.write_text(TOML.format(local=local, remote=remote))
    path.chmod(0o600)
    return [key for key, text in recognise.read(path).remarks if "VICI loads" in text]


def test_nothing_is_there(tmp_path: Path) -> None:
    assert told(tmp_path) == ["connections.net.local.auth", "connections.net.remote.auth"]


def test_what_the_connection_names(tmp_path: Path) -> None:
    (tmp_path / "moon.crt").write_bytes(chain().moon.pem)
    (tmp_path / "root.crt").write_bytes(chain().root.pem)
    assert told(tmp_path, 'certs = ["moon.crt"]', 'cacerts = ["root.crt"]') == []
    assert told(tmp_path, 'certs = ["moon.crt"]', 'certs = ["moon.crt"]') == []


@pytest.mark.parametrize(("directory", "left"), [("x509", "remote"), ("x509ca", "local")])
def test_what_is_in_swanctls_directories(tmp_path: Path, directory: str, left: str) -> None:
    (tmp_path / directory).mkdir()
    (tmp_path / directory / "one.crt").write_bytes((chain().moon if left == "remote" else chain().root).pem)
    assert told(tmp_path) == [f"connections.net.{left}.auth"]


def test_an_authority(tmp_path: Path) -> None:
    (tmp_path / "root.crt").write_bytes(chain().root.pem)
    remote = '[authorities.root]\ncacert = "root.crt"'
    path = tmp_path / "ikepy.toml"
    path.write_text(TOML.format(local="", remote="") + remote)
    keys = [key for key, text in recognise.read(path).remarks if "VICI loads" in text]
    assert keys == ["connections.net.local.auth"]


@pytest.mark.parametrize(
    ("secrets", "left"),
    [
        ("", ["local", "remote"]),
        ('[secrets.eap-b]\nids = ["bob"]\nsecret = "x8.Kd93jq-Lw0aPz"', ["local"]),
        ('[secrets.eap-a]\nids = ["alice"]\nsecret = "x8.Kd93jq-Lw0aPz"', []),
        ('[secrets.eap-any]\nsecret = "x8.Kd93jq-Lw0aPz"', []),
    ],
)
def test_users_without_a_password(tmp_path: Path, secrets: str, left: list[str]) -> None:
    path = tmp_path / "ikepy.toml"
    path.write_text(f"""
[connections.net]
remote_addrs = ["192.0.2.2"]
[connections.net.local]
auth = "eap-mschapv2"
id = "alice"
[connections.net.remote]
auth = "eap-mschapv2"
eap_id = "%any"
[connections.net.children.net]
{secrets}
""")
    path.chmod(0o600)
    remarks = [key for key, text in recognise.read(path).remarks if "VICI loads" in text]
    assert remarks == [f"connections.net.{side}.auth" for side in left]


def test_private_keys_in_directories_that_others_may_read(tmp_path: Path) -> None:
    (tmp_path / "private").mkdir()
    for name, mode in (("open.key", 0o644), ("closed.key", 0o600)):
        path = tmp_path / "private" / name
        path.write_bytes(chain().moon.pkcs8_pem)
        path.chmod(mode)
    (tmp_path / "ikepy.toml").write_text(TOML.format(local="", remote=""))
    found = dict(recognise.read(tmp_path / "ikepy.toml").remarks)
    assert "mode 0644" in found["private/open.key"] and "private/closed.key" not in found
