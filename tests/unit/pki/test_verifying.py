"""Whether `ikepy pki verify` says what the daemon would."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes

from ikepy.pki import certificates, crl, verifying
from tests.pki import chain

PKI = chain()
CAS = (PKI.root.der, PKI.ca.der)
OF_ROOT = PKI.crl(root=True)


def listing(
    *further: x509.ExtensionType, days: tuple[float, float] = (-1, 9), revoked: bool = False
) -> bytes:
    """A list of the intermediate CA. `days`: from when to when, from now on; `revoked`: whether moon is."""
    now = datetime.now(UTC)
    builder = x509.CertificateRevocationListBuilder().issuer_name(PKI.ca.certificate.subject)
    builder = builder.last_update(now + timedelta(days=days[0])).next_update(now + timedelta(days=days[1]))
    for one in further:
        builder = builder.add_extension(one, critical=True)
    if revoked:
        entry = x509.RevokedCertificateBuilder().serial_number(PKI.moon.certificate.serial_number)
        builder = builder.add_revoked_certificate(entry.revocation_date(now).build())
    return certificates.encode(builder.sign(PKI.ca.key, hashes.SHA256()), "der")


def verified(*crls: bytes, leaf: bytes = PKI.moon.der) -> list[str]:
    return verifying.verify(leaf, CAS, [*crls, OF_ROOT])


@pytest.mark.parametrize("stale", [False, True])
def test_of_several_lists_the_newest(stale: bool) -> None:
    """In whatever order they are given; one that is out of date can still revoke."""
    old, new = listing(days=(-5, 5)), listing(days=(-2, -1) if stale else (-2, 2), revoked=True)
    for order in ((old, new), (new, old)):
        with pytest.raises(ValueError, match=r'CN=moon" was revoked \(unspecified'):
            verified(*order)
    assert len(verified(new, listing())) == 3


def test_lists_that_do_not_cover_it() -> None:
    of_cas = x509.IssuingDistributionPoint(None, None, False, True, None, False, False)
    for given in ((), (listing(of_cas),)):
        with pytest.raises(ValueError, match=r'not revoked: none of ".*ecdsa CA" that is given covers it'):
            verified(*given)
    with pytest.raises(ValueError, match=r'no CRL says that ".*moon" is not revoked: the CRL is out of date'):
        verified(listing(days=(-2, -1)))


def test_the_certificate_of_a_ca() -> None:
    assert verified(leaf=PKI.ca.der) == [PKI.ca.dn, PKI.root.dn]
    revoked = crl.Revoked(PKI.ca.certificate.serial_number)
    signed = crl.sign(PKI.root.key, PKI.root.certificate, [revoked])
    with pytest.raises(ValueError, match="was revoked"):
        verifying.verify(PKI.ca.der, CAS, [certificates.encode(signed, "der")])
