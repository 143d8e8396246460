"""The same messages of strongSwan's package `vici` at our socket and at charon's: the same answers."""

from __future__ import annotations

import socket
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import pytest
import vici
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from vici.exception import CommandException

from ikepy.lab.strongswan import StrongSwan
from tests import certificates
from tests.certificates import DER, PEM
from tests.interop.bed import Bed
from tests.interop.test_swanctl_load import EMPTY, PLUGINS

REFUSED = "refused"


def plain(value: Any) -> Any:
    """Texts for bytes, but of DER."""
    if isinstance(value, Mapping):
        return {key: plain(one) for key, one in value.items()}
    if isinstance(value, list):
        return [plain(one) for one in value]
    return value.decode() if isinstance(value, bytes) and value.isascii() else value


def _ordered(answer: Any) -> Any:
    """With lists of names in an order of their own: charon's is that of its tables."""
    if not isinstance(answer, dict):
        return answer
    return {key: sorted(one) if isinstance(one, list) else one for key, one in answer.items()}


@dataclass(frozen=True, slots=True)
class Both:
    """A session with our daemon, and one with charon."""

    ours: vici.Session
    theirs: vici.Session

    def ask(self, command: str, message: dict[str, Any] | None = None, *, event: str | None = None) -> Any:
        """What both answer, which must be the same; REFUSED for a refusal, whatever its words."""
        ours, theirs = (self._answer(one, command, message or {}, event) for one in (self.ours, self.theirs))
        assert _ordered(ours) == _ordered(theirs), (command, message)
        return ours

    def _answer(self, client: vici.Session, command: str, message: dict[str, Any], event: str | None) -> Any:
        try:
            if event is None:
                return plain(client.request(command, message))
            events = [plain(one) for one in client.streamed_request(command, event, message)]
        except CommandException:
            return REFUSED
        return sorted(events, key=repr)


@pytest.fixture
def both(bed: Bed) -> Iterator[Both]:
    bed.theirs = StrongSwan(bed.pair.right, bed.theirs.run_directory, plugins=PLUGINS)
    bed.theirs.start()
    bed.ours.start(EMPTY)
    with socket.socket(socket.AF_UNIX) as ours, socket.socket(socket.AF_UNIX) as theirs:
        for one, path in ((ours, bed.ours.socket), (theirs, bed.theirs.run_directory / "vici")):
            one.settimeout(20)
            one.connect(str(path))
        yield Both(vici.Session(ours), vici.Session(theirs))


CONNECTION = {
    "version": "2",
    "remote_addrs": ["192.0.2.9"],
    "local": {"auth": "psk", "id": "gwa"},
    "remote": {"auth": "psk", "id": "gwb"},
    "children": {"net": {"remote_ts": ["10.9.0.0/16"], "mode": "tunnel"}},
}


def test_connections(both: Both) -> None:
    assert both.ask("get-conns") == {"conns": []}
    assert both.ask("load-conn", {"site": CONNECTION}) == {"success": "yes"}
    assert both.ask("load-conn", {"site": CONNECTION}) == {"success": "yes"}
    assert both.ask("get-conns") == {"conns": ["site"]}
    (event,) = both.ask("list-conns", event="list-conn")
    assert event["site"]["children"]["net"]["remote-ts"] == ["10.9.0.0/16"]
    for bad in (
        {**CONNECTION, "mobike": "perhaps"},
        {**CONNECTION, "no_such_key": "1"},
        {**CONNECTION, "proposals": ["none-such"]},
        {**CONNECTION, "remote_addrs": "192.0.2.9"},  # no list
        {**CONNECTION, "dpd_delay": ["30s"]},
        {**CONNECTION, "children": {"net": {"mode": "sideways"}}},
    ):
        assert both.ask("load-conn", {"bad": bad}) == REFUSED, bad
    assert both.ask("get-conns") == {"conns": ["site"]}
    assert both.ask("unload-conn", {"name": "another"}) == REFUSED
    assert both.ask("unload-conn") == REFUSED
    assert both.ask("unload-conn", {"name": "site"}) == {"success": "yes"}
    assert both.ask("list-conns", event="list-conn") == []


def test_shared_secrets(both: Both) -> None:
    for name, kind in (("ike-1", "IKE"), ("eap-1", "EAP"), ("xauth-1", "xauth"), ("ntlm-1", "ntlm")):
        data = (
            b"s3cr\xff" if kind != "ntlm" else bytes(range(16))
        )  # an MD4 hash, of which ikepy takes no other
        message = {"id": name, "type": kind, "data": data, "owners": ["gwa", "%any"]}
        assert both.ask("load-shared", message) == {"success": "yes"}
    assert both.ask("load-shared", {"type": "ike", "data": "x"}) == {"success": "yes"}
    assert sorted(both.ask("get-shared")["keys"]) == ["eap-1", "ike-1", "ntlm-1", "xauth-1"]
    assert both.ask("load-shared", {"id": "ike-1", "type": "ike", "data": "y"}) == {"success": "yes"}
    for bad in ({"type": "ike"}, {"data": "x"}, {"type": "nothing", "data": "x"}):
        assert both.ask("load-shared", bad) == REFUSED
    assert both.ask("unload-shared", {"id": "ike-1"}) == {"success": "yes"}
    assert both.ask("unload-shared", {"id": "nothing"}) == {"success": "yes"}
    assert both.ask("unload-shared") == REFUSED
    assert sorted(both.ask("get-shared")["keys"]) == ["eap-1", "ntlm-1", "xauth-1"]
    assert both.ask("clear-creds") == {"success": "yes"}
    assert both.ask("get-shared") == {"keys": []}


def test_certificates_and_keys(both: Both) -> None:
    authority, end = ec.generate_private_key(ec.SECP256R1()), rsa.generate_private_key(65537, 2048)
    other = ec.generate_private_key(ec.SECP384R1())
    ca = certificates.certificate("CA", authority, authority, ca=True)
    cert = certificates.certificate("gwa", end, authority)
    crl = certificates.crl(authority)
    for message in (
        {"type": "X509", "flag": "CA", "data": ca.public_bytes(PEM)},
        {"type": "x509", "flag": "NONE", "data": cert.public_bytes(DER)},
        {"type": "x509", "data": cert.public_bytes(DER)},
        {"type": "X509_CRL", "data": crl.public_bytes(DER)},
    ):
        assert both.ask("load-cert", message) == {"success": "yes"}
    found = both.ask("list-certs", event="list-cert")
    assert sorted((one["type"], one.get("flag")) for one in found) == [
        ("X509", "CA"),
        ("X509", "NONE"),
        ("X509_CRL", None),
    ]
    loaded = both.ask("load-key", {"type": "rsa", "data": certificates.traditional(end)})
    assert loaded.keys() == {"success", "id"}
    assert both.ask("load-key", {"type": "any", "data": certificates.private(other, PEM)})["success"] == "yes"
    assert len(both.ask("get-keys")["keys"]) == 2
    for filters in (
        {"type": "X509"},
        {"type": "X509_CRL"},
        {"type": "PUBKEY"},
        {"type": "ANY", "flag": "CA"},
        {"type": "X509", "flag": "NONE"},
        {"subject": "C=CH, O=ikepy, CN=gwa"},
        {"subject": "C=CH, O=ikepy, CN=none"},
    ):
        listed = both.ask("list-certs", filters, event="list-cert")
        assert [one["has_privkey"] for one in listed if "has_privkey" in one] in ([], ["yes"])
    for bad in (
        {"type": "X509", "data": "nonsense"},
        {"type": "X509"},
        {"data": "x"},
        {"type": "no such", "data": "x"},
        {"type": "X509", "flag": "no such", "data": cert.public_bytes(DER)},
        {"type": "X509", "flag": "CA", "data": cert.public_bytes(DER)},
    ):
        assert both.ask("load-cert", bad) == REFUSED, bad
    for bad in (
        {"type": "rsa", "data": certificates.private(other)},
        {"type": "rsa"},
        {"data": "x"},
        {"type": "no such", "data": "x"},
        {"type": "any", "data": certificates.private(other, PEM, b"password")},
    ):
        assert both.ask("load-key", bad) == REFUSED, bad
    assert both.ask("flush-certs") == {"success": "yes"}
    assert both.ask("load-token", {"handle": "01"}) == REFUSED
    assert both.ask("unload-key", {"id": loaded["id"]}) == {"success": "yes"}
    assert both.ask("unload-key", {"id": loaded["id"]}) == REFUSED
    assert both.ask("unload-key") == REFUSED
    assert both.ask("clear-creds") == {"success": "yes"}
    assert both.ask("get-keys") == {"keys": []}
    assert both.ask("list-certs", event="list-cert") == []


def test_authorities(both: Both) -> None:
    key = ec.generate_private_key(ec.SECP256R1())
    ca = certificates.certificate("CA", key, key, ca=True).public_bytes(DER)
    section = {
        "cacert": ca,
        "crl_uris": ["http://192.0.2.9/ca.crl", "http://192.0.2.8/ca.crl"],
        "ocsp_uris": ["http://192.0.2.9/"],
        "cert_uri_base": "http://192.0.2.9/certs",
    }
    assert both.ask("load-authority", {"one": section}) == {"success": "yes"}
    assert both.ask("load-authority", {"two": {"cacert": ca}}) == {"success": "yes"}
    assert both.ask("load-authority", {"one": section}) == {"success": "yes"}
    assert sorted(both.ask("get-authorities")["authorities"]) == ["one", "two"]
    assert len(both.ask("list-authorities", event="list-authority")) == 2
    (event,) = both.ask("list-authorities", {"name": "one"}, event="list-authority")
    assert event["one"]["cacert"] == "C=CH, O=ikepy, CN=CA"
    assert len(both.ask("list-certs", event="list-cert")) == 1
    end = certificates.certificate("gwa", key, key).public_bytes(DER)
    for bad in ({}, {"cacert": "nonsense"}, {"cacert": end}, {**section, "other": "x"}):
        assert both.ask("load-authority", {"bad": bad}) == REFUSED, bad
    assert both.ask("clear-creds") == {"success": "yes"}
    assert len(both.ask("list-certs", event="list-cert")) == 1  # an authority's
    assert both.ask("unload-authority", {"name": "one"}) == {"success": "yes"}
    assert both.ask("unload-authority", {"name": "one"}) == REFUSED
    assert both.ask("unload-authority") == REFUSED
    assert both.ask("unload-authority", {"name": "two"}) == {"success": "yes"}
    assert both.ask("list-certs", event="list-cert") == []


POOLS = (
    "10.3.0.0/24",
    "10.3.0.7/24",
    "10.3.0.0/31",
    "10.3.0.1/31",
    "10.3.0.1/32",
    "10.3.0.1",
    "10.3.0.5-10.3.0.9",
    "fd00::/120",
    "fd00::1/64",
    "fd00::5-fd00::9",
    "0.0.0.0/0",
)


def test_pools(both: Both) -> None:
    for number, addrs in enumerate(POOLS):
        message = {f"p{number}": {"addrs": addrs, "dns": ["192.0.2.53", "fd00::53"], "28": [b"\xff"]}}
        assert both.ask("load-pool", message) == {"success": "yes"}
    for filters in ({}, {"leases": "yes"}, {"name": "p1"}, {"name": "none"}):
        found = both.ask("get-pools", filters)
        assert len(found) == {"p1": 1, "none": 0}.get(str(filters.get("name")), len(POOLS))
    for bad in (
        {},
        {"addrs": "nonsense"},
        {"addrs": "10.3.0.9-10.3.0.5"},
        {"addrs": "10.3.0.1-fd00::1"},
        {"addrs": "fd00::1-fd01::1"},
        {"addrs": "10.3.0.0/24", "dns": ["nonsense"]},
        {"addrs": "10.3.0.0/24", "other": ["10.0.0.1"]},
        {"addrs": "10.3.0.0/24", "dns": "10.0.0.1"},
    ):
        assert both.ask("load-pool", {"bad": bad}) == REFUSED, bad
    assert both.ask("load-pool", {"p0": {"addrs": "10.4.0.0/24"}}) == {"success": "yes"}
    assert both.ask("get-pools", {"name": "p0"})["p0"]["base"] == "10.4.0.0"
    assert both.ask("unload-pool", {"name": "p0"}) == {"success": "yes"}
    assert both.ask("unload-pool", {"name": "p0"}) == REFUSED
    assert both.ask("unload-pool") == REFUSED
