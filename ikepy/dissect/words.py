"""Identities, certificates and vendor IDs in words. No function raises."""

from __future__ import annotations

from datetime import UTC, datetime
from ipaddress import ip_address

from ikepy.crypto.x509 import certificate as x509
from ikepy.dissect import names
from ikepy.dissect.tree import hexadecimal, quoted, text
from ikepy.dissect.vendor_ids import owner
from ikepy.errors import WireError
from ikepy.wire import distinguished_name
from ikepy.wire.constants import CertEncoding, IdType
from ikepy.wire.payloads import CertPayload

_SIZES: dict[int, int] = {IdType.IPV4_ADDR: 4, IdType.IPV6_ADDR: 16}
_TEXTS = frozenset({IdType.FQDN, IdType.RFC822_ADDR})
_HASHED = (CertEncoding.HASH_AND_URL_X509, CertEncoding.HASH_AND_URL_BUNDLE)
_HASH = 20  # octets, in front of a URL (RFC 7296 3.6)


def identity(type: int, data: bytes) -> str:
    """What an ID payload of this type says."""
    if len(data) == _SIZES.get(type, -1):
        return str(ip_address(data))
    if type in _TEXTS:
        return text(data)
    if type == IdType.DER_ASN1_DN:
        try:
            return quoted(str(distinguished_name.decode(data)))
        except WireError:
            return f"no distinguished name: {hexadecimal(data)}"
    if type == IdType.KEY_ID and data and all(32 <= octet < 127 for octet in data):
        return text(data)
    return hexadecimal(data)


def certificate(encoding: int, data: bytes) -> str:
    """Subject, issuer and validity of an X.509 certificate; of others what can be told."""
    if encoding in _HASHED and len(data) > _HASH:
        return f"hash {data[:_HASH].hex()}, {text(data[_HASH:])}"
    if encoding != CertEncoding.X509_SIGNATURE:
        return f"{len(data)} octets"
    try:
        found = x509.certificate(data)
        subject, issuer = quoted(str(found.subject)), quoted(str(found.issuer))
    except (ValueError, WireError):
        return f"no X.509 certificate, {len(data)} octets"
    return f"{subject}, issued by {issuer}, valid from {_day(found.not_before)} to {_day(found.not_after)}"


def public_key(cert: CertPayload) -> bytes:
    """The SubjectPublicKeyInfo of a certificate, or a raw one. ValueError if there is none."""
    if cert.encoding == CertEncoding.RAW_PUBLIC_KEY:
        return cert.data
    if cert.encoding != CertEncoding.X509_SIGNATURE:
        raise ValueError("no certificate")
    return x509.certificate(cert.data).public_key_info


def _day(seconds: float) -> str:
    return datetime.fromtimestamp(seconds, UTC).date().isoformat()


def vendor(data: bytes) -> str:
    """Whose vendor ID it is, where that is known, or where it is text."""
    is_text = len(data) >= 4 and all(32 <= octet < 127 for octet in data)
    shown, known = text(data) if is_text else hexadecimal(data), owner(data)
    return f"{known}: {shown}" if known else shown


def hash_algorithms(data: bytes) -> str:
    """The content of SIGNATURE_HASH_ALGORITHMS (RFC 7427 4)."""
    numbers = [int.from_bytes(data[at : at + 2], "big") for at in range(0, len(data) - 1, 2)]
    return ", ".join(names.named(names.HASHES, number) for number in numbers[:16])
