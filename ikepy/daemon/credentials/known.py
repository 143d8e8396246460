"""What is known of certificates, CAs, CRLs and public keys at one moment: a value, which jobs keep."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from functools import cached_property, lru_cache
from hashlib import sha1

from ikepy.crypto.x509.certificate import Certificate, certificate
from ikepy.crypto.x509.path import MAX_PATH, Anchors
from ikepy.crypto.x509.public_key import PublicKey
from ikepy.daemon.credentials.revocation_check import AtHand


@dataclass(frozen=True)
class Known:
    """`certificates`: of end entities, ours and peers'. `anchors`: CAs that are trusted where a connection
    names none of its own. `public_keys`: raw ones."""

    certificates: Sequence[Certificate] = ()
    anchors: Anchors = field(default_factory=lambda: Anchors(()))
    public_keys: Sequence[PublicKey] = ()
    hand: AtHand = field(default_factory=AtHand)

    @cached_property
    def key_hashes(self) -> tuple[bytes, ...]:
        """Those of the anchors."""
        return tuple(dict.fromkeys(filter(None, map(key_hash, self.anchors.cas))))


NOTHING = Known()


@lru_cache(maxsize=4096)
def parsed(der: bytes) -> Certificate:
    """A certificate that was read before, when the configuration was."""
    return certificate(der)


def key_hash(ca: Certificate) -> bytes | None:
    """SHA-1 of a CA's SubjectPublicKeyInfo, as CERTREQ has it (RFC 7296 3.7); None for an unknown kind."""
    try:
        return sha1(ca.public_key_info, usedforsecurity=False).digest()
    except ValueError:
        return None


def issuers(of: Certificate, cas: Anchors) -> Iterator[Certificate]:
    """The CAs above a certificate of ours, as far as they are known, the root among them."""
    seen = {of}
    for _ in range(MAX_PATH):
        issuer = next((one for one in cas.named(of.issuer.folded) if _signed(of, one)), None)
        if issuer is None or issuer in seen:
            return
        yield issuer
        seen.add(issuer)
        of = issuer


def _signed(of: Certificate, issuer: Certificate) -> bool:
    try:
        of.verify_signature(issuer.public_key)
    except ValueError:
        return False
    return True
