"""Certificate revocation lists made (RFC 5280 5)."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

from cryptography import x509

from ikepy.crypto.x509.certificate import MALFORMED
from ikepy.crypto.x509.encoding import is_pem
from ikepy.pki import certificates, keys
from ikepy.pki.keys import PrivateKey

LIFETIME = 15  # days, as pki's
REASONS = {
    "key-compromise": x509.ReasonFlags.key_compromise,
    "ca-compromise": x509.ReasonFlags.ca_compromise,
    "affiliation-changed": x509.ReasonFlags.affiliation_changed,
    "superseded": x509.ReasonFlags.superseded,
    "cessation-of-operation": x509.ReasonFlags.cessation_of_operation,
    "certificate-hold": x509.ReasonFlags.certificate_hold,
}


@dataclass(frozen=True, slots=True)
class Revoked:
    """A revoked certificate; `reason`: of REASONS, None: none is said; `date` None: now."""

    serial: int
    reason: str | None = None
    date: datetime | None = None


def sign(
    ca_key: PrivateKey,
    ca: x509.Certificate,
    revoked: Iterable[Revoked] = (),
    *,
    last: x509.CertificateRevocationList | None = None,
    lifetime: float = LIFETIME,
    this_update: datetime | None = None,
    next_update: datetime | None = None,
    digest: str | None = None,
    rsa_padding: str | None = None,
) -> x509.CertificateRevocationList:
    """A CRL of the CA. `last`: the one before, whose entries it takes over and after which it is numbered.

    Raises ValueError.
    """
    certificates.check_pair(ca_key, ca)
    begin, end = certificates.validity(lifetime, this_update, next_update)
    builder = (
        x509.CertificateRevocationListBuilder()
        .issuer_name(ca.subject)
        .last_update(begin)
        .next_update(end)
        .add_extension(x509.CRLNumber(_number(last) + 1), critical=False)
        .add_extension(certificates.authority_key_identifier(ca), critical=False)
    )
    listed = {one.serial_number: one for one in last or ()}
    listed |= {one.serial: _entry(one, begin) for one in revoked}
    for entry in listed.values():
        builder = builder.add_revoked_certificate(entry)
    padding = keys.rsa_padding(ca_key, rsa_padding)
    return builder.sign(ca_key, keys.digest(ca_key, digest), rsa_padding=padding)


def load(data: bytes) -> x509.CertificateRevocationList:
    """A CRL in PEM or DER. ValueError."""
    read = x509.load_pem_x509_crl if is_pem(data) else x509.load_der_x509_crl
    try:
        found = read(data)
        _ = found.issuer, found.extensions  # read when they are asked for
    except MALFORMED:
        raise ValueError("no CRL in PEM or DER") from None
    return found


def _entry(one: Revoked, now: datetime) -> x509.RevokedCertificate:
    builder = x509.RevokedCertificateBuilder().serial_number(one.serial).revocation_date(one.date or now)
    if one.reason is not None:
        builder = builder.add_extension(x509.CRLReason(REASONS[one.reason]), critical=False)
    return builder.build()


def _number(last: x509.CertificateRevocationList | None) -> int:
    if last is None:
        return 0
    try:
        return last.extensions.get_extension_for_class(x509.CRLNumber).value.crl_number
    except x509.ExtensionNotFound:
        return 0


def revoked_at(timestamp: float) -> datetime:
    """A revocation's date, from seconds since 1970."""
    return datetime(1970, 1, 1, tzinfo=UTC) + timedelta(seconds=timestamp)
