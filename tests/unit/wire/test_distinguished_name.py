"""Names in DER and as text; `cryptography` is the oracle for the encoding."""

import contextlib

import pytest
from cryptography import x509
from cryptography.x509.oid import NameOID
from hypothesis import given
from hypothesis import strategies as st

from ikepy.errors import WireError
from ikepy.wire import der, distinguished_name
from ikepy.wire.der import Tag
from ikepy.wire.distinguished_name import Attribute, DistinguishedName

TYPES = {
    "C": NameOID.COUNTRY_NAME,
    "O": NameOID.ORGANIZATION_NAME,
    "CN": NameOID.COMMON_NAME,
    "E": NameOID.EMAIL_ADDRESS,
    "DC": NameOID.DOMAIN_COMPONENT,
    "UID": NameOID.USER_ID,
}


@given(
    parts=st.lists(
        st.tuples(
            st.sampled_from(["O", "CN", "UID"]),
            # at most 64 octets: the library takes no longer names
            st.text(st.characters(exclude_categories=["Cs"]), min_size=1, max_size=16),
        ),
        min_size=1,
        max_size=5,
    )
)
def test_reads_and_prints_what_a_library_encodes(parts: list[tuple[str, str]]) -> None:
    encoded = x509.Name([x509.NameAttribute(TYPES[kind], text) for kind, text in parts]).public_bytes()
    name = distinguished_name.decode(encoded)
    assert [(rdn[0].oid, rdn[0].text) for rdn in name.rdns] == [
        (TYPES[kind].dotted_string, text) for kind, text in parts
    ]
    assert name.encode() == encoded
    assert str(name).isprintable()
    assert DistinguishedName.parse(str(name)).folded == name.folded


def test_encodes_as_the_library() -> None:
    attributes = [
        x509.NameAttribute(NameOID.COUNTRY_NAME, "CH"),
        x509.NameAttribute(NameOID.ORGANIZATION_NAME, "Żółw"),
        x509.NameAttribute(NameOID.EMAIL_ADDRESS, "a@example.org"),
    ]
    assert DistinguishedName.parse("C=CH, O=Żółw, E=a@example.org").encode() == (
        x509.Name(attributes).public_bytes()
    )


@given(data=st.binary(max_size=80))
def test_bytes_are_a_name_or_an_error(data: bytes) -> None:
    for one in (data, der.encode(Tag.SEQUENCE, der.encode(Tag.SET, der.encode(Tag.SEQUENCE, data)))):
        with contextlib.suppress(WireError):
            assert str(distinguished_name.decode(one)).isprintable()


@pytest.mark.parametrize(
    "digits",
    [
        "",
        "3080",  # indefinite length
        "308102" + "0000",  # not minimal
        "3002",  # cut off
        "300000",  # bytes left
        "3002" + "3100",  # an empty set
        "3006" + "3104" + "30020500",
        "300c310a3008" + "06032a8081" + "0c0141",
        "300b31093007" + "0602ffff" + "0c0141",
    ],
)
def test_malformed(digits: str) -> None:
    with pytest.raises(WireError):
        distinguished_name.decode(bytes.fromhex(digits))


def test_many_parts() -> None:
    part = der.encode(
        Tag.SET, der.encode(Tag.SEQUENCE, der.encode_oid("2.5.4.3"), der.encode(Tag.UTF8, b"a"))
    )
    assert len(distinguished_name.decode(der.encode(Tag.SEQUENCE, part * 64)).rdns) == 64
    with pytest.raises(WireError, match="more than 64"):
        distinguished_name.decode(der.encode(Tag.SEQUENCE, part * 65))
    with pytest.raises(ValueError, match="at most 64"):
        DistinguishedName.parse(", ".join(["CN=a"] * 65))


def test_many_attributes_and_octets() -> None:
    """A name of a stranger's takes little memory, however many are remembered."""
    one = der.encode(Tag.SEQUENCE, der.encode_oid("2.5.4.3"), der.encode(Tag.UTF8, b"a"))
    name = der.encode(Tag.SEQUENCE, *[der.encode(Tag.SET, one * 5)] * 13)
    for _ in range(2):
        with pytest.raises(WireError, match="64 attributes"):
            distinguished_name.decode(name)
    long = der.encode(Tag.SEQUENCE, der.encode_oid("2.5.4.3"), der.encode(Tag.UTF8, b"a" * 4096))
    with pytest.raises(WireError, match="4096 octets"):
        distinguished_name.decode(der.encode(Tag.SEQUENCE, der.encode(Tag.SET, long)))


def test_types_that_are_read_can_be_written() -> None:
    oid = der.encode(Tag.OID, b"\x7f" * der.MAX_OID)
    name = der.encode(
        Tag.SEQUENCE, der.encode(Tag.SET, der.encode(Tag.SEQUENCE, oid, der.encode(Tag.UTF8, b"a")))
    )
    assert distinguished_name.decode(name).encode() == name


@pytest.mark.parametrize(
    ("tag", "content", "text"),
    [
        (Tag.BMP, "moon".encode("utf-16-be"), "CN=moon"),
        (Tag.T61, b"m\xf6n", "CN=mön"),
        (Tag.UTF8, b"\xff", "CN=#0c01ff"),
        (Tag.OCTET_STRING, b"a", "CN=#040161"),
        (Tag.UTF8, b"a\nb", r"CN=a\0ab"),
    ],
)
def test_string_types(tag: int, content: bytes, text: str) -> None:
    assert str(Attribute("2.5.4.3", tag, content)) == text
