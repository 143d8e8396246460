"""Identities: swanctl's notation, charon's matching."""

from ipaddress import ip_address

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ikepy.config.identity import Identity
from ikepy.wire.constants import IdType


def parsed(text: str) -> Identity:
    identity = Identity.parse(text)
    assert identity is not None
    return identity


# As charon's identification_create_from_string() has them.
@pytest.mark.parametrize(
    ("text", "id_type", "data"),
    [
        ("192.0.2.1", IdType.IPV4_ADDR, bytes([192, 0, 2, 1])),
        ("2001:db8::1", IdType.IPV6_ADDR, ip_address("2001:db8::1").packed),
        ("gwa", IdType.FQDN, b"gwa"),
        ("gw.example.org", IdType.FQDN, b"gw.example.org"),
        ("@gwa", IdType.FQDN, b"gwa"),
        ("@192.0.2.1", IdType.FQDN, b"192.0.2.1"),
        ("user@example.org", IdType.RFC822_ADDR, b"user@example.org"),
        ("@@user@example.org", IdType.RFC822_ADDR, b"user@example.org"),
        ("@#00ff10", IdType.KEY_ID, bytes([0, 255, 16])),
        ("no:address", IdType.KEY_ID, b"no:address"),
        ("fqdn:192.0.2.1", IdType.FQDN, b"192.0.2.1"),
        ("dns:x", IdType.FQDN, b"x"),
        ("email:x", IdType.RFC822_ADDR, b"x"),
        ("keyid:x", IdType.KEY_ID, b"x"),
        ("keyid:#0aff", IdType.KEY_ID, bytes([10, 255])),
        ("ipv4:#c0000201", IdType.IPV4_ADDR, bytes([192, 0, 2, 1])),
        ("{11}:x", IdType.KEY_ID, b"x"),
    ],
)
def test_notation(text: str, id_type: IdType, data: bytes) -> None:
    assert parsed(text) == Identity(id_type, data)


@pytest.mark.parametrize("text", ["%any", "", "*", "0.0.0.0", "::"])
def test_anybody(text: str) -> None:
    assert Identity.parse(text) is None


@pytest.mark.parametrize(
    ("text", "part"),
    [
        ("asn1dn:x", "no attribute of a distinguished name"),
        ("asn1dn:", "nothing behind"),
        ("some=thing", "is no attribute of a distinguished name; allowed: CN,.*keyid:"),
        ("C=CH, strongSwan", "no attribute of a distinguished name"),
        ("^gw(0$", "no regular expression"),
        ("^" + "x" * 300 + "$", "too long for a regular expression"),
        ("@#xyz", "hex digits"),
        ("keyid:#0", "hex digits"),
        ("ipv4:10.0.0.1", "hex digits"),
        ("fqdn:", "nothing behind the prefix"),
        ("{0}:x", "1..255"),
        ("{400}:x", "1..255"),
        ("a\nb", "control characters"),
        ("@", "empty"),
        ("x" * 2000, "too long"),
    ],
)
def test_mistakes(text: str, part: str) -> None:
    with pytest.raises(ValueError, match=part):
        Identity.parse(text)


@pytest.mark.parametrize(
    "text",
    [
        *("192.0.2.1", "2001:db8::1", "gwa", "user@example.org", "@#00ff", "*.example.org", "no:address"),
        *(
            "C=CH, O=strongSwan, CN=moon",
            "CN=*",
            r"O=A\, B, CN=a\00b",
            "CN=a+OU=b",
            "1.2.3=x",
            "asn1dn:^CN=.*$",
        ),
        *("^gw[0-9]$", "fqdn:^a$"),
    ],
)
def test_text_comes_back(text: str) -> None:
    assert str(parsed(text)) == text
    assert Identity.parse(str(parsed(text))) == parsed(text)


@given(id_type=st.integers(0, 255), data=st.binary(max_size=64))
def test_text_of_anything_is_printable(id_type: int, data: bytes) -> None:
    assert str(Identity(id_type, data)).isprintable()


@pytest.mark.parametrize(
    ("identity", "pattern", "matches"),
    [
        ("gwa", "gwa", True),
        ("GWA", "gwa", True),
        ("gwa", "gwb", False),
        ("gwa", "%any", True),
        ("a.example.org", "*.example.org", True),
        ("A.Example.org", "*.example.org", True),
        ("a.b.example.org", "*.example.org", True),
        ("example.org", "*.example.org", False),
        ("a.example.com", "*.example.org", False),
        ("x@example.org", "*@example.org", True),
        ("x@example.org", "*example.org", False),  # another type
        ("192.0.2.1", "@192.0.2.1", False),
        ("192.0.2.1", "192.0.2.1", True),
        ("@#6161", "@#4141", False),  # a key ID has no letters
        ("C=CH, CN=Moon", "c=ch,cn=moon", True),
        ("C=CH, CN=moon", "/C=CH/CN=moon", True),
        ("C=CH, CN=moon", "asn1dn:C=CH, CN=*", True),
        ("C=CH, CN=*", "C=CH, CN=moon", False),  # what a peer claims is no pattern
        ("C=CH, CN=moon", "CN=*", False),
        ("C=CH, CN=moon", "CN=moon, C=CH", False),
        ("C=CH, CN=moon", "CN=*, C=CH", False),
        (r"CN=moon\00.evil", "CN=moon", False),
        ("CN=moon  gate", "CN=moon gate", True),
        ("CN=\u212aelvin", "CN=kelvin", False),  # a sign that lower() would make a k
        ("OU=a+CN=b", "CN=b+OU=a", True),
        ("asn1dn:#0c00", "CN=*", False),  # malformed
        ("asn1dn:#0c00", "asn1dn:#0c00", True),
        ("gw12.example.org", r"^gw[0-9]+\.example\.org$", True),
        ("GW12.example.org", r"^gw[0-9]+\.example\.org$", True),
        ("gw12.example.org.evil", r"^gw[0-9]+\.example\.org$", False),
        ("C=CH, CN=moon", "^C=CH, CN=[a-z]+$", True),
        ("moon@example.org", "fqdn:^.*$", False),
        ("moon.example.org", "fqdn:^.*$", True),
    ],
)
def test_matching(identity: str, pattern: str, matches: bool) -> None:
    assert parsed(identity).matches(Identity.parse(pattern)) is matches


def test_only_text_can_be_a_pattern() -> None:
    assert parsed("*.example.org").is_pattern
    assert not parsed("gw.example.org").is_pattern
    assert not parsed("keyid:*x").is_pattern


def test_a_regular_expression_takes_linear_time() -> None:
    assert not Identity(IdType.FQDN, b"a" * 1024).matches(Identity.parse("^(a*)*(a|a)*b$"))


def test_what_is_too_long_for_an_identity_matches_no_regular_expression() -> None:
    pattern = Identity.parse("^a*$")
    assert Identity(IdType.FQDN, b"a" * 1024).matches(pattern)
    assert not Identity(IdType.FQDN, b"a" * 1025).matches(pattern)


@pytest.mark.parametrize(("text", "pattern"), [("C=CH, CN=*", True), ("C=CH", False), ("^a$", True)])
def test_patterns(text: str, pattern: bool) -> None:
    assert parsed(text).is_pattern is pattern


def test_the_same_names_fold_to_the_same() -> None:
    assert parsed("C=ch,CN=Moon").folded == parsed("/c=CH/cn=moon").folded
    assert parsed("CN=a, CN=b").folded != parsed("CN=b, CN=a").folded


def test_of_address() -> None:
    assert Identity.of_address(ip_address("192.0.2.1")) == Identity.parse("192.0.2.1")
    assert Identity.of_address(ip_address("fd00::1")) == Identity.parse("fd00::1")
