"""Peers' certificates are read once, if they are of a path to a CA of ours."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest

from ikepy.config.identity import Identity
from ikepy.config.model import AuthRemote
from ikepy.crypto.x509.certificate import certificate
from ikepy.crypto.x509.path import Anchors
from ikepy.daemon.credentials.certificate_lookup import CertificateLookup
from ikepy.daemon.credentials.fetcher import Fetcher, Places
from ikepy.daemon.credentials.known import Known
from ikepy.daemon.credentials.read_certificates import MAX_KEPT, ReadCertificates
from ikepy.daemon.credentials.revocation_check import RevocationCheck
from ikepy.daemon.credentials.verification import Verification
from ikepy.sa.auth.credentials import Presented, Trusted, Untrusted, Verdict
from tests.pki import chain

PKI, OTHER = chain(), chain("ecdsa", "other")
SHOWN = Presented(certificates=PKI.moon.chain)
NOW = datetime.now(UTC).timestamp()


def nowhere(host: str, port: int) -> Places:
    raise AssertionError(f"{host} is asked for")


def verdict(before: ReadCertificates, shown: Presented = SHOWN, at: float = NOW) -> Verdict:
    known = Known(anchors=Anchors([certificate(PKI.root.der)]))
    revocation = RevocationCheck(Fetcher(nowhere), bytes)
    check = Verification(known, revocation, CertificateLookup(Fetcher(nowhere)), at, read_before=before)
    identity = Identity.parse("moon.example.org")
    assert identity is not None
    return check.verdict(AuthRemote(), identity, shown)


def test_what_was_believed_is_read_once() -> None:
    before = ReadCertificates()
    assert isinstance(verdict(before), Trusted)
    first = [before.read(one) for one in PKI.moon.chain]
    assert isinstance(verdict(before), Trusted)
    assert all(before.read(one.der) is one for one in first)
    assert len(before) == 2


def test_validity_is_checked_each_time() -> None:
    before = ReadCertificates()
    found = verdict(before)
    assert isinstance(found, Trusted)
    assert found.until is not None
    late = verdict(before, at=found.until + 1)
    assert isinstance(late, Untrusted)
    assert "expired" in late.why


def test_strangers_leave_nothing() -> None:
    before = ReadCertificates()
    assert isinstance(verdict(before, Presented(certificates=OTHER.moon.chain)), Untrusted)
    mixed = Presented(certificates=(*PKI.moon.chain, OTHER.moon.der))
    assert isinstance(verdict(before, mixed), Trusted)
    assert before.read(OTHER.moon.der) is not before.read(OTHER.moon.der)


def test_it_is_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    every = [certificate(one.der) for one in (PKI.root, PKI.ca, PKI.moon, OTHER.root, OTHER.ca, OTHER.moon)]
    before = ReadCertificates(most=4)
    for one in every:
        before.keep([one])
    assert len(before) <= 4
    assert before.read(every[-1].der) is every[-1]
    monkeypatch.setattr("ikepy.daemon.credentials.read_certificates.MAX_KEPT", len(every[0].der) - 1)
    other = ReadCertificates()
    other.keep(every[:1])
    assert len(other) == 0 < MAX_KEPT
