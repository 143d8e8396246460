"""Certificate revocation lists made (RFC 5280 5)."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

from cryptography import x509
from cryptography.exceptions import UnsupportedAlgorithm

from ikepy.crypto.x509.certificate import MALFORMED
from ikepy.crypto.x509.encoding import is_pem
from ikepy.pki import certificates, keys, names
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

    Raises ValueError, also if that is another CA's.
    """
    certificates.check_pair(ca_key, ca)
    if last is not None:
        check_issuer(last, ca)
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


def check_issuer(found: x509.CertificateRevocationList, ca: x509.Certificate) -> None:
    """That a CA has issued a CRL, by name and signature. ValueError."""
    if found.issuer != ca.subject:
        told = names.text_of(found.issuer), certificates.subject_text(ca)
        raise ValueError('the CRL is another CA\'s: of "{}", not of "{}"'.format(*told))
    try:
        signed = found.is_signature_valid(certificates.public_key(ca))
    except UnsupportedAlgorithm:
        signed = False
    if not signed:
        raise ValueError("the CRL is not signed by the CA's key")


def check_complete(found: x509.CertificateRevocationList, now: datetime) -> None:
    """That what a CRL does not list is not revoked: it is current, and of all certificates (RFC 5280 5.2.4,
    5.2.5). ValueError."""
    if found.next_update_utc is None:
        raise ValueError("the CRL does not say until when it counts (nextUpdate)")
    if found.next_update_utc < now:
        raise ValueError("the CRL is out of date")
    for extension in found.extensions:
        match extension.value:
            case x509.DeltaCRLIndicator():
                raise ValueError("the CRL is a delta CRL: it lists what is new alone")
            case x509.IssuingDistributionPoint() as scope if _is_partial(scope):
                raise ValueError("the CRL is of some of the CA's certificates, or of some reasons alone")


def _is_partial(scope: x509.IssuingDistributionPoint) -> bool:
    some = scope.only_contains_user_certs or scope.only_contains_ca_certs or scope.only_some_reasons
    return bool(some or scope.only_contains_attribute_certs or scope.indirect_crl)


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
