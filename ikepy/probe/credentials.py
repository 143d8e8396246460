"""Our certificate with its private key, and the peer's CA (RFC 7296 3.6 to 3.8, RFC 7427)."""

from __future__ import annotations

from dataclasses import dataclass, field
from hashlib import sha1
from pathlib import Path

from ikepy.crypto import private_keys, signatures
from ikepy.crypto.private_keys import LoadedKey
from ikepy.crypto.x509.certificate import Certificate, certificate
from ikepy.sa.auth.announced import Announced
from ikepy.sa.auth.signed_auth import HASHES, Way, Wrong, auth_payload, check, choose
from ikepy.wire.constants import CertEncoding, NotifyType
from ikepy.wire.payloads import AuthPayload, CertPayload, CertReqPayload, NotifyPayload

# What we verify: SHA2-256, 384, 512, and none beside Ed25519 (RFC 7427 4, RFC 8420 2).
HASHES_NOTIFY = NotifyPayload(
    NotifyType.SIGNATURE_HASH_ALGORITHMS, b"".join(int(one).to_bytes(2) for one in HASHES)
)


@dataclass(frozen=True, slots=True)
class Credentials:
    """`own`: our certificate; `ca`: the CA's, which has issued it and the peer's. All in DER."""

    own: bytes
    key: LoadedKey = field(repr=False)
    ca: bytes

    @property
    def cert_payload(self) -> CertPayload:
        return CertPayload(CertEncoding.X509_SIGNATURE, self.own)

    @property
    def request_payload(self) -> CertReqPayload:
        """CERTREQ that names the CA (RFC 7296 3.7)."""
        name = sha1(certificate(self.ca).public_key_info, usedforsecurity=False).digest()
        return CertReqPayload(CertEncoding.X509_SIGNATURE, name)

    def sign(self, octets: bytes, peer: Announced) -> AuthPayload:
        """AUTH by our key, as the peer has announced that it verifies. ValueError if there is no way."""
        facts = signatures.facts(self.key.public_key)
        way = choose(facts, peer, (), experimental=False)
        if not isinstance(way, Way):
            raise ValueError(way)
        return auth_payload(way, facts, signatures.sign(self.key.key, way.scheme, octets))

    def verify(self, auth: AuthPayload, shown: bytes, octets: bytes) -> str:
        """Why AUTH does not prove that the peer is whom its certificate `shown` names, or nothing."""
        try:
            theirs = certificate(shown)
            theirs.verify_signature(certificate(self.ca).public_key)
            found = check(auth, theirs.public_key_info, octets, (), experimental=False)
        except ValueError as error:
            return str(error)
        return found.why if isinstance(found, Wrong) else ""


def read(own: Path, key: Path, ca: Path) -> Credentials:
    """Of files in PEM or DER. ValueError names the file that is wrong; OSError."""
    found = Credentials(_certificate(own).der, _key(key), _certificate(ca).der)
    if found.key.public_key != certificate(found.own).public_key_info:
        raise ValueError(f"{key}: is not the key of {own}")
    return found


def _certificate(file: Path) -> Certificate:
    try:
        return certificate(file.read_bytes())
    except ValueError as error:
        raise ValueError(f"{file}: {error}") from None


def _key(file: Path) -> LoadedKey:
    try:
        return private_keys.load(file.read_bytes())
    except ValueError as error:
        raise ValueError(f"{file}: {error}") from None
