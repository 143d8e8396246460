"""What `ikepy check` finds on this machine: devices of others, and the links that peers are on."""

from __future__ import annotations

import errno
from ipaddress import ip_address, ip_network
from pathlib import Path
from typing import Any

import pytest

from ikepy.config import toml_source
from ikepy.config.model import Config
from ikepy.config.sources import recognise
from ikepy.daemon import checks
from ikepy.daemon.errors import StartError
from ikepy.daemon.host_checks import mistakes, remarks
from ikepy.pki import keys
from tests.pki import chain
from tests.unit.daemon.fakes import FakeNetwork, config
from tun.rtnetlink import BestRoute

PEER = ip_address("192.0.2.2")


def quiet(vti: dict[str, Any], **keys: Any) -> Config:
    """A configuration for which this machine's kernel settings are not looked at."""
    made = config(vti, **keys)
    return made.model_copy(update={"daemon": made.daemon.model_copy(update={"sysctls": "ignore"})})


def test_a_device_that_is_none_of_ours() -> None:
    ((key, text),) = mistakes(config({"name": "lo"}))
    assert key == "connections.a.vti.name"
    assert text.startswith("lo exists on this machine")
    assert "allowed: a free name" in text
    assert not list(mistakes(config()))


@pytest.mark.parametrize(
    ("route", "best", "on_link", "told"),
    [
        ("192.0.2.0/24", "192.0.2.0/24", True, True),
        ("192.0.2.0/25", "192.0.2.0/24", True, True),
        ("192.0.2.0/23", "192.0.2.0/24", True, False),  # the other half is left
        ("192.0.2.0/24", "0.0.0.0/0", False, False),  # all but the peer's address is left
        ("192.0.2.2/32", "0.0.0.0/0", False, True),
        ("192.0.3.0/24", "192.0.2.0/24", True, False),
        ("2001:db8::/32", "192.0.2.0/24", True, False),
    ],
)
def test_a_route_of_which_nothing_is_left(route: str, best: str, on_link: bool, told: bool) -> None:
    network = FakeNetwork()
    network.best[PEER] = BestRoute(ip_network(best), 1, on_link)
    written = quiet({"routes": ["10.9.0.0/16", route]})
    found = dict(remarks(written, network))
    assert list(found) == (["connections.a.vti.routes[1]"] if told else [])
    if told:
        text = found["connections.a.vti.routes[1]"]
        assert "holds the peer's own address 192.0.2.2" in text
        assert "allowed: networks behind the peer" in text
        assert (f"{best} is on our own link" in text) is on_link
    assert not remarks(quiet({"routes": [route], "table": 7}), network)


@pytest.mark.parametrize(
    ("here", "keys", "told"),
    [
        (["192.0.2.2"], {}, True),
        (["192.0.2.2"], {"local_addrs": ["%any"]}, True),
        (["192.0.2.2"], {"remote_port": 4510}, False),  # another daemon of this host's
        (["192.0.2.1", "192.0.2.2"], {}, False),
        (["192.0.2.7"], {}, False),
    ],
)
def test_two_ends_that_stand_the_wrong_way_round(here: list[str], keys: dict[str, Any], told: bool) -> None:
    network = FakeNetwork()
    network.addresses = [ip_address(one) for one in here]
    found = dict(remarks(quiet({}, **keys), network))
    assert list(found) == (["connections.a.remote_addrs[0]"] if told else [])
    if told:
        text = found["connections.a.remote_addrs[0]"]
        assert text.startswith("192.0.2.2 is an address of this machine") and "left in ipsec.conf" in text


def test_where_the_kernel_may_not_be_asked_it_is_not(monkeypatch: pytest.MonkeyPatch) -> None:
    """As in a sandbox without netlink."""

    def refused(*asked: object) -> None:
        raise OSError(errno.EAFNOSUPPORT, "Address family not supported by protocol")

    network = FakeNetwork()
    monkeypatch.setattr(network, "local_addresses", refused)
    monkeypatch.setattr(network, "best_route", refused)
    assert remarks(quiet({"routes": ["192.0.2.0/24"]}), network) == []


def test_private_keys_that_will_not_be_loaded(tmp_path: Path) -> None:
    moon = chain("ecdsa").moon
    text = ""
    for name, data, secret in (
        ("private-good", moon.pkcs8_pem, ""),
        ("private-closed", keys.private_bytes(moon.key, "pem", b"open sesame"), ""),
        ("private-wrong", keys.private_bytes(moon.key, "pem", b"open sesame"), 'secret = "another"'),
        ("rsa-other", moon.pkcs8_pem, ""),
        ("private-none", b"nothing", ""),
    ):
        path = tmp_path / name
        path.touch(0o600)
        path.write_bytes(data)
        text += f'[secrets.{name}]\nfile = "{name}"\n{secret}\n'
    written = toml_source.parse(f'{text}[daemon]\nsysctls = "ignore"\n', str(tmp_path / "a.toml"))
    found = dict(remarks(written, FakeNetwork()))
    whys = {key.split(".")[1]: why for key, why in found.items()}
    assert set(whys) == {"private-closed", "private-wrong", "rsa-other", "private-none"}
    assert "it is encrypted" in whys["private-closed"] and "another password" in whys["private-wrong"]
    assert "another kind" in whys["rsa-other"] and "no private key" in whys["private-none"]


def test_certificates_whose_private_keys_are_not_here(tmp_path: Path) -> None:
    pki = chain("ecdsa")
    for name in ("moon", "sun"):
        (tmp_path / f"{name}.crt").write_bytes(getattr(pki, name).pem)
    (tmp_path / "private").mkdir()
    key = tmp_path / "private" / "moon.key"
    key.touch(0o600)
    key.write_bytes(pki.moon.pkcs8_pem)
    text = """
[connections.a.local]
auth = "pubkey"
certs = ["moon.crt", "sun.crt"]
[connections.a.remote]
auth = "pubkey"
[connections.a.children.net]
[daemon]
sysctls = "ignore"
"""
    token = '[secrets.token-a]\nhandle = "01"\nmodule = "/nowhere.so"\n'
    path = tmp_path / "a.toml"

    def told(written: str) -> dict[str, str]:
        path.write_text(written)
        return dict(remarks(recognise.read(path).config, FakeNetwork()))

    found = told(text)
    assert list(found) == ["connections.a.local.certs[1]"]
    assert "none of the private keys here" in found["connections.a.local.certs[1]"]
    assert not told(text + token), "the token may have it"


def test_certificates_that_do_not_have_our_identity(tmp_path: Path) -> None:
    moon = chain("ecdsa").moon
    (tmp_path / "moon.crt").write_bytes(moon.pem)
    (tmp_path / "moon.key").touch(0o600)
    (tmp_path / "moon.key").write_bytes(moon.pkcs8_pem)

    def told(own_id: str) -> dict[str, str]:
        text = f"""
[connections.a.local]
auth = "pubkey"
certs = ["moon.crt"]
{own_id}
[connections.a.remote]
auth = "pubkey"
[connections.a.children.net]
[secrets.private-moon]
file = "moon.key"
[daemon]
sysctls = "ignore"
"""
        return dict(remarks(toml_source.parse(text, str(tmp_path / "a.toml")), FakeNetwork()))

    assert not told('id = "moon.example.org"') and not told("")
    found = told('id = "mars.example.org"')
    assert list(found) == ["connections.a.local.certs[0]"]
    assert 'FQDN "mars.example.org"' in found["connections.a.local.certs[0]"]


@pytest.mark.parametrize("side", ["local", "local2", "remote", "remote2"])
def test_the_extra_of_eap_is_missing(monkeypatch: pytest.MonkeyPatch, tmp_path: Path, side: str) -> None:
    monkeypatch.setattr(checks, "find_spec", lambda _: None)
    secret = '[secrets.ike]\nsecret = "x8.Kd93jq-Lw0aPz"\n'
    text = f'[connections.a.{side}]\nauth = "eap-mschapv2"\n[connections.a.children.net]\n{secret}'
    found = dict(mistakes(toml_source.parse(text, str(tmp_path / "a.toml"))))
    assert ".[eap]" in found[f"connections.a.{side}.auth"]


def test_the_extra_of_radius_is_missing(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """Also without a connection that asks the servers."""
    text = '[radius.servers.r]\naddress = "192.0.2.9"\nsecret = "x8.Kd93jq-Lw0aPz"\n'
    written = toml_source.parse(text, str(tmp_path / "a.toml"))
    assert not list(mistakes(written))
    monkeypatch.setattr(checks, "find_spec", lambda _: None)
    ((key, told),) = mistakes(written)
    assert key == "radius" and "needs pyrad" in told and ".[eap]" in told
    with pytest.raises(StartError, match="radius: needs pyrad"):
        checks.check(written, tmp_path / "socket")


def test_the_extra_of_tokens_is_missing(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    text = '[secrets.token-a]\nhandle = "01"\nmodule = "/nowhere.so"\n[daemon]\nsysctls = "ignore"\n'
    written = toml_source.parse(text, str(tmp_path / "a.toml"))
    assert not remarks(written, FakeNetwork())
    monkeypatch.setattr(checks, "find_spec", lambda _: None)
    assert ".[pkcs11]" in dict(remarks(written, FakeNetwork()))["secrets.token-a"]
