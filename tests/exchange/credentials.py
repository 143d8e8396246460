"""Certificates and keys in memory: who has a certificate of an accepted CA for an identity is believed."""

from __future__ import annotations

import time
from collections.abc import Callable, Collection
from dataclasses import dataclass, field

from ikepy.config.model import AuthLocal, AuthRemote, Identity
from ikepy.crypto import signatures
from ikepy.crypto.schemes import KeyFacts, KeyKind, Scheme
from ikepy.crypto.secret import Secret
from ikepy.crypto.x509 import path
from ikepy.crypto.x509.certificate import Certificate, certificate
from ikepy.crypto.x509.path import Anchors
from ikepy.daemon.credentials.identity_match import proves
from ikepy.sa.auth.credentials import (
    ChainLink,
    Doubt,
    OwnCredential,
    Presented,
    Trusted,
    Untrusted,
    Verdict,
    no_doubt,
)
from ikepy.wire.constants import HashAlgorithm
from tests.pki import Entity

HASHES = {
    "sha256": HashAlgorithm.SHA2_256,
    "sha384": HashAlgorithm.SHA2_384,
    "sha512": HashAlgorithm.SHA2_512,
    "sha1": HashAlgorithm.SHA1,
}


@dataclass
class Memory:
    """`entity`: ours; `cas`: DER; `raw`: the peer's raw keys by its identity; `bare`: we show a raw key.
    `asked`: what the peer's CERTREQ named when `own` was called; `verified`: what was shown to us."""

    entity: Entity | None = None
    cas_known: tuple[bytes, ...] = ()
    raw: dict[str, bytes] = field(default_factory=dict)
    bare: bool = False
    asked: list[frozenset[bytes]] = field(default_factory=list)
    shown: list[Presented] = field(default_factory=list)
    signed: list[Scheme] = field(default_factory=list)

    def own(
        self, auth: AuthLocal, local_id: Identity | None, asked: Collection[bytes]
    ) -> OwnCredential | None:
        self.asked.append(frozenset(asked))
        if self.entity is None:
            return None
        chain = () if self.bare else self.entity.chain
        return OwnCredential(self.entity.key_id, self.entity.spki, chain, f"key {self.entity.dn}")

    def cas(self, auth: AuthRemote) -> tuple[bytes, ...]:
        return tuple(bytes.fromhex(certificate(one).key_id or "") for one in self.cas_known)

    def responders(self) -> tuple[bytes, ...]:
        return ()

    def sign(self, key_id: str, scheme: Scheme, octets: bytes) -> Callable[[], bytes]:
        entity = self.entity
        assert entity is not None
        assert key_id == entity.key_id
        self.signed.append(scheme)
        return lambda: signatures.sign(entity.key, scheme, octets)

    def private_key(self, key_id: str) -> Secret | None:
        return None

    def verify(
        self, auth: AuthRemote, identity: Identity, presented: Presented, doubt: Doubt = no_doubt
    ) -> Callable[[], Verdict]:
        self.shown.append(presented)
        return lambda: self._verify(identity, presented)

    def _verify(self, identity: Identity, presented: Presented) -> Verdict:
        raw = self.raw.get(str(identity))
        if raw is not None:
            return Trusted(raw, (), None, f"raw key of {identity}")
        if not presented.certificates:
            return Untrusted("certificate: it sent none")
        try:
            sent = [certificate(one) for one in presented.certificates]
            anchors = Anchors([certificate(one) for one in self.cas_known])
            found = path.find(sent[0], sent[1:], anchors, time.time())
        except ValueError as error:
            return Untrusted(f"certificate: {error}")
        if not proves(sent[0], identity):
            return Untrusted(f"certificate: {identity} is not in it")
        chain = tuple(_link(one) for one in found.links)
        return Trusted(sent[0].public_key_info, chain, found.until, f"certificate {_name(sent[0])}")


@dataclass(frozen=True)
class KeyOf:
    """Has the private key of an entity, for the daemon's own store."""

    of: Entity
    certificates: tuple[bytes, ...] = ()

    def has(self, key_id: str) -> bool:
        return key_id == self.of.key_id

    def job(self, key_id: str, scheme: Scheme, octets: bytes) -> Callable[[], bytes]:
        return lambda: signatures.sign(self.of.key, scheme, octets)

    def private_key(self, key_id: str) -> Secret | None:
        return None


def _name(of: Certificate) -> str:
    return str(of.subject)


def _link(link: path.Link) -> ChainLink:
    key = KeyFacts(KeyKind(link.key.kind), link.key.bits)
    hashed = None if link.hash is None else HASHES.get(link.hash)
    return ChainLink(key, KeyKind(link.signed_by.kind), hashed, link.pss)
