"""Which identities a certificate proves (RFC 4945 3.1), as charon takes it.

Addresses, FQDNs and e-mail addresses must be alternative names, letter for letter: no wildcard of a
certificate, never its common name. A distinguished name is its subject. A key ID is its key's.
"""

from __future__ import annotations

from ipaddress import ip_address

from ikepy.config.identity import ADDRESS_SIZE, Identity
from ikepy.crypto.x509.certificate import Certificate
from ikepy.wire.constants import IdType


def proves(certificate: Certificate, identity: Identity) -> bool:
    """Whether a certificate is of this identity, which is no pattern."""
    if identity.regular:
        return False
    if ADDRESS_SIZE.get(identity.id_type) == len(identity.data):
        return ip_address(identity.data) in certificate.names.addresses
    match identity.id_type:
        case IdType.FQDN:
            return _is_among(identity.data, certificate.names.dns)
        case IdType.RFC822_ADDR:
            return _is_among(identity.data, certificate.names.emails)
        case IdType.DER_ASN1_DN:
            name, own = identity.name, (certificate.subject, *certificate.names.directory)
            return name is not None and bool(name.rdns) and name.folded in {one.folded for one in own}
        case IdType.KEY_ID:
            return identity.data in certificate.key_ids
    return False


def _is_among(name: bytes, names: tuple[str, ...]) -> bool:
    return name.lower() in (one.encode("utf-8", "surrogatepass").lower() for one in names)
