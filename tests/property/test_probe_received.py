"""What a peer under test sends is hostile: reading it, opening it and naming it raises nothing."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from ikepy.crypto.secret import Secret
from ikepy.crypto.sk_cipher import SkCipher
from ikepy.probe.child import parse_inner
from ikepy.probe.draft import Draft, RawPayload
from ikepy.probe.received import read, unseal
from ikepy.wire.constants import Encr, ExchangeType, HeaderFlag

KEY = Secret(bytes(20))


def cipher() -> SkCipher:
    return SkCipher(Encr.AES_GCM_16, 128, None, KEY, None)


payloads = st.lists(
    st.builds(
        RawPayload,
        type=st.integers(1, 255),
        body=st.binary(max_size=60),
        critical=st.booleans(),
        reserved=st.integers(0, 127),
        length=st.none() | st.integers(0, 65535),
        following=st.none() | st.integers(0, 255),
    ),
    max_size=5,
)
drafts = st.builds(
    Draft,
    exchange=st.integers(0, 255),
    payloads=payloads.map(tuple),
    message_id=st.integers(0, 2**32 - 1),
    flags=st.integers(0, 255),
    spi_i=st.binary(min_size=8, max_size=8),
    spi_r=st.binary(min_size=8, max_size=8),
    version=st.integers(0, 255),
    sk_reserved=st.integers(0, 127),
)


@given(drafts, st.booleans())
def test_any_message_is_read(draft: Draft, sealed: bool) -> None:
    octets = draft.but(cipher=cipher()).encode() if sealed else draft.encode()
    got = read(0.0, octets, 500, 500)
    assert (got is None) == (draft.spi_i == bytes(8))
    if got is not None:
        unseal(got, cipher())
        assert str(got)
        assert [one.type for one in got.generic][:1] == ([got.first] if got.generic else [])


@given(st.binary(max_size=200))
def test_any_datagram_is_read_or_none(octets: bytes) -> None:
    got = read(0.0, octets, 500, 500)
    assert got is None or str(got)


@given(st.binary(max_size=100))
def test_any_inner_packet(octets: bytes) -> None:
    found = parse_inner(octets)
    assert found is None or str(found)


@given(st.binary(max_size=100), st.integers(0, 255))
def test_any_plaintext_is_opened(plaintext: bytes, first: int) -> None:
    flags = int(HeaderFlag.RESPONSE)
    draft = Draft(ExchangeType.INFORMATIONAL, (), 1, flags, b"a" * 8, b"b" * 8, cipher())
    got = read(0.0, draft.but(plaintext=(first, plaintext)).encode(), 500, 500)
    assert got is not None
    unseal(got, cipher())
    assert got.problem or got.payloads or not first
