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
        ("C=CH, O=strongSwan, CN=x", "distinguished names are not supported"),
        ("asn1dn:x", "distinguished names are not supported"),
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
    "text", ["192.0.2.1", "2001:db8::1", "gwa", "user@example.org", "@#00ff", "*.example.org", "no:address"]
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
    ],
)
def test_matching(identity: str, pattern: str, matches: bool) -> None:
    assert parsed(identity).matches(Identity.parse(pattern)) is matches


def test_only_text_can_be_a_pattern() -> None:
    assert parsed("*.example.org").is_pattern
    assert not parsed("gw.example.org").is_pattern
    assert not parsed("keyid:*x").is_pattern


def test_of_address() -> None:
    assert Identity.of_address(ip_address("192.0.2.1")) == Identity.parse("192.0.2.1")
    assert Identity.of_address(ip_address("fd00::1")) == Identity.parse("fd00::1")
