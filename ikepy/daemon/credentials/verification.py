"""Whether what a peer shows proves its identity: raw key or certificate, chain, identity, revocation.

What costs least comes first. No CRL and no OCSP response is fetched before the peer has shown that it holds
the certificate's key, and a valid path to a CA of ours is found. A certificate that the peer gives by hash
and URL has to be fetched before that, and is only where `hash_and_url` permits it.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass, field, replace
from functools import partial
from math import inf
from time import monotonic

from ikepy.config.identity import Identity
from ikepy.config.model import AuthRemote
from ikepy.crypto.x509 import path as x509_path
from ikepy.crypto.x509 import path_checks, public_key
from ikepy.crypto.x509.certificate import MAX_CERTIFICATE, Certificate
from ikepy.crypto.x509.path import MAX_SENT, Path
from ikepy.crypto.x509.path_checks import Requirements
from ikepy.crypto.x509.revocation import PERMITTED, Standing
from ikepy.daemon.credentials.certificate_lookup import CertificateLookup
from ikepy.daemon.credentials.identity_match import proves
from ikepy.daemon.credentials.known import Known, parsed
from ikepy.daemon.credentials.read_certificates import ReadCertificates
from ikepy.daemon.credentials.revocation_check import RevocationCheck
from ikepy.sa.auth.credentials import (
    ChainLink,
    Doubt,
    Presented,
    Trusted,
    Untrusted,
    Verdict,
    no_doubt,
)
from ikepy.wire.constants import HashAlgorithm

HASHES = {
    "sha1": HashAlgorithm.SHA1,
    "sha256": HashAlgorithm.SHA2_256,
    "sha384": HashAlgorithm.SHA2_384,
    "sha512": HashAlgorithm.SHA2_512,
    None: HashAlgorithm.IDENTITY,
}
NOT_SHOWN = "certificate: it sends none, and none that is known here is of its identity"
HASH_AND_URL = (
    "certificate: the peer sends it by hash and URL, which is fetched only with remote.hash_and_url"
)
BUNDLE = (
    "certificate: the peer sends a bundle by hash and URL, which is never fetched; let it send single ones"
)
MOST_BY_URL = 3  # issuers that are fetched
PATIENCE_BY_URL = 4.0  # seconds within which fetches of issuers begin
PATIENCE = 12.0  # seconds within which fetches for one peer begin; each is bounded itself
MAX_WHY = 400  # characters


@dataclass(frozen=True, slots=True)
class Verification:
    """One check. `at`: now, in seconds since 1970. `doubt`: as `Credentials.verify` has it."""

    known: Known
    revocation: RevocationCheck
    lookup: CertificateLookup
    at: float
    doubt: Doubt = no_doubt
    read_before: ReadCertificates = field(default_factory=ReadCertificates)

    def verdict(self, auth: AuthRemote, identity: Identity, presented: Presented) -> Verdict:
        """Trusted, or why not. May wait for CRLs and OCSP responses, within bounds."""
        try:
            if presented.end_by_url:
                return self._by_hash_and_url(auth, identity, presented)
            if presented.certificates:
                return self._by_certificate(auth, identity, presented)
            if presented.raw_keys:
                return self._by_raw_key(auth, presented.raw_keys[0])
            if presented.bundles:
                return Untrusted(BUNDLE)
            return self._by_what_is_known(auth, identity)
        except ValueError as error:
            return Untrusted(str(error)[:MAX_WHY])

    def _by_hash_and_url(self, auth: AuthRemote, identity: Identity, presented: Presented) -> Verdict:
        if not auth.hash_and_url:
            return Untrusted(HASH_AND_URL)
        (digest, url), *others = presented.hash_and_urls
        end = self.lookup.get(digest, url, self.at)
        whole = replace(presented, certificates=(end, *presented.certificates), hash_and_urls=tuple(others))
        return self._by_certificate(auth, identity, whole)

    def _by_certificate(self, auth: AuthRemote, identity: Identity, presented: Presented) -> Verdict:
        der = presented.certificates[0]
        try:
            end = self.read_before.read(der)
        except ValueError as error:
            raise ValueError(f"certificate: {error}") from None
        if not proves(end, identity):
            raise ValueError(f'{end}: it is not of "{identity}": no alternative name and no subject says so')
        if der in auth.certs:
            return self._configured(end)
        # Where the peer's own is named, a CA that is loaded for others can't vouch for something else.
        pinned = [name for name in ("certs", "pubkeys") if getattr(auth, name)]
        if pinned and not auth.cacerts and end.public_key_info not in auth.pubkeys:
            raise ValueError(f"{end}: it is none of those in {' and '.join(pinned)}")
        return self._by_path(auth, end, presented)

    def _by_path(self, auth: AuthRemote, end: Certificate, presented: Presented) -> Verdict:
        doubt = self.doubt(end.public_key_info)
        if doubt:
            return Untrusted(f"{end}: {doubt}"[:MAX_WHY], unproven=True)
        cas = tuple(map(parsed, auth.cacerts))
        anchors = self.known.anchors.with_others(cas)
        if not anchors.cas:
            raise ValueError(f"{end}: no CA is configured or loaded that could vouch for it")
        asked = Requirements(frozenset(auth.cacerts), frozenset(auth.cert_policy))
        path = x509_path.find(end, self._sent(auth, presented), anchors, self.at, asked)
        self.read_before.keep(path.certificates[:-1])
        if auth.ca_id is not None and not any(_is_of(one, auth.ca_id) for one in path.certificates[1:]):
            raise ValueError(f'{end}: no CA of its chain is "{auth.ca_id}"')
        remark, known_until = self._check_revocation(auth, path, presented.ocsp)
        links = tuple(_link(one) for one in path.links)
        until = min(path.until, known_until)
        return Trusted(end.public_key_info, links, until, str(end), remark)

    def _sent(self, auth: AuthRemote, presented: Presented) -> list[Certificate]:
        """What may be issuers of the first certificate; those that can't be had or read can't help."""
        found = list(presented.certificates[1:MAX_SENT])
        deadline = monotonic() + PATIENCE_BY_URL
        for digest, url in presented.hash_and_urls[:MOST_BY_URL] if auth.hash_and_url else ():
            if monotonic() > deadline:
                break
            with suppress(ValueError):
                found.append(self.lookup.get(digest, url, self.at))
        return [one for one in map(self._read, found) if one is not None]

    def _read(self, der: bytes) -> Certificate | None:
        """A certificate beside the first: one that is malformed can't help, and harms nobody."""
        try:
            return self.read_before.read(der) if len(der) <= MAX_CERTIFICATE else None
        except ValueError:
            return None

    def _check_revocation(self, auth: AuthRemote, path: Path, stapled: Sequence[bytes]) -> tuple[str, float]:
        """From the anchor down. A remark on what was not to be had, and when what was had is out of date, in
        seconds since 1970; ValueError for what must be."""
        remarks: list[str] = []
        until = inf
        permitted, deadline = PERMITTED[auth.revocation], monotonic() + PATIENCE
        for depth in range(len(path.certificates) - 2, -1, -1):
            one, issuer = path.certificates[depth], path.certificates[depth + 1]
            finding = self.revocation.check(one, issuer, self.known.hand, self.at, stapled, deadline)
            if finding.standing not in permitted:
                policy = (
                    "" if finding.standing is Standing.REVOKED else f' (revocation = "{auth.revocation}")'
                )
                raise ValueError(f"{one}: {finding.text}{policy}")
            if finding.standing is Standing.UNKNOWN:
                remarks.append(f"{one}: not known whether it is revoked: {finding.text}")
            elif finding.until is not None:
                until = min(until, finding.until)
        return "; ".join(remarks)[:MAX_WHY], until

    def _configured(self, end: Certificate) -> Trusted:
        """One that the configuration names: no CA has to vouch for it."""
        try:
            path_checks.check_end(end)
            path_checks.check_validity(end, self.at)
            public_key.strength(end.public_key)
        except ValueError as error:
            raise ValueError(f"{end}: {error}") from None
        return Trusted(end.public_key_info, (), end.not_after, str(end))

    def _by_raw_key(self, auth: AuthRemote, der: bytes) -> Verdict:
        if der not in auth.pubkeys:
            raise ValueError("raw public key: it is none of those in pubkeys")
        return _raw(der)

    def _by_what_is_known(self, auth: AuthRemote, identity: Identity) -> Verdict:
        """A peer that shows nothing is expected to be known, as it may be for charon: by any of its keys, as
        they change from one to the next."""
        refused: list[Untrusted] = []
        for believe in self._expected(auth, identity):
            try:
                found = believe()
                if isinstance(found, Trusted):
                    doubt = self.doubt(found.public_key)
                    if not doubt:
                        return found
                    found = Untrusted(f"{found.name}: {doubt}"[:MAX_WHY], unproven=True)
            except ValueError as error:
                found = Untrusted(str(error)[:MAX_WHY])
            refused.append(found)
        if not refused:
            raise ValueError(NOT_SHOWN)
        return next((one for one in refused if not one.unproven), refused[0])

    def _expected(self, auth: AuthRemote, identity: Identity) -> Iterator[Callable[[], Verdict]]:
        """What decides whether the peer is believed, for each key that may be its own."""
        for der in auth.pubkeys:
            yield partial(_raw, der)
        for end in map(parsed, auth.certs):
            if proves(end, identity):
                yield partial(self._configured, end)
        if not auth.certs and not auth.pubkeys:
            for end in self.known.certificates:
                if proves(end, identity):
                    yield partial(self._by_path, auth, end, Presented())


def _raw(der: bytes) -> Trusted:
    return Trusted(der, (), None, f"raw public key {public_key.public_key(der).key_id}")


def _is_of(ca: Certificate, identity: Identity) -> bool:
    """As `proves`, where the configured identity may have wildcards."""
    if identity.is_pattern and ca.subject.rdns:
        return Identity.of_name(ca.subject).matches(identity)
    return proves(ca, identity)


def _link(link: x509_path.Link) -> ChainLink:
    return ChainLink(link.key, link.signed_by.kind, HASHES.get(link.hash), link.pss)
