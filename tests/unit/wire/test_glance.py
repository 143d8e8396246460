"""The glance at an IKE_SA_INIT sees what decoding it sees."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ikepy.errors import WireError
from ikepy.wire.constants import ExchangeType, HeaderFlag, NotifyType, PayloadType
from ikepy.wire.glance import is_protected, look
from ikepy.wire.message import IkeHeader, encode_message
from ikepy.wire.payloads import KePayload, NoncePayload, NotifyPayload, Payload

HEADER = IkeHeader(b"\1" * 8, bytes(8), ExchangeType.IKE_SA_INIT, HeaderFlag.INITIATOR, 0)
KE = KePayload(31, bytes(32))


@given(st.binary(min_size=1, max_size=64), st.binary(min_size=16, max_size=256), st.integers(0, 5))
def test_cookie_and_nonce(cookie: bytes, nonce: bytes, before: int) -> None:
    payloads: list[Payload] = [NotifyPayload(NotifyType.COOKIE, cookie), *[KE] * before, NoncePayload(nonce)]
    group = 31 if before else 0
    assert look(encode_message(HEADER, payloads)) == (cookie, nonce, group)
    assert look(encode_message(HEADER, payloads[1:])) == (b"", nonce, group)


def test_the_group_is_found_behind_the_nonce_too() -> None:
    payloads: list[Payload] = [NoncePayload(bytes(16)), NotifyPayload(NotifyType.COOKIE, b"late"), KE]
    assert look(encode_message(HEADER, payloads)) == (b"late", bytes(16), 31)


def test_no_nonce() -> None:
    assert look(encode_message(HEADER, [KE])) == (b"", b"", 31)


def test_other_notifies_are_no_cookies() -> None:
    payloads: list[Payload] = [NotifyPayload(NotifyType.INITIAL_CONTACT), NoncePayload(bytes(16))]
    assert look(encode_message(HEADER, payloads)).cookie == b""


@given(st.binary(min_size=28, max_size=200))
def test_any_bytes(data: bytes) -> None:
    try:
        seen = look(data)
    except WireError:
        return
    assert len(seen.nonce) in range(257)


@pytest.mark.parametrize("cut", range(1, 60))
def test_cut_off(cut: int) -> None:
    data = encode_message(HEADER, [KE, NoncePayload(bytes(32))])
    with pytest.raises(WireError):
        look(data[:-cut])


def in_front(size: int, last: int) -> bytes:
    """A message with an unknown payload of so many octets, then one of the kind `last`."""
    unknown = bytes((last, 0)) + size.to_bytes(2, "big") + bytes(size - 4)
    header = bytes(16) + bytes((200, 0x20, ExchangeType.CREATE_CHILD_SA, HeaderFlag.INITIATOR)) + bytes(8)
    return header + unknown + bytes((0, 0, 4, 0)) + bytes(1020)


@pytest.mark.parametrize("last", [PayloadType.SK, PayloadType.SKF])
def test_the_protected_part_may_follow_a_little_that_is_ignored(last: int) -> None:
    assert is_protected(in_front(8, last), 128)
    assert is_protected(in_front(99, last), 128)
    assert not is_protected(in_front(100, last), 128)
    assert not is_protected(in_front(600, last), 128)
    assert not is_protected(in_front(8, PayloadType.NOTIFY), 128)
    assert not is_protected(in_front(8, PayloadType.NONE), 128)


@given(st.binary(min_size=28, max_size=300))
def test_any_bytes_are_told(data: bytes) -> None:
    assert is_protected(data, 128) in (False, True)
