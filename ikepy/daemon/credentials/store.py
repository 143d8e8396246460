"""The daemon's certificates, CAs and keys, as the IKE machine asks for them (`ikepy.sa.auth.credentials`).

What is known is one value, which a reload or a command replaces: jobs under way go on with the old one, and
established SAs notice nothing.
"""

from __future__ import annotations

import contextlib
import os
import time
from collections.abc import Callable, Collection, Iterable, Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Protocol

from ikepy.config.identity import Identity
from ikepy.config.model import AuthLocal, AuthRemote
from ikepy.crypto.schemes import Scheme
from ikepy.crypto.secret import Secret
from ikepy.crypto.x509.certificate import Certificate
from ikepy.crypto.x509.public_key import PublicKey, public_key
from ikepy.daemon.credentials.certificate_lookup import CertificateLookup
from ikepy.daemon.credentials.fetcher import Fetcher
from ikepy.daemon.credentials.identity_match import proves
from ikepy.daemon.credentials.known import NOTHING, Known, issuers, key_hash, parsed
from ikepy.daemon.credentials.read_certificates import ReadCertificates
from ikepy.daemon.credentials.revocation_check import RevocationCheck
from ikepy.daemon.credentials.verification import Verification
from ikepy.errors import LocalMisuse
from ikepy.sa.auth.credentials import Doubt, OwnCredential, Presented, Verdict, no_doubt, no_responses

Responses = Callable[[], tuple[bytes, ...]]
MAX_REQUESTED = 250  # CAs that a CERTREQ names: 5,000 octets


class Keys(Protocol):
    """Whoever has the private keys."""

    @property
    def certificates(self) -> tuple[bytes, ...]:
        """What came with them; DER."""
        ...

    def has(self, key_id: str) -> bool:
        """Whether there is one: SHA-1 of the public key's bits, in hex digits."""
        ...

    def job(self, key_id: str, scheme: Scheme, octets: bytes) -> Callable[[], bytes]:
        """A job that signs, as `Credentials.sign` has it."""
        ...

    def private_key(self, key_id: str) -> Secret | None:
        """As `Credentials.private_key`."""
        ...


class NoKeys:
    """Whoever has none."""

    certificates = ()

    def has(self, key_id: str) -> bool:
        return False

    def job(self, key_id: str, scheme: Scheme, octets: bytes) -> Callable[[], bytes]:
        raise LocalMisuse("a signature, of no key")

    def private_key(self, key_id: str) -> Secret | None:
        return None


class Store:
    """`known`, `keys`: may be replaced at any time. `now`: seconds since 1970."""

    def __init__(
        self,
        revocation: RevocationCheck | None = None,
        keys: Keys | None = None,
        now: Callable[[], float] = time.time,
        lookup: CertificateLookup | None = None,
    ) -> None:
        self.known: Known = NOTHING
        self.keys: Keys = keys or NoKeys()
        self.revocation = revocation or RevocationCheck(Fetcher(), os.urandom)
        self._lookup = lookup or CertificateLookup()
        self._read_before = ReadCertificates()
        self._now = now

    def forget_fetched(self) -> None:
        """CRLs, OCSP responses and certificates that were fetched."""
        self.revocation.clear()
        self._lookup.clear()

    def own(
        self, auth: AuthLocal, local_id: Identity | None, asked: Collection[bytes]
    ) -> OwnCredential | None:
        """As `Credentials.own`: of several the first that a CA the peer trusts has issued."""
        found = [_Candidate(one, self._above(auth, one)) for one in self._certificates(auth, local_id)]
        fitting = next((one for one in found if one.is_of(asked)), found[0] if found else None)
        if fitting is not None:
            return fitting.credential(self._stapled(fitting))
        for key in self._public_keys(auth, local_id):
            return OwnCredential(key.key_id, key.der, (), f"raw public key {key.key_id}")
        return None

    def cas(self, auth: AuthRemote) -> tuple[bytes, ...]:
        """As `Credentials.cas`."""
        if not auth.cacerts:
            return self.known.key_hashes[:MAX_REQUESTED]
        return tuple(filter(None, map(key_hash, map(parsed, auth.cacerts))))[:MAX_REQUESTED]

    def responders(self) -> tuple[bytes, ...]:
        """As `Credentials.responders`."""
        return tuple(filter(None, map(key_hash, self.known.hand.responders)))

    def sign(self, key_id: str, scheme: Scheme, octets: bytes) -> Callable[[], bytes]:
        """As `Credentials.sign`."""
        return self.keys.job(key_id, scheme, octets)

    def private_key(self, key_id: str) -> Secret | None:
        """As `Credentials.private_key`."""
        return self.keys.private_key(key_id)

    def verify(
        self, auth: AuthRemote, identity: Identity, presented: Presented, doubt: Doubt = no_doubt
    ) -> Callable[[], Verdict]:
        """As `Credentials.verify`."""
        check = Verification(self.known, self.revocation, self._lookup, self._now(), doubt, self._read_before)
        return partial(check.verdict, auth, identity, presented)

    def _certificates(self, auth: AuthLocal, local_id: Identity | None) -> Iterator[Certificate]:
        """Ours whose private key is there: those that are named, or those of the identity."""
        if auth.pubkeys and not auth.certs:
            return
        named = tuple(map(parsed, auth.certs))
        for one in named or (*self.known.certificates, *self._with_keys()):
            if one.key_id is None or not self.keys.has(one.key_id):
                continue
            if local_id is None or proves(one, local_id):
                yield one

    def _with_keys(self) -> Iterator[Certificate]:
        for der in self.keys.certificates:
            with contextlib.suppress(ValueError):  # the signer does not look into them
                yield parsed(der)

    def _above(self, auth: AuthLocal, end: Certificate) -> tuple[Certificate, ...]:
        others = [one for one in (*map(parsed, auth.certs), *self._with_keys()) if one.is_ca]
        return tuple(issuers(end, self.known.anchors.with_others(others)))

    def _stapled(self, own: _Candidate) -> Responses:
        hand, at = self.known.hand, self._now()
        if not own.above:
            return no_responses
        return partial(self.revocation.responses, own.end, own.above[0], hand, at)

    def _public_keys(self, auth: AuthLocal, local_id: Identity | None) -> Iterable[PublicKey]:
        return (key for key in map(public_key, auth.pubkeys) if self.keys.has(key.key_id))


@dataclass(frozen=True, slots=True)
class _Candidate:
    """A certificate of ours and the CAs above it."""

    end: Certificate
    above: Sequence[Certificate]

    def is_of(self, asked: Collection[bytes]) -> bool:
        return any(key_hash(one) in asked for one in self.above)

    def credential(self, stapled: Responses) -> OwnCredential:
        """With the chain that the peer may need, without the root. `stapled`: gives its OCSP responses."""
        chain = [self.end, *(one for one in self.above if not one.is_self_issued)]
        assert self.end.key_id is not None
        key = self.end.public_key_info
        return OwnCredential(self.end.key_id, key, tuple(one.der for one in chain), str(self.end), stapled)
