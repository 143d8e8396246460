"""What an end says about authentication beforehand, also if it says it in nonsense."""

from __future__ import annotations

import pytest

from ikepy.crypto.schemes import Scheme
from ikepy.sa.auth.announced import (
    MOST_CAS,
    NOTHING,
    RAW,
    certreqs,
    hash_and_url,
    hashes_payload,
    methods_payload,
)
from ikepy.wire.constants import AuthMethod, CertEncoding, HashAlgorithm, NotifyType
from ikepy.wire.payloads import CertReqPayload, NotifyPayload

DIGITAL = AuthMethod.DIGITAL_SIGNATURE


def hashes(data: bytes) -> NotifyPayload:
    return NotifyPayload(NotifyType.SIGNATURE_HASH_ALGORITHMS, data)


def test_hashes_of_signatures() -> None:
    said = NOTHING.and_in([hashes(b"\0\2\0\5")])
    assert said.hashes == {HashAlgorithm.SHA2_256, HashAlgorithm.IDENTITY}
    assert NOTHING.and_in([hashes(b"\0\2\0")]).hashes == {2}  # a byte too many
    assert NOTHING.and_in([hashes(b"")]) == NOTHING


def test_cas_of_several_requests() -> None:
    one, other = bytes(20), b"\1" * 20
    said = NOTHING.and_in([CertReqPayload(CertEncoding.X509_SIGNATURE, one)])
    said = said.and_in([CertReqPayload(CertEncoding.X509_SIGNATURE, other + b"rest")])
    assert said.cas == {one, other}
    assert said.certificates


def test_requests_for_other_encodings_name_no_cas() -> None:
    said = NOTHING.and_in([CertReqPayload(CertEncoding.CRL, bytes(20))])
    assert said.certificates
    assert not said.cas


def test_many_cas() -> None:
    many = b"".join(number.to_bytes(20, "big") for number in range(3 * MOST_CAS))
    assert len(NOTHING.and_in([CertReqPayload(CertEncoding.X509_SIGNATURE, many)]).cas) == MOST_CAS


def test_notifies() -> None:
    said = NOTHING.and_in([NotifyPayload(NotifyType.MULTIPLE_AUTH_SUPPORTED)])
    assert said.multiple
    assert not said.eap_only
    assert said.and_in([NotifyPayload(NotifyType.EAP_ONLY_AUTHENTICATION)]).eap_only


def test_what_we_say_is_what_is_read() -> None:
    ways = [(int(DIGITAL), Scheme.PSS_SHA256), (int(DIGITAL), Scheme.ED25519), (1, Scheme.RSA_SHA1)]
    said = NOTHING.and_in([*methods_payload(ways, [2]), hashes_payload([HashAlgorithm.IDENTITY])])
    assert said.methods == {(14, Scheme.PSS_SHA256), (14, Scheme.ED25519), (1, None), (2, None)}
    assert said.verifies(DIGITAL, Scheme.ED25519)
    assert said.verifies(1, Scheme.RSA_SHA1)
    assert not said.verifies(DIGITAL, Scheme.ED448)
    assert said.hashes == {HashAlgorithm.IDENTITY}
    assert methods_payload([]) == ()


@pytest.mark.parametrize("data", ["", "00", "01", "0002", "ff02", "0202ff", "040e0000", "020202"])
def test_announcements_that_are_cut_off_or_nonsense(data: str) -> None:
    notify = NotifyPayload(NotifyType.SUPPORTED_AUTH_METHODS, bytes.fromhex(data))
    assert NOTHING.and_in([notify]).methods in (frozenset(), {(2, None)})


def test_certificates_are_asked_for() -> None:
    cas = [number.to_bytes(20, "big") for number in range(3)]
    (request,) = certreqs(cas, 3, raw_keys=False)
    assert NOTHING.and_in([request]).cas == set(cas)
    (unnamed,) = certreqs(cas, 2, raw_keys=False)
    assert unnamed.data == b""
    assert certreqs([], 2, raw_keys=True) == (RAW,)
    assert certreqs([], 2, raw_keys=False) == ()


def test_hash_and_url() -> None:
    assert hash_and_url(bytes(20) + b"http://example.org/a") == (bytes(20), "http://example.org/a")
    assert hash_and_url(bytes(20) + b"http://\xff") == (bytes(20), "")
    assert hash_and_url(bytes(20) + b"x" * 5000) == (bytes(20), "")
    assert hash_and_url(b"short") == (b"short", "")


def test_hashes_without_a_name_are_not_kept() -> None:
    many = b"".join(number.to_bytes(2, "big") for number in range(30_000))
    assert NOTHING.and_in([hashes(many)]).hashes == frozenset(HashAlgorithm)
