"""Certificates by hash and URL (RFC 7296 3.6): offered and fetched only where the configuration says so."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

import pytest

from ikepy.wire.constants import NotifyType
from tests.pki import chain
from tests.raw_http import RawServer, answer, serving

from .by_url import by_url, described, inline, joined_by, store
from .network import assert_joined
from .test_pubkey import PUBKEY, A, B, notifies, said_in_init, told

PKI = chain()
ON = replace(B, remote=f"{PUBKEY}\nhash_and_url = true")


@pytest.fixture
def server() -> Iterator[RawServer]:
    """Has the certificate of a."""
    with serving(answer(PKI.moon.der)) as found:
        yield found


def test_it_is_offered_where_it_is_permitted() -> None:
    assert NotifyType.HTTP_CERT_LOOKUP_SUPPORTED not in notifies(said_in_init(A, B)[1])
    assert NotifyType.HTTP_CERT_LOOKUP_SUPPORTED in notifies(said_in_init(A, ON)[1])


def test_it_is_fetched(server: RawServer) -> None:
    kept = store()
    shown = [*by_url(described(PKI.moon.der, server.uri("/moon.der"))), *inline(PKI.ca.der)]
    for _ in range(2):
        net = joined_by(shown, ON, kept)
        assert_joined(net)
        assert "authenticated by certificate" in told(net, "b")
    assert len(server.requests) == 1
    assert server.requests[0].startswith(b"GET /moon.der ")


def test_it_is_not_fetched_otherwise(server: RawServer) -> None:
    net = joined_by(by_url(described(PKI.moon.der, server.uri())), B, store())
    assert "which is fetched only with remote.hash_and_url" in told(net, "b")
    assert not server.requests
    assert not net.b.plane.inbound
