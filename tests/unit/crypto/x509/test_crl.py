"""CRLs: what is revoked, and which lists say nothing."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes

from ikepy.crypto.x509 import revocation
from ikepy.crypto.x509.certificate import Certificate, certificate
from ikepy.crypto.x509.crl import Crl, crl
from ikepy.crypto.x509.revocation import Finding, Standing
from ikepy.pki import certificates
from tests.pki import Entity, chain

PKI = chain()
NOW = datetime.now(UTC).replace(microsecond=0)
URI = "http://crl.example.org/ca.crl"
CDP = PKI.issue("with-cdp", crl=(URI,))


def read(one: Entity) -> Certificate:
    return certificate(one.der)


def found(*lists: bytes, of: Entity = PKI.moon, at: float | None = None) -> Finding | None:
    now = NOW.timestamp() if at is None else at
    return revocation.by_crls(read(of), read(PKI.ca), [crl(one) for one in lists], now)


def made(
    *extensions: tuple[x509.ExtensionType, bool],
    by: Entity = PKI.ca,
    revoked: x509.RevokedCertificate | None = None,
    age: int = 0,
) -> bytes:
    builder = (
        x509.CertificateRevocationListBuilder()
        .issuer_name(by.certificate.subject)
        .last_update(NOW - timedelta(days=age))
        .next_update(NOW - timedelta(days=age) + timedelta(days=7))
    )
    for one, critical in extensions:
        builder = builder.add_extension(one, critical=critical)
    if revoked is not None:
        builder = builder.add_revoked_certificate(revoked)
    return certificates.encode(builder.sign(by.key, hashes.SHA256()), "der")


def entry(of: Entity, *extensions: tuple[x509.ExtensionType, bool]) -> x509.RevokedCertificate:
    builder = x509.RevokedCertificateBuilder().serial_number(of.certificate.serial_number)
    builder = builder.revocation_date(datetime(2026, 1, 2, 3, 4, tzinfo=UTC))
    for one, critical in extensions:
        builder = builder.add_extension(one, critical=critical)
    return builder.build()


@pytest.mark.parametrize("kind", ["ecdsa", "rsa", "ed25519", "ed448"])
def test_revoked_and_not(kind: str) -> None:
    pki = chain(kind)
    list_ = crl(pki.crl(pki.sun, pki.carol))
    for one, standing in (
        (pki.moon, Standing.GOOD),
        (pki.sun, Standing.REVOKED),
        (pki.carol, Standing.REVOKED),
    ):
        finding = revocation.by_crls(read(one), read(pki.ca), [list_], NOW.timestamp())
        assert finding is not None
        assert finding.standing is standing
    assert "keyCompromise" in str(finding)


def test_without_a_reason() -> None:
    assert found(made(revoked=entry(PKI.moon))) == Finding(
        Standing.REVOKED, "revoked (unspecified, 2026-01-02 03:04 UTC)"
    )


def test_none_of_this_ca() -> None:
    assert found() is None
    assert found(PKI.crl(root=True)) is None


def test_a_forged_one() -> None:
    other = chain("ecdsa", "other")
    forged = Entity(other.ca.key, PKI.ca.certificate)
    finding = found(made(by=forged, revoked=entry(PKI.moon)))
    assert finding == Finding(Standing.UNKNOWN, "CRL: its signature is not its issuer's")


def test_out_of_date() -> None:
    old = made(age=8, revoked=entry(PKI.sun))
    assert found(old) == Finding(Standing.UNKNOWN, "the CRL is out of date")
    stale = found(old, of=PKI.sun)
    assert stale is not None
    assert stale.standing is Standing.REVOKED
    later = found(old, made())
    assert later is not None
    assert later.standing is Standing.GOOD
    assert found(made(), at=NOW.timestamp() - 86400) == Finding(Standing.UNKNOWN, "the CRL is out of date")


def point(**scope: object) -> tuple[x509.ExtensionType, bool]:
    given: dict[str, object] = {
        "full_name": None,
        "relative_name": None,
        "only_contains_user_certs": False,
        "only_contains_ca_certs": False,
        "only_some_reasons": None,
        "indirect_crl": False,
        "only_contains_attribute_certs": False,
    }
    return x509.IssuingDistributionPoint(**{**given, **scope}), True  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("scope", "counts"),
    [
        ({"indirect_crl": True}, False),
        ({"only_some_reasons": frozenset({x509.ReasonFlags.key_compromise})}, False),
        ({"only_contains_attribute_certs": True}, False),
        ({"only_contains_ca_certs": True}, False),
        ({"only_contains_user_certs": True}, True),
        ({"full_name": [x509.UniformResourceIdentifier(URI)]}, True),
        ({"full_name": [x509.UniformResourceIdentifier("http://other.example/")]}, False),
    ],
)
def test_scopes(scope: dict[str, object], counts: bool) -> None:
    finding = found(made(point(**scope)), of=CDP)
    assert (finding is not None) is counts


def part(name: str) -> x509.RelativeDistinguishedName:
    return x509.RelativeDistinguishedName([x509.NameAttribute(x509.NameOID.COMMON_NAME, name)])


def test_a_partition_that_is_named_relative_to_the_issuer() -> None:
    """RFC 5280 6.3.3 (b) (2) (i): of others it says nothing; the whole name may stand there as well."""
    whole = x509.DirectoryName(x509.Name([*PKI.ca.certificate.subject.rdns, part("part 7")]))
    relative, full = ((None, part("part 7")), ([whole], None))
    listing = [
        made(point(full_name=names, relative_name=rdn), revoked=entry(PKI.sun))
        for names, rdn in (relative, full)
    ]
    for one in listing:
        assert found(one) is None
        assert found(one, of=CDP) is None
    for names, rdn in (relative, full):
        points = x509.CRLDistributionPoints([x509.DistributionPoint(names, rdn, None, None)]), False
        within = PKI.issue("within", further=(points,))
        for one in listing:
            finding = found(one, of=within)
            assert finding is not None and finding.standing is Standing.GOOD
        revoked = found(made(point(relative_name=part("part 7")), revoked=entry(within)), of=within)
        assert revoked is not None and revoked.standing is Standing.REVOKED


def test_which_lists_replace_one_another() -> None:
    key = x509.AuthorityKeyIdentifier(b"key", None, None), False
    users = point(only_contains_user_certs=True)
    lists = [made(), made(key), made(users), made(key, users), made(point(only_contains_ca_certs=True))]
    assert len({crl(one).series for one in lists}) == len(lists)
    assert crl(made(users, key)).series == crl(made(key, users, age=1, revoked=entry(PKI.sun))).series


def test_delta_and_unknown_critical_extensions() -> None:
    with pytest.raises(ValueError, match="delta CRL"):
        crl(made((x509.DeltaCRLIndicator(1), True)))
    unknown = x509.UnrecognizedExtension(x509.ObjectIdentifier("1.2.3.4"), b"\x05\x00")
    with pytest.raises(ValueError, match=r"critical extension 1\.2\.3\.4"):
        crl(made((unknown, True)))
    crl(made((unknown, False)))
    finding = found(made(revoked=entry(PKI.moon, (unknown, True))))
    assert finding is not None
    assert "an entry with a critical extension" in finding.text


def test_an_entry_with_the_same_extension_twice() -> None:
    oids = [x509.ObjectIdentifier(f"1.2.3.{number}") for number in (4, 5)]
    twice = entry(PKI.moon, *((x509.UnrecognizedExtension(oid, b"\x05\x00"), False) for oid in oids))
    data = made(revoked=twice).replace(b"\x06\x03\x2a\x03\x05", b"\x06\x03\x2a\x03\x04")
    with pytest.raises(ValueError, match="entries are malformed"):
        crl(data).revoked(PKI.moon.certificate.serial_number)


def test_digits_that_are_no_serial_number() -> None:
    """The serial number of one stands in an extension of another's entry."""
    number = PKI.moon.certificate.serial_number
    octets = number.to_bytes(number.bit_length() // 8 + 1, "big")
    inside = x509.UnrecognizedExtension(
        x509.ObjectIdentifier("1.2.3.4"), b"\x02" + bytes([len(octets)]) + octets
    )
    finding = found(made(revoked=entry(PKI.sun, (inside, False))))
    assert finding is not None
    assert finding.standing is Standing.GOOD


def test_a_version_that_is_none() -> None:
    data = PKI.crl()
    changed = data.replace(b"\x02\x01\x01\x30", b"\x02\x01\x09\x30", 1)
    assert changed != data
    with pytest.raises(ValueError, match="neither PEM nor DER"):
        crl(changed)


def test_pem_and_equality() -> None:
    der = PKI.crl()
    again: Crl = crl(certificates.encode(x509.load_der_x509_crl(der), "pem"))
    assert again == crl(der)
    assert str(again.issuer) == PKI.ca.dn
