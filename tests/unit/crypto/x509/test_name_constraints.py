"""Name constraints (RFC 5280 4.2.1.10): each kind of name, permitted and excluded, over several CAs."""

from __future__ import annotations

import time
from ipaddress import ip_network

import pytest
from cryptography import x509

from ikepy.crypto.x509.certificate import certificate
from ikepy.crypto.x509.path import Anchors, find
from ikepy.pki import certificates
from ikepy.pki.certificates import Contents
from tests.pki import Entity, chain, make_key

TOP = chain().root


def name(text: str) -> x509.Name:
    kinds = {
        "C": x509.NameOID.COUNTRY_NAME,
        "O": x509.NameOID.ORGANIZATION_NAME,
        "CN": x509.NameOID.COMMON_NAME,
    }
    parts = [one.split("=") for one in text.split(",")]
    return x509.Name([x509.NameAttribute(kinds[kind], value) for kind, value in parts])


def constraints(
    permitted: list[x509.GeneralName] | None = None, excluded: list[x509.GeneralName] | None = None
) -> tuple[x509.ExtensionType, bool]:
    return x509.NameConstraints(permitted, excluded), True


def issued(by: Entity, dn: str, **contents: object) -> Entity:
    key = make_key("ecdsa")
    made = Contents(dn=dn, **contents)  # type: ignore[arg-type]
    return Entity(key, certificates.issue(key.public_key(), by.key, by.certificate, made))


def valid(end: Entity, *cas: Entity) -> bool:
    try:
        given = [certificate(one.der) for one in cas]
        find(certificate(end.der), given, Anchors([certificate(TOP.der)]), time.time())
    except ValueError as error:
        assert "name constraints" in str(error)
        return False
    return True


DNS, EMAIL, IP = x509.DNSName, x509.RFC822Name, x509.IPAddress


def network(text: str) -> x509.GeneralName:
    return IP(ip_network(text))


@pytest.mark.parametrize(
    ("subtree", "within", "outside"),
    [
        (
            DNS("example.org"),
            ["example.org", "a.example.org", "A.B.Example.ORG"],
            ["badexample.org", "a.example.com"],
        ),
        (DNS(".example.org"), ["a.example.org"], ["b.example.com"]),
        (EMAIL("example.org"), ["a@example.org", "b@EXAMPLE.org"], ["a@sub.example.org", "a@badexample.org"]),
        (EMAIL(".example.org"), ["a@sub.example.org"], ["a@example.org"]),
        (EMAIL("carol@example.org"), ["carol@example.org"], ["Carol@example.org", "dave@example.org"]),
        (network("192.0.2.0/24"), ["192.0.2.1", "192.0.2.255"], ["192.0.3.1", "2001:db8::1"]),
        (network("2001:db8::/32"), ["2001:db8::1"], ["2001:db9::1", "192.0.2.1"]),
    ],
)
def test_alternative_names(subtree: x509.GeneralName, within: list[str], outside: list[str]) -> None:
    permits = issued(TOP, "CN=permits", ca=True, further=(constraints([subtree]),))
    excludes = issued(TOP, "CN=excludes", ca=True, further=(constraints(None, [subtree]),))
    for names, inside in ((within, True), (outside, False)):
        for one in names:
            assert valid(issued(permits, "CN=end", san=(one,)), permits) is inside, one
            assert valid(issued(excludes, "CN=end", san=(one,)), excludes) is not inside, one


def test_other_kinds_of_names_are_free() -> None:
    ca = issued(TOP, "CN=ca", ca=True, further=(constraints([DNS("example.org")]),))
    assert valid(issued(ca, "CN=end", san=("a@anywhere.example", "192.0.2.1", "gw.example.org")), ca)
    assert not valid(issued(ca, "CN=end", san=("gw.example.org", "gw.example.com")), ca)


@pytest.mark.parametrize(
    ("subject", "permitted"),
    [
        ("C=CH, O=ikepy, CN=moon", True),
        ("C=ch, O=IKEPY, CN=moon", True),
        ("C=CH, CN=moon", False),
        ("C=CH", False),
    ],
)
def test_subjects(subject: str, permitted: bool) -> None:
    ca = issued(TOP, "CN=ca", ca=True, further=(constraints([x509.DirectoryName(name("C=CH,O=ikepy"))]),))
    assert valid(issued(ca, subject), ca) is permitted


def test_an_address_in_the_subject_counts_without_alternative_names() -> None:
    ca = issued(TOP, "CN=ca", ca=True, further=(constraints([EMAIL("example.org")]),))
    assert valid(issued(ca, "CN=x, E=a@example.org"), ca)
    assert not valid(issued(ca, "CN=x, E=a@example.com"), ca)


def test_what_two_cas_permit_is_what_both_do() -> None:
    upper = issued(TOP, "CN=upper", ca=True, further=(constraints([DNS("example.org")]),))
    lower = issued(
        upper, "CN=lower", ca=True, further=(constraints([DNS("a.example.org"), DNS("b.example")]),)
    )
    assert valid(issued(lower, "CN=end", san=("x.a.example.org",)), lower, upper)
    assert not valid(issued(lower, "CN=end", san=("x.example.org",)), lower, upper)
    assert not valid(issued(lower, "CN=end", san=("b.example",)), lower, upper)


def test_kinds_that_are_not_known() -> None:
    """Where a certificate has such a name, nobody can say that it is permitted."""
    other = x509.RegisteredID(x509.ObjectIdentifier("1.2.3"))
    ca = issued(TOP, "CN=ca", ca=True, further=(constraints([other]),))
    assert valid(issued(ca, "CN=end", san=("gw.example.org",)), ca)
    names = x509.SubjectAlternativeName([other]), False
    assert not valid(issued(ca, "CN=end", further=(names,)), ca)
