"""Peers that let us fetch: URLs of other schemes, bodies without end, other things than they say."""

from __future__ import annotations

import socket
from dataclasses import replace
from pathlib import Path

import pytest

from ikepy.daemon.credentials.certificate_lookup import CertificateLookup
from ikepy.daemon.credentials.fetcher import Fetcher
from ikepy.daemon.credentials.verification import MOST_BY_URL
from ikepy.wire.constants import CertEncoding
from ikepy.wire.payloads import CertPayload
from tests.exchange.by_url import PKI, by_url, described, inline, joined_by, store
from tests.exchange.test_pubkey import PUBKEY, B, told
from tests.pki import chain
from tests.raw_http import answer, serving

from .test_fetching import HEAD, without_end

ON = replace(B, remote=f"{PUBKEY}\nhash_and_url = true")
THIEF = chain("ecdsa", "thief")


def refused(certificates: list[CertPayload], lookup: CertificateLookup | None = None) -> str:
    """b's log, of whom the peer hears one word."""
    net = joined_by(certificates, ON, store(lookup))
    assert "AUTHENTICATION_FAILED" in net.a.outcomes[1].text
    assert not net.b.plane.inbound
    log = told(net, "b")
    assert all(len(line) < 1000 for line in log.splitlines())
    return log


@pytest.mark.parametrize(
    "url",
    ["file://{}", "https://127.0.0.1/", "ftp://127.0.0.1/", "{}", "", "http:///", "http://a b/"],
)
def test_urls_that_are_none_of_http(url: str, tmp_path: Path) -> None:
    (tmp_path / "moon.der").write_bytes(PKI.moon.der)
    shown = by_url(described(PKI.moon.der, url.format(tmp_path / "moon.der")))
    assert "its address is" in refused([*shown, *inline(PKI.ca.der)])


@pytest.mark.parametrize("data", [b"", b"short", bytes(20), bytes(20) + b"http://\xff/"])
def test_no_hash_and_url(data: bytes) -> None:
    assert "its address is" in refused(by_url(data))


def test_a_body_without_end() -> None:
    with serving(without_end(HEAD + b"\r\n", bytes(65536))) as server:
        assert "longer than 16384 octets" in refused(by_url(described(PKI.moon.der, server.uri())))


def test_another_certificate_than_the_hash_says() -> None:
    with serving(answer(PKI.moon.der)) as server:
        shown = by_url(described(PKI.carol.der, server.uri()))
        assert "what is there has another hash" in refused([*shown, *inline(PKI.ca.der)])
        short = by_url(described(PKI.moon.der, "")[:10])
        assert "its address is" in refused(short)


def test_what_is_no_certificate() -> None:
    with serving(answer(b"text")) as server:
        assert "certificate: it is" in refused(by_url(described(b"text", server.uri())))


def test_silence() -> None:
    def serve(sock: socket.socket, _: bytes) -> None:
        sock.recv(1)  # until the client gives up

    with serving(serve) as server:
        lookup = CertificateLookup(Fetcher(seconds=0.3))
        assert "no answer in time" in refused(by_url(described(PKI.moon.der, server.uri())), lookup)


def test_a_bundle() -> None:
    shown = by_url(described(b"", "http://127.0.0.1/"), encoding=CertEncoding.HASH_AND_URL_BUNDLE)
    assert "a bundle by hash and URL, which is never fetched" in refused(shown)


def test_issuers_are_fetched_for_who_has_the_key_alone() -> None:
    """moon signs, and shows a certificate of another key, and then its own."""
    other = THIEF.issue("moon", san=("moon.example.org",))
    with serving(answer(THIEF.ca.der)) as server:
        issuers = by_url(*(described(THIEF.ca.der, server.uri(f"/{number}")) for number in range(30)))
        assert "its signature is wrong" in refused([*inline(other.der), *issuers])
        assert not server.requests
        assert "nothing is known of its issuer" in refused([*inline(PKI.moon.der), *issuers])
        assert len(server.requests) == MOST_BY_URL
