"""PKCS#12 containers (RFC 7292): a private key, its certificate and those of CAs, under a password."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from cryptography import x509
from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.serialization import pkcs12

from ikepy.pki import certificates, keys
from ikepy.pki.keys import PrivateKey

NAME = b"ikepy"


@dataclass(frozen=True, slots=True)
class Item:
    """A key or certificate in a container. `text`: what it is, for people."""

    text: str
    content: PrivateKey | x509.Certificate

    @property
    def private(self) -> bool:
        return not isinstance(self.content, x509.Certificate)

    def encoded(self, outform: str) -> bytes:
        """As a file of its own, without a password."""
        if isinstance(self.content, x509.Certificate):
            return certificates.encode(self.content, outform)
        return keys.private_bytes(self.content, outform)


def make(
    key: PrivateKey, certificate: x509.Certificate, others: Sequence[x509.Certificate], password: bytes
) -> bytes:
    """A container, encrypted by the password. ValueError."""
    certificates.check_pair(key, certificate)
    hidden = serialization.BestAvailableEncryption(password)
    try:
        return pkcs12.serialize_key_and_certificates(NAME, key, certificate, others, hidden)  # type: ignore[arg-type]
    except TypeError:
        raise ValueError("a private key of this type can't be in a PKCS#12 container") from None


def items(data: bytes, password: bytes) -> list[Item]:
    """What is in a container: certificates first, then the private key. ValueError."""
    try:
        found = pkcs12.load_pkcs12(data, password)
    except (ValueError, TypeError, UnsupportedAlgorithm):
        raise ValueError("no PKCS#12 container, or one of another password") from None
    several = [] if found.cert is None else [found.cert.certificate]
    several += [one.certificate for one in found.additional_certs]
    listed = [Item(f"certificate of {certificates.subject_text(one)}", one) for one in several]
    if isinstance(found.key, PrivateKey):
        listed.append(Item(f"private key, {keys.describe(found.key.public_key())}", found.key))
    return listed
