"""Chains for tests, made by `ikepy.pki`: a root CA, an intermediate, gateways and users, CRLs.

Made once in a test run. An RSA key takes a second: ask for `chain("rsa")` only where RSA is what is tested.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from functools import cache, cached_property
from pathlib import Path

from cryptography import x509

from ikepy.pki import certificates, crl, keys
from ikepy.pki.certificates import Contents
from ikepy.pki.keys import PrivateKey

TYPES = ("rsa", "ecdsa", "ed25519")
SIZES = {"rsa": 3072, "ecdsa": 256, "brainpool": 256}
EARLIER = timedelta(
    hours=1
)  # tests judge by when their module was read: a good while before, on a slow machine
CRL_URI, OCSP_URI = "http://127.0.0.1:8880/ca.crl", "http://127.0.0.1:8880/ocsp"


@dataclass(frozen=True)
class Entity:
    """A certificate with its private key and the certificates between it and the root, its issuer first."""

    key: PrivateKey
    certificate: x509.Certificate
    between: tuple[x509.Certificate, ...] = ()

    @cached_property
    def der(self) -> bytes:
        return certificates.encode(self.certificate, "der")

    @cached_property
    def pem(self) -> bytes:
        return certificates.encode(self.certificate, "pem")

    @cached_property
    def chain(self) -> tuple[bytes, ...]:
        """In DER, as CERT payloads carry it: end entity first, without the root."""
        return (self.der, *(certificates.encode(one, "der") for one in self.between))

    @cached_property
    def pkcs8(self) -> bytes:
        """The private key, in DER."""
        return keys.private_bytes(self.key, "der")

    @cached_property
    def pkcs8_pem(self) -> bytes:
        return keys.private_bytes(self.key, "pem")

    @cached_property
    def spki(self) -> bytes:
        """The public key, as SubjectPublicKeyInfo in DER."""
        return keys.public_bytes(self.key.public_key(), "der")

    @cached_property
    def key_id(self) -> str:
        """SHA-1 of the public key's bits, in hex digits: charon's and the signer's name of the key."""
        return keys.key_ids(self.key.public_key())[0]

    @property
    def dn(self) -> str:
        """The subject, as strongSwan prints it."""
        return certificates.subject_text(self.certificate)

    def write(self, directory: Path, name: str) -> tuple[Path, Path]:
        """The certificate's and the private key's file, in PEM."""
        certificate, key = directory / f"{name}.crt", directory / f"{name}.key"
        certificate.write_bytes(self.pem)
        key.touch(0o600)
        key.write_bytes(self.pkcs8_pem)
        return certificate, key


@dataclass(frozen=True)
class Chain:
    """One PKI: `root` (CN=<type> root) issued `ca` (CN=<type> CA), which issues everybody else."""

    kind: str
    root: Entity
    ca: Entity

    @cached_property
    def moon(self) -> Entity:
        """A gateway: moon.example.org, 192.0.2.1, serverAuth and clientAuth."""
        return self.issue("moon", san=("moon.example.org", "192.0.2.1"), flags=("serverAuth", "clientAuth"))

    @cached_property
    def sun(self) -> Entity:
        """Another: sun.example.org, 192.0.2.2."""
        return self.issue("sun", san=("sun.example.org", "192.0.2.2"), flags=("serverAuth", "clientAuth"))

    @cached_property
    def carol(self) -> Entity:
        """A user: carol@example.org, clientAuth."""
        return self.issue("carol", san=("carol@example.org",), flags=("clientAuth",))

    def issue(self, common: str, *, key: PrivateKey | None = None, **contents: object) -> Entity:
        """A certificate of "C=CH, O=ikepy, CN=<common>" by the intermediate CA; a new key unless given."""
        key = key or make_key(self.kind)
        contents = {"not_before": _earlier(), **contents}
        made = Contents(dn=f"C=CH, O=ikepy, CN={common}", **contents)  # type: ignore[arg-type]
        certificate = certificates.issue(key.public_key(), self.ca.key, self.ca.certificate, made)
        return Entity(key, certificate, (self.ca.certificate,))

    def crl(
        self, *revoked: Entity, root: bool = False, lifetime: float = 15, last: bytes | None = None
    ) -> bytes:
        """A CRL of the intermediate CA, or of the root, in DER, that lists those certificates. `last`: the
        one before: charon takes one of the same number for the same CRL."""
        by = self.root if root else self.ca
        listed = [crl.Revoked(one.certificate.serial_number, "key-compromise") for one in revoked]
        before = None if last is None else x509.load_der_x509_crl(last)
        signed = crl.sign(
            by.key, by.certificate, listed, last=before, lifetime=lifetime, this_update=_earlier()
        )
        return certificates.encode(signed, "der")


def _earlier() -> datetime:
    return datetime.now(UTC).replace(microsecond=0) - EARLIER


def make_key(kind: str) -> PrivateKey:
    return keys.generate(kind, SIZES.get(kind))


@cache
def chain(kind: str = "ecdsa", name: str = "") -> Chain:
    """A PKI of keys of a type of `ikepy.pki.keys.TYPES`. Another `name` is another PKI of that type."""
    root_key, ca_key = make_key(kind), make_key(kind)
    label = f"{kind}{name and f' {name}'}"
    root = Entity(
        root_key,
        certificates.self_signed(
            root_key, Contents(dn=f"C=CH, O=ikepy, CN={label} root", ca=True, not_before=_earlier())
        ),
    )
    issued = certificates.issue(
        ca_key.public_key(),
        root_key,
        root.certificate,
        Contents(dn=f"C=CH, O=ikepy, CN={label} CA", ca=True, path_length=0, not_before=_earlier()),
    )
    return Chain(kind, root, Entity(ca_key, issued))
