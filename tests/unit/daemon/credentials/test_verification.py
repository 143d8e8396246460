"""What a peer shows, held against what is configured and known."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from hashlib import sha1
from typing import Any

import pytest
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509 import ocsp

from ikepy.config.identity import Identity
from ikepy.config.model import AuthRemote
from ikepy.crypto.schemes import KeyKind
from ikepy.crypto.x509 import crl
from ikepy.crypto.x509.certificate import Certificate, certificate
from ikepy.crypto.x509.path import Anchors
from ikepy.crypto.x509.revocation import Standing
from ikepy.daemon.credentials import verification
from ikepy.daemon.credentials.cache import AGAIN
from ikepy.daemon.credentials.certificate_lookup import CertificateLookup
from ikepy.daemon.credentials.fetch_error import FetchError
from ikepy.daemon.credentials.fetcher import Fetcher
from ikepy.daemon.credentials.fetcher import Places as Addresses
from ikepy.daemon.credentials.known import Known
from ikepy.daemon.credentials.revocation_check import AtHand, Places, RevocationCheck
from ikepy.daemon.credentials.verification import Verification
from ikepy.sa.auth.credentials import Doubt, Presented, Trusted, Untrusted, Verdict, no_doubt
from ikepy.wire.constants import HashAlgorithm
from tests.pki import Entity, chain
from tests.raw_http import answer, serving

NOW = datetime.now(UTC)
PKI, OTHER = chain(), chain("ecdsa", "other")


def read(one: Entity) -> Certificate:
    return certificate(one.der)


def nowhere(host: str, port: int) -> Addresses:
    raise AssertionError(f"{host} is asked for")


NO_LOOKUP = CertificateLookup(Fetcher(nowhere))


def known(*cas: Entity, crls: tuple[bytes, ...] = (), **more: Any) -> Known:
    hand = AtHand(tuple(map(crl.crl, crls)), (), more.pop("places", {}))
    return Known(anchors=Anchors(map(read, cas)), hand=hand, **more)


def verdict(
    presented: Presented,
    identity: str = "moon.example.org",
    *,
    of: Known | None = None,
    check: RevocationCheck | None = None,
    lookup: CertificateLookup | None = None,
    doubt: Doubt = no_doubt,
    **auth: Any,
) -> Verdict:
    claimed = Identity.parse(identity)
    assert claimed is not None
    check = check or RevocationCheck(Fetcher(nowhere), bytes)
    own = Verification(of or known(PKI.root), check, lookup or NO_LOOKUP, time.time(), doubt)
    return own.verdict(AuthRemote().model_copy(update=auth), claimed, presented)


def why(*arguments: Any, **more: Any) -> str:
    found = verdict(*arguments, **more)
    assert isinstance(found, Untrusted)
    return found.why


SHOWN = Presented(certificates=PKI.moon.chain)


def test_a_chain() -> None:
    found = verdict(SHOWN)
    assert isinstance(found, Trusted)
    assert found.public_key == PKI.moon.spki
    assert found.name == 'certificate "C=CH, O=ikepy, CN=moon"'
    assert found.until == min(read(one).not_after for one in (PKI.moon, PKI.ca, PKI.root))
    assert [(link.key.kind, link.key.bits, link.hash) for link in found.chain] == [
        (KeyKind.ECDSA, 256, HashAlgorithm.SHA2_256)
    ] * 2
    assert found.remark == ""


def test_the_identity() -> None:
    assert isinstance(verdict(SHOWN, "C=CH, O=ikepy, CN=moon"), Trusted)
    assert isinstance(verdict(SHOWN, "192.0.2.1"), Trusted)
    assert 'it is not of "sun.example.org"' in why(SHOWN, "sun.example.org")


def test_no_ca() -> None:
    assert "no CA is configured" in why(SHOWN, of=known())
    assert "nothing is known of its issuer" in why(SHOWN, of=known(OTHER.root))
    assert "nothing is known of its issuer" in why(Presented(certificates=(PKI.moon.der,)))


@pytest.mark.parametrize("shown", [(b"",), (b"\x30\x00",), (bytes(70000),)])
def test_malformed(shown: tuple[bytes, ...]) -> None:
    assert why(Presented(certificates=shown)).startswith("certificate: it is")
    assert isinstance(verdict(Presented(certificates=(*PKI.moon.chain, *shown))), Trusted)


def test_cas_of_a_connection() -> None:
    assert isinstance(verdict(SHOWN, of=known(), cacerts=(PKI.root.der,)), Trusted)
    assert isinstance(verdict(SHOWN, cacerts=(PKI.ca.der,)), Trusted)
    assert "none of the CAs of cacerts" in why(SHOWN, cacerts=(OTHER.root.der,))
    assert isinstance(verdict(SHOWN, ca_id=Identity.parse("C=CH, O=ikepy, CN=ecdsa CA")), Trusted)
    assert isinstance(verdict(SHOWN, ca_id=Identity.parse("C=CH, O=ikepy, CN=*")), Trusted)
    assert "no CA of its chain is" in why(SHOWN, ca_id=Identity.parse("CN=x"))
    assert "lacks the policy 1.2.3" in why(SHOWN, cert_policy=("1.2.3",))


def test_a_certificate_that_is_configured() -> None:
    own = Presented(certificates=(PKI.moon.der,))
    found = verdict(own, of=known(), certs=(PKI.sun.der, PKI.moon.der))
    assert isinstance(found, Trusted)
    assert found.chain == ()
    assert "none of those in certs" in why(SHOWN, certs=(PKI.sun.der,))
    assert 'it is not of "x"' in why(own, "x", certs=(PKI.moon.der,))
    old = PKI.issue("old", san=("o",), not_before=datetime(2020, 1, 1), not_after=datetime(2021, 1, 1))
    assert "has expired" in why(Presented(certificates=(old.der,)), "o", certs=(old.der,))


def test_raw_keys() -> None:
    shown = Presented(raw_keys=(PKI.moon.spki,))
    found = verdict(shown, pubkeys=(PKI.sun.spki, PKI.moon.spki))
    assert isinstance(found, Trusted)
    assert (found.public_key, found.until) == (PKI.moon.spki, None)
    assert "none of those in pubkeys" in why(shown)


def test_a_certificate_beside_pinned_keys() -> None:
    """A CA that is loaded for other connections does not vouch for another key."""
    pinned = (PKI.sun.spki,)
    assert "it is none of those in pubkeys" in why(SHOWN, pubkeys=pinned)
    assert "it is none of those in certs and pubkeys" in why(SHOWN, pubkeys=pinned, certs=(PKI.sun.der,))
    assert isinstance(verdict(SHOWN, pubkeys=pinned, cacerts=(PKI.root.der,)), Trusted)
    assert isinstance(verdict(SHOWN, pubkeys=(*pinned, PKI.moon.spki)), Trusted)
    assert "no CA is configured" in why(SHOWN, of=known(), pubkeys=(PKI.moon.spki,))


def test_a_peer_that_shows_nothing() -> None:
    assert "it sends none" in why(Presented())
    assert isinstance(verdict(Presented(), certs=(PKI.moon.der,)), Trusted)
    assert isinstance(
        verdict(Presented(), of=known(PKI.root, PKI.ca, certificates=(read(PKI.moon),))), Trusted
    )
    found = verdict(Presented(), pubkeys=(PKI.moon.spki,))
    assert isinstance(found, Trusted)
    assert found.public_key == PKI.moon.spki


def test_a_key_that_replaces_another_of_a_peer_that_shows_nothing() -> None:
    """Of several that are configured or known, the one that has signed and is valid."""
    names, past = ("moon.example.org",), datetime(2020, 1, 1)
    old = PKI.issue("moon", san=names, not_before=past, not_after=past + timedelta(days=9))
    late = PKI.issue("moon", san=names)
    signed_by = [b""]

    def doubt(key: bytes) -> str:
        return "" if key == signed_by[0] else "its signature is wrong"

    both = (PKI.moon.der, late.der)
    for auth in (
        {"pubkeys": (PKI.moon.spki, late.spki)},
        {"certs": both},
        {"certs": (old.der, *both)},
        {"pubkeys": (PKI.moon.spki,), "certs": (late.der,)},
        {"of": known(PKI.root, PKI.ca, certificates=tuple(map(read, (old, PKI.moon, late))))},
    ):
        for signer in (PKI.moon, late):
            signed_by[0] = signer.spki
            found = verdict(Presented(), doubt=doubt, **auth)
            assert isinstance(found, Trusted) and found.public_key == signer.spki, auth
    signed_by[0] = old.spki
    assert "has expired" in why(Presented(), doubt=doubt, certs=(PKI.moon.der, old.der))
    refused = verdict(Presented(), doubt=doubt, pubkeys=(PKI.moon.spki, late.spki))
    assert refused == Untrusted(f"raw public key {PKI.moon.key_id}: its signature is wrong", unproven=True)


def test_time_for_all_fetches_is_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(verification, "PATIENCE", -1.0)
    end = PKI.issue(
        "moon", san=("moon.example.org",), crl=("http://a.example/",), ocsp=("http://b.example/",)
    )
    shown = Presented(certificates=end.chain)
    assert "there was no time left to ask" in why(shown, revocation="ifuri")


def by_url(*given: tuple[bytes, str], inline: tuple[bytes, ...] = ()) -> Presented:
    """`given`: what is hashed, and where it is said to be; the first is the end entity's."""
    pairs = tuple((sha1(data).digest(), url) for data, url in given)
    return Presented(certificates=inline, hash_and_urls=pairs, end_by_url=True)


def test_hash_and_url_is_never_fetched_unless_permitted() -> None:
    shown = by_url((PKI.moon.der, "http://a.example/"), inline=(PKI.ca.der,))
    assert "only with remote.hash_and_url" in why(shown, certs=(PKI.moon.der,))
    beside = replace(SHOWN, hash_and_urls=shown.hash_and_urls)
    assert isinstance(verdict(beside), Trusted)


def test_hash_and_url() -> None:
    """The intermediate's comes along, or by hash and URL, too; each is fetched once."""
    with serving(answer(PKI.moon.der)) as end, serving(answer(PKI.ca.der)) as issuer:
        lookup = CertificateLookup()
        by_urls = by_url((PKI.moon.der, end.uri()), (PKI.ca.der, issuer.uri()))
        issuer_alone = Presented((PKI.moon.der,), hash_and_urls=by_urls.hash_and_urls[1:])
        for shown in (by_url((PKI.moon.der, end.uri()), inline=(PKI.ca.der,)), by_urls, issuer_alone):
            found = verdict(shown, lookup=lookup, hash_and_url=True)
            assert isinstance(found, Trusted)
            assert found.public_key == PKI.moon.spki
        assert (len(end.requests), len(issuer.requests)) == (1, 1)
        assert "it is not of" in why(by_urls, "sun.example.org", lookup=lookup, hash_and_url=True)
        lookup.clear()
        assert isinstance(verdict(by_urls, lookup=lookup, hash_and_url=True), Trusted)
        assert (len(end.requests), len(issuer.requests)) == (2, 2)


def test_bundles_are_refused() -> None:
    shown = Presented(bundles=((bytes(20), "http://a.example/"),))
    assert "a bundle by hash and URL, which is never fetched" in why(shown, hash_and_url=True)


class TestRevocation:
    root_crl = PKI.crl(root=True)

    def test_by_a_crl_at_hand(self) -> None:
        listed = known(PKI.root, crls=(PKI.crl(PKI.moon), self.root_crl))
        for policy in ("strict", "ifuri", "relaxed"):
            assert "revoked (keyCompromise" in why(SHOWN, of=listed, revocation=policy), policy
        clean = known(PKI.root, crls=(PKI.crl(PKI.sun, lifetime=2), self.root_crl))
        found = verdict(SHOWN, of=clean, revocation="strict")
        assert isinstance(found, Trusted)
        assert found.until == pytest.approx(NOW.timestamp() + 2 * 86400, abs=3600), "then it is out of date"

    def test_of_an_intermediate(self) -> None:
        listed = known(PKI.root, PKI.ca, crls=(PKI.crl(), PKI.crl(PKI.ca, root=True)))
        told = why(SHOWN, of=listed)
        assert "ecdsa CA" in told
        assert "revoked" in told

    def test_nothing_at_hand(self) -> None:
        assert 'no OCSP responder is known (revocation = "strict")' in why(SHOWN, revocation="strict")
        assert isinstance(verdict(SHOWN, revocation="ifuri"), Trusted)

    def test_fetched(self) -> None:
        with serving(answer(PKI.crl(PKI.sun))) as server:
            check = RevocationCheck(Fetcher(), bytes)
            places = {read(PKI.ca).der: Places((server.uri("/ca.crl"),))}
            of = known(PKI.root, crls=(self.root_crl,), places=places)
            for _ in range(3):
                assert isinstance(verdict(SHOWN, of=of, check=check, revocation="strict"), Trusted)
            shown = Presented(certificates=PKI.sun.chain)
            assert "revoked" in why(shown, "sun.example.org", of=of, check=check)
            assert len(server.requests) == 1

    def test_named_by_the_certificate(self) -> None:
        with serving(answer(PKI.crl())) as server:
            end = PKI.issue("cdp", san=("cdp",), crl=(server.uri(),))
            of = known(PKI.root, crls=(self.root_crl,))
            check = RevocationCheck(Fetcher(), bytes)
            shown = Presented(certificates=end.chain)
            assert isinstance(verdict(shown, "cdp", of=of, check=check, revocation="strict"), Trusted)
            assert len(server.requests) == 1

    @pytest.mark.parametrize("serve", [answer(b"", status="404 no"), answer(b"text"), answer(OTHER.crl())])
    def test_not_to_be_had(self, serve: Callable[..., None]) -> None:
        with serving(serve) as server:
            end = PKI.issue("cdp", san=("cdp",), crl=(server.uri("/x"),))
            of = known(PKI.root, crls=(self.root_crl,))
            shown = Presented(certificates=end.chain)
            check = RevocationCheck(Fetcher(), bytes)
            found = verdict(shown, "cdp", of=of, check=check)
            assert isinstance(found, Trusted)
            assert "not known whether it is revoked: CRL of 'http://127.0.0.1" in found.remark
            for policy in ("strict", "ifuri"):
                told = why(shown, "cdp", of=of, check=check, revocation=policy)
                assert f'(revocation = "{policy}")' in told
            assert len(server.requests) == 1

    def test_a_list_that_its_ca_has_not_signed_is_not_kept_for_long(self) -> None:
        """Whoever is between us and the server chooses what it says, also until when."""
        bodies = [OTHER.crl(), PKI.crl()]
        with serving(lambda *asked: answer(bodies.pop(0))(*asked)) as server:
            end = PKI.issue("cdp", san=("cdp",), crl=(server.uri(),))
            now = at = time.time()
            check = RevocationCheck(Fetcher(), bytes, lambda: now)
            standings = []
            for seconds in (0.0, AGAIN - 1, AGAIN + 1):
                now = at + seconds
                standings.append(check.check(read(end), read(PKI.ca), AtHand(), now).standing)
        assert standings == [Standing.UNKNOWN, Standing.UNKNOWN, Standing.GOOD]


def response(of: Entity, status: ocsp.OCSPCertStatus) -> bytes:
    revoked = status is ocsp.OCSPCertStatus.REVOKED
    builder = ocsp.OCSPResponseBuilder().add_response(
        of.certificate,
        PKI.ca.certificate,
        hashes.SHA1(),
        status,
        NOW - timedelta(minutes=1),
        NOW + timedelta(hours=1),
        NOW if revoked else None,
        None,
    )
    builder = builder.responder_id(ocsp.OCSPResponderEncoding.NAME, PKI.ca.certificate)
    assert isinstance(PKI.ca.key, ec.EllipticCurvePrivateKey)
    return builder.sign(PKI.ca.key, hashes.SHA256()).public_bytes(serialization.Encoding.DER)


GOOD, REVOKED = ocsp.OCSPCertStatus.GOOD, ocsp.OCSPCertStatus.REVOKED


def test_ocsp_responses_that_the_peer_sends() -> None:
    """RFC 4806: nobody has to be asked then."""
    clean = known(PKI.root, crls=(PKI.crl(root=True),))
    good = Presented(certificates=PKI.moon.chain, ocsp=(b"nothing", response(PKI.moon, GOOD)))
    found = verdict(good, of=clean, revocation="strict")
    assert isinstance(found, Trusted)
    assert found.until == pytest.approx(NOW.timestamp() + 3600, abs=60)
    other = Presented(certificates=PKI.moon.chain, ocsp=(response(PKI.sun, GOOD),))
    assert "nothing of this certificate" in why(other, of=clean, revocation="strict")
    bad = Presented(certificates=PKI.moon.chain, ocsp=(response(PKI.moon, REVOKED),))
    assert "revoked (unspecified" in why(bad)
    many = Presented(certificates=PKI.moon.chain, ocsp=(b"x",) * 100 + (response(PKI.moon, REVOKED),))
    assert isinstance(verdict(many), Trusted)  # only a few are looked at


def test_a_peer_that_sends_the_last_good_response_before_it_was_revoked() -> None:
    """It lives for hours yet; a CRL that is known here has its say, too, configured or fetched before."""
    shown = Presented(certificates=PKI.moon.chain, ocsp=(response(PKI.moon, GOOD),))
    root_crl, listing = PKI.crl(root=True), PKI.crl(PKI.moon)
    for policy in ("strict", "ifuri", "relaxed"):
        told = why(shown, of=known(PKI.root, crls=(root_crl, listing)), revocation=policy)
        assert "revoked (keyCompromise" in told, policy
    with serving(answer(listing)) as server:
        places = {read(PKI.ca).der: Places((server.uri(),))}
        of, check = known(PKI.root, crls=(root_crl,), places=places), RevocationCheck(Fetcher(), bytes)
        assert isinstance(verdict(shown, of=of, check=check), Trusted)
        assert len(server.requests) == 0, "nobody else is asked"
        assert "revoked" in why(SHOWN, of=of, check=check)
        assert "revoked" in why(shown, of=of, check=check)
    both = replace(shown, ocsp=(response(PKI.moon, GOOD), response(PKI.moon, REVOKED)))
    assert "revoked (unspecified" in why(both)


def test_ocsp_that_is_asked_for() -> None:
    with serving(answer(response(PKI.moon, GOOD))) as server:
        check = RevocationCheck(Fetcher(), bytes)
        places = {read(PKI.ca).der: Places((), (server.uri(),))}
        of = known(PKI.root, crls=(PKI.crl(root=True),), places=places)
        for _ in range(3):
            assert isinstance(verdict(SHOWN, of=of, check=check, revocation="strict"), Trusted)
        assert len(server.requests) == 1
        assert b"POST / HTTP/1.1" in server.requests[0]
        server.serve = answer(response(PKI.moon, REVOKED))
        assert isinstance(verdict(SHOWN, of=of, check=check), Trusted)
        check.clear()
        assert "revoked" in why(SHOWN, of=of, check=check)


def test_nothing_is_fetched_for_a_chain_that_is_not_valid() -> None:
    """`nowhere` fails the test when it is asked."""
    uris: dict[str, Any] = {"crl": ("http://crl.example/",), "ocsp": ("http://ocsp.example/",)}
    forged = OTHER.issue("moon", san=("moon.example.org",), **uris)
    assert "nothing is known" in why(Presented(certificates=forged.chain))
    old = PKI.issue(
        "moon",
        san=("moon.example.org",),
        not_before=datetime(2020, 1, 1),
        not_after=datetime(2021, 1, 1),
        **uris,
    )
    assert "expired" in why(Presented(certificates=old.chain))
    own = PKI.issue("moon", san=("moon.example.org",), **uris)
    assert 'it is not of "other"' in why(Presented(certificates=own.chain), "other")
    with pytest.raises(AssertionError, match=r"ocsp\.example is asked for|crl\.example is asked for"):
        raise_of_thread(own)


def raise_of_thread(own: Entity) -> None:
    """That it would be asked for a valid one shows that the test tests something."""
    asked: list[str] = []

    def note(host: str, port: int) -> Addresses:
        asked.append(host)
        raise OSError

    verdict(Presented(certificates=own.chain), check=RevocationCheck(Fetcher(note), bytes))
    raise AssertionError(f"{asked[0]} is asked for")


@pytest.mark.parametrize("uri", ["file:///etc/passwd", "ldap://crl.example/", "http://user@crl.example/"])
def test_addresses_that_are_not_used(uri: str) -> None:
    end = PKI.issue("moon", san=("moon.example.org",), crl=(uri,), ocsp=(uri,))
    found = verdict(Presented(certificates=end.chain))
    assert isinstance(found, Trusted)
    assert "its address is" in found.remark


def test_a_fetcher_that_fails_is_no_fault() -> None:
    class Broken(Fetcher):
        def get(self, uri: str, most: int) -> bytes:
            raise FetchError("no answer in time")

    end = PKI.issue("moon", san=("moon.example.org",), crl=("http://crl.example/",))
    found = verdict(Presented(certificates=end.chain), check=RevocationCheck(Broken(), bytes))
    assert isinstance(found, Trusted)
    assert "no answer in time" in found.remark
