"""What a peer shows in its CERT payloads. The exchange itself is in tests/exchange/test_pubkey.py."""

from __future__ import annotations

import pytest

from ikepy.sa.auth.credentials import Presented
from ikepy.sa.auth.pubkey import MOST_SHOWN, presented
from ikepy.wire.constants import CertEncoding
from ikepy.wire.payloads import CertPayload, NotifyPayload


def test_each_encoding_has_its_place() -> None:
    url = b"http://example.org/a.der"
    found = presented(
        [
            CertPayload(CertEncoding.X509_SIGNATURE, b"one"),
            CertPayload(CertEncoding.X509_SIGNATURE, b"two"),
            CertPayload(CertEncoding.RAW_PUBLIC_KEY, b"raw"),
            CertPayload(CertEncoding.CRL, b"crl"),
            CertPayload(CertEncoding.OCSP, b"ocsp"),
            CertPayload(CertEncoding.HASH_AND_URL_X509, bytes(20) + url),
            CertPayload(CertEncoding.HASH_AND_URL_BUNDLE, bytes(20) + b"http://\xff"),
            CertPayload(99, b"?"),
            NotifyPayload(16384),
        ]
    )
    assert found == Presented(
        (b"one", b"two"), (b"raw",), (b"crl",), (b"ocsp",), ((bytes(20), url.decode()),), ((bytes(20), ""),)
    )


@pytest.mark.parametrize(
    ("first", "by_url"),
    [
        (CertEncoding.X509_SIGNATURE, False),
        (CertEncoding.HASH_AND_URL_X509, True),
        (CertEncoding.HASH_AND_URL_BUNDLE, False),
    ],
)
def test_the_first_is_the_end_entitys(first: CertEncoding, by_url: bool) -> None:
    later = CertPayload(CertEncoding.X509_SIGNATURE, b"one"), CertPayload(CertEncoding.HASH_AND_URL_X509, b"")
    crl = CertPayload(CertEncoding.CRL, b"crl")
    assert presented([crl, CertPayload(first, bytes(20) + b"http://a/"), *later]).end_by_url is by_url


def test_more_than_enough_are_not_looked_at() -> None:
    many = [CertPayload(CertEncoding.X509_SIGNATURE, bytes([number])) for number in range(2 * MOST_SHOWN)]
    assert len(presented(many).certificates) == MOST_SHOWN
