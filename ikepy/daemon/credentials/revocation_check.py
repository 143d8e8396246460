"""Finds out whether certificates of a valid path are revoked: by what is at hand, then by what is fetched.

All that is at hand has its say, as a peer chooses which OCSP response it sends (RFC 4806), perhaps the last
one before it was revoked. Elsewhere OCSP is asked first, then CRLs, as charon does. Nothing is fetched for a
certificate whose path is not valid. Responses about a certificate of ours are had alike, to be sent with it.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Hashable, Iterable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from functools import partial
from math import inf
from time import monotonic
from typing import TypeVar

from ikepy.crypto.x509 import crl as x509_crl
from ikepy.crypto.x509 import ocsp, revocation
from ikepy.crypto.x509.certificate import Certificate
from ikepy.crypto.x509.crl import MAX_CRL, Crl
from ikepy.crypto.x509.revocation import Finding, Standing
from ikepy.daemon.credentials.cache import Cache, Fetched
from ikepy.daemon.credentials.fetch_error import FetchError
from ikepy.daemon.credentials.fetcher import Fetcher

T = TypeVar("T")
Step = Callable[[], Finding | None]
OCSP_REQUEST = "application/ocsp-request"
MAX_RESPONSES = 8  # of a peer's own that are looked at
MAX_STAPLED = 16384  # octets of a response that we send
OWN_PATIENCE = 4.0  # seconds for one about a certificate of ours, while the peer waits


@dataclass(frozen=True, slots=True)
class Places:
    """Where a CA answers, beside what certificates say."""

    crl_uris: tuple[str, ...] = ()
    ocsp_uris: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class AtHand:
    """What is known without asking. `places`: by the CA's certificate, DER."""

    crls: Sequence[Crl] = ()
    responders: Collection[Certificate] = ()
    places: Mapping[bytes, Places] = field(default_factory=dict)


class RevocationCheck:
    """To be used from any thread. `random`: makes nonces of so many octets; `clock`: monotonic seconds."""

    def __init__(
        self, fetcher: Fetcher, random: Callable[[int], bytes], clock: Callable[[], float] = monotonic
    ) -> None:
        self._fetcher = fetcher
        self._random = random
        self._crls: Cache[Crl] = Cache(clock)
        self._responses: Cache[tuple[bytes, bytes]] = Cache(clock)

    def clear(self) -> None:
        """Forget what was fetched."""
        self._crls.clear()
        self._responses.clear()

    def check(
        self,
        of: Certificate,
        issuer: Certificate,
        hand: AtHand,
        at: float,
        stapled: Sequence[bytes] = (),
        deadline: float = inf,
    ) -> Finding:
        """How a certificate stands at a time. `stapled`: responses that came with it (RFC 4806).

        `deadline`: monotonic seconds after which nobody is asked any more.
        """
        places = hand.places.get(issuer.der, Places())
        asked = list(dict.fromkeys([*revocation.ocsp_uris(of), *places.ocsp_uris]))
        listed = list(dict.fromkeys([*revocation.crl_uris(of), *places.crl_uris]))
        at_hand = self._at_hand(of, issuer, hand, at, stapled, asked, listed)
        if at_hand is not None and at_hand.standing is not Standing.UNKNOWN:
            return at_hand
        elsewhere: list[Step] = [
            *(partial(self._ask, uri, of, issuer, hand, at) for uri in asked),
            *(partial(self._look, uri, of, issuer, at) for uri in listed),
        ]
        worst = at_hand
        for step in elsewhere:
            if monotonic() > deadline:
                return worst or Finding(Standing.UNKNOWN, "there was no time left to ask")
            finding = step()
            if finding is not None and finding.standing in (Standing.GOOD, Standing.REVOKED):
                return finding
            worst = worst or finding
        return worst or Finding(Standing.UNSAID, "no CRL and no OCSP responder is known")

    def _at_hand(
        self,
        of: Certificate,
        issuer: Certificate,
        hand: AtHand,
        at: float,
        stapled: Sequence[bytes],
        asked: Sequence[str],
        listed: Sequence[str],
    ) -> Finding | None:
        """What is said without asking: by what came along, is configured, or was fetched before."""
        responses = [(one, b"") for one in stapled[:MAX_RESPONSES]]
        responses += _there(self._responses.kept(_of_responder(uri, of, issuer), at) for uri in asked)
        crls = [*hand.crls, *_there(self._crls.kept(uri, at) for uri in listed)]
        findings = (
            revocation.by_ocsp(of, issuer, responses, at, hand.responders),
            revocation.by_crls(of, issuer, crls, at),
        )
        return revocation.gravest(_there(findings))

    def responses(self, own: Certificate, issuer: Certificate, hand: AtHand, at: float) -> tuple[bytes, ...]:
        """A response about a certificate of ours that is valid now, of whoever answers first; none if nobody
        does within OWN_PATIENCE, and then nobody is asked for a minute."""
        places = hand.places.get(issuer.der, Places())
        deadline = monotonic() + OWN_PATIENCE
        for uri in dict.fromkeys([*revocation.ocsp_uris(own), *places.ocsp_uris]):
            left = deadline - monotonic()
            if left <= 0:
                break
            with suppress(FetchError, ValueError):
                data, nonce = self._response(uri, own, issuer, hand, at, left)
                ocsp.answer(data, own, issuer, at, nonce, hand.responders)
                if len(data) <= MAX_STAPLED:
                    return (data,)
        return ()

    def _response(
        self, uri: str, of: Certificate, issuer: Certificate, hand: AtHand, at: float, seconds: float = inf
    ) -> tuple[bytes, bytes]:
        """A responder's answer with the nonce of the request, kept or fetched. Raises FetchError."""

        def fetch() -> Fetched[tuple[bytes, bytes]]:
            nonce = self._random(ocsp.NONCE)
            body = ocsp.request(of, issuer, nonce)
            data = self._fetcher.post(uri, body, OCSP_REQUEST, ocsp.MAX_RESPONSE, seconds)
            try:
                until = ocsp.answer(data, of, issuer, at, nonce, hand.responders).until
            except ValueError as error:
                raise FetchError(str(error)) from None
            return Fetched((data, nonce), until, len(data))

        return self._responses.get(_of_responder(uri, of, issuer), at, fetch)

    def _ask(self, uri: str, of: Certificate, issuer: Certificate, hand: AtHand, at: float) -> Finding | None:
        try:
            response = self._response(uri, of, issuer, hand, at)
        except FetchError as error:
            return Finding(Standing.UNKNOWN, f"OCSP by {uri[:120]!r}: {error}")
        return revocation.by_ocsp(of, issuer, [response], at, hand.responders)

    def _look(self, uri: str, of: Certificate, issuer: Certificate, at: float) -> Finding | None:
        def fetch() -> Fetched[Crl]:
            data = self._fetcher.get(uri, MAX_CRL)
            try:
                found = x509_crl.crl(data)
            except ValueError as error:
                raise FetchError(str(error)) from None
            until = at if found.next_update is None else found.next_update
            try:
                found.verify(issuer)
            except ValueError:
                until = at  # somebody on the way may have answered: it is asked for again soon
            return Fetched(found, until, len(data))

        try:
            found = self._crls.get(uri, at, fetch)
        except FetchError as error:
            return Finding(Standing.UNKNOWN, f"CRL of {uri[:120]!r}: {error}")
        finding = revocation.by_crls(of, issuer, [found], at)
        return finding or Finding(Standing.UNKNOWN, f"CRL of {uri[:120]!r}: it is for other certificates")


def _of_responder(uri: str, of: Certificate, issuer: Certificate) -> Hashable:
    return uri, issuer.key_id, of.der


def _there(several: Iterable[T | None]) -> list[T]:
    return [one for one in several if one is not None]
