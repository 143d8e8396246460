"""Certificates for EAP-TLS in scripted networks: a store that believes what one CA has issued."""

from __future__ import annotations

from collections.abc import Callable, Collection
from dataclasses import dataclass, field

from ikepy.config.identity import Identity
from ikepy.config.model import AuthLocal, AuthRemote
from ikepy.crypto.schemes import Scheme
from ikepy.crypto.secret import Secret
from ikepy.sa.auth.credentials import (
    Doubt,
    OwnCredential,
    Presented,
    Trusted,
    Untrusted,
    Verdict,
    no_doubt,
)
from tests import pki


@dataclass
class Store:
    """Has the certificate of `own`, and believes those of `known`, by identity. `asked`: what it verified."""

    own_entity: pki.Entity
    known: dict[str, pki.Entity]
    may_leave: bool = True
    until: float | None = None
    asked: list[str] = field(default_factory=list)

    def own(
        self, auth: AuthLocal, local_id: Identity | None, asked: Collection[bytes]
    ) -> OwnCredential | None:
        own = self.own_entity
        return OwnCredential(own.key_id, own.spki, own.chain, "certificate of a test")

    def cas(self, auth: AuthRemote) -> tuple[bytes, ...]:
        return ()

    def responders(self) -> tuple[bytes, ...]:
        return ()

    def sign(self, key_id: str, scheme: Scheme, octets: bytes) -> Callable[[], bytes]:
        raise NotImplementedError

    def private_key(self, key_id: str) -> Secret | None:
        return Secret(self.own_entity.pkcs8) if self.may_leave else None

    def verify(
        self, auth: AuthRemote, identity: Identity, presented: Presented, doubt: Doubt = no_doubt
    ) -> Callable[[], Verdict]:
        def job() -> Verdict:
            self.asked.append(str(identity))
            entity = self.known.get(str(identity))
            if entity is None or presented.certificates[0] != entity.der:
                return Untrusted(f"certificate: it is not of {identity}")
            return Trusted(entity.spki, (), self.until, "certificate of a test")

        return job
