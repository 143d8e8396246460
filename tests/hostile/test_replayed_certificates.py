"""Certificates are public: whoever shows somebody else's, or is known by it, has nothing fetched for it."""

from __future__ import annotations

from dataclasses import replace

import pytest

from ikepy.crypto.x509.certificate import certificate
from ikepy.crypto.x509.path import Anchors
from ikepy.daemon.credentials.fetcher import Fetcher, Places
from ikepy.daemon.credentials.known import Known
from ikepy.daemon.credentials.revocation_check import RevocationCheck
from ikepy.daemon.credentials.store import Store
from ikepy.sa.api.commands import Initiate
from tests.exchange.credentials import Memory
from tests.exchange.network import Network
from tests.exchange.test_pubkey import A, B, told
from tests.pki import Entity, chain

PKI, THIEF = chain(), chain("ecdsa", "thief")
SHOWN = PKI.issue("moon", san=("moon.example.org",), crl=("http://crl.example/",))


def asked(entity: Entity, send_cert: str) -> tuple[list[str], str]:
    """The hosts from which b fetches something while a authenticates; and b's log."""
    hosts: list[str] = []

    def note(host: str, port: int) -> Places:
        hosts.append(host)
        raise OSError("there is no network")

    store = Store(RevocationCheck(Fetcher(note), bytes))
    store.known = Known(certificates=(certificate(SHOWN.der),), anchors=Anchors([certificate(PKI.root.der)]))
    if send_cert == "never":
        known = (certificate(PKI.root.der), certificate(PKI.ca.der))
        store.known = replace(store.known, anchors=Anchors(known))
    a = replace(A, connection=f'send_cert = "{send_cert}"')
    net = Network(a, B, credentials=(Memory(entity, (PKI.root.der,)), store))
    net.command("a", Initiate("ab", "net", ticket=1))
    net.run(1.0)
    return hosts, told(net, "b")


@pytest.mark.parametrize("send_cert", ["always", "never"])
def test_a_certificate_without_its_key(send_cert: str) -> None:
    hosts, log = asked(Entity(THIEF.moon.key, SHOWN.certificate, SHOWN.between), send_cert)
    assert not hosts
    assert "its signature is wrong" in log


@pytest.mark.parametrize("send_cert", ["always", "never"])
def test_with_its_key_the_crl_is_asked_for(send_cert: str) -> None:
    assert asked(SHOWN, send_cert)[0] == ["crl.example"]
