"""The codec between control and the signer: a value or a MessageError, whatever the bytes."""

from __future__ import annotations

from contextlib import suppress
from typing import Any, get_args

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ikepy.daemon.signer import messages
from ikepy.daemon.signer.messages import (
    Answer,
    Done,
    Loaded,
    LoadKey,
    LoadToken,
    MessageError,
    Refused,
    Request,
    Sign,
    Signed,
    Unload,
    decode,
    encode,
)

ALL = (*get_args(Request), *get_args(Answer))
SAMPLES = [
    LoadKey(1, "private", b"", b"\0\1"),
    LoadToken(2, "/usr/lib/softhsm/libsofthsm2.so", "", "00ff", b"1234"),
    Sign(3, "ab" * 20, "ed25519", bytes(70000)),
    Unload(2**32 - 1, "ab" * 20),
    Loaded(5, "ab" * 20, b"spki", ()),
    Loaded(5, "ab" * 20, b"spki", (b"one", b"", b"three")),
    Signed(6, b"signature"),
    Done(7),
    Refused(8, "no such key: ü"),
]


@pytest.mark.parametrize("message", SAMPLES, ids=lambda one: type(one).__name__)
def test_round_trip(message: Any) -> None:
    assert decode(encode(message), *ALL) == message


@pytest.mark.parametrize("message", SAMPLES, ids=lambda one: type(one).__name__)
def test_what_is_cut_off_or_goes_on_is_refused(message: Any) -> None:
    data = encode(message)
    for wrong in (data[:-1], data + b"\0", data[:4]):
        with pytest.raises(MessageError):
            decode(wrong, *ALL)


def test_only_what_is_expected() -> None:
    with pytest.raises(MessageError, match="not expected"):
        decode(encode(Done(1)), *get_args(Request))
    with pytest.raises(MessageError, match="not expected"):
        decode(encode(Unload(1, "a")), *get_args(Answer))


def test_a_request_shows_no_secret() -> None:
    for request in (LoadKey(1, "any", b"pass", b"key"), LoadToken(2, "/module", "", "00", b"pin")):
        assert not any(word in repr(request) for word in ("pass", "b'key'", "b'pin'"))


def test_what_is_too_long() -> None:
    with pytest.raises(MessageError):
        encode(Sign(1, "", "", bytes(messages.MAX_MESSAGE)))
    with pytest.raises(MessageError):
        encode(Loaded(1, "", b"", (b"",) * messages.MAX_FIELDS))
    with pytest.raises(MessageError):
        decode(bytes(messages.MAX_MESSAGE + 1), *ALL)
    with pytest.raises(MessageError, match="key_id: 1025 octets"):
        encode(Unload(1, "a" * (messages.MAX_TEXT + 1)))
    data, text = encode(Unload(1, "a" * messages.MAX_TEXT)), messages.SIZE.pack(messages.MAX_TEXT)
    with pytest.raises(MessageError, match="too long"):
        decode(data.replace(text, messages.SIZE.pack(messages.MAX_TEXT + 1)) + b"a", *ALL)


@given(st.integers(0, 9), st.binary(max_size=200))
def test_any_bytes(number: int, rest: bytes) -> None:
    with suppress(MessageError):
        decode(bytes([number]) + rest, *ALL)


@given(st.integers(1, 8), st.lists(st.binary(max_size=20), max_size=6))
def test_fields_of_any_number(number: int, values: list[bytes]) -> None:
    data = messages.HEAD.pack(number, 1) + b"".join(messages.SIZE.pack(len(v)) + v for v in values)
    try:
        message = decode(data, *ALL)
    except MessageError:
        return
    assert encode(message) == data
