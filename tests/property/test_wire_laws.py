"""What is encoded decodes to the same value, and for any bytes a parser gives a value or WireError."""

from __future__ import annotations

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from ikepy.errors import PeerError, WireError
from ikepy.wire.describe import describe
from ikepy.wire.message import (
    IkeHeader,
    Message,
    decode_header,
    decode_message,
    decode_payloads,
    encode_message,
    encode_payloads,
    protected_prefix,
)
from ikepy.wire.payloads import Payload, SkfPayload, SkPayload
from ikepy.wire.rules import check
from tests.property.wire_values import (
    CHAINS,
    ENCRYPTED,
    ENCRYPTED_PAYLOADS,
    HEADERS,
    MESSAGES,
    OCTET,
    PAYLOADS,
)

KINDS: dict[str, st.SearchStrategy[Payload]] = {**PAYLOADS, **ENCRYPTED_PAYLOADS}
every_kind = pytest.mark.parametrize("kind", sorted(KINDS))

# Types that lead into a decoder, and a few that do not.
TYPES = st.sampled_from([*range(33, 49), 53]) | OCTET

HEADER = IkeHeader(b"initiate", b"responds", 35, 0x08, 1)


def datagram(first: int, chain: bytes) -> bytes:
    """A message with these bytes behind its header, whatever they are."""
    header = encode_message(HEADER, ())
    return header[:16] + bytes([first]) + header[17:24] + (28 + len(chain)).to_bytes(4, "big") + chain


def parts(payload: Payload) -> tuple[int, bytes]:
    """The payload's type, and its bytes with the generic header."""
    data = encode_message(HEADER, [payload])
    return data[16], data[28:]


def holds(data: bytes) -> bool:
    """Holds the law on `data`: True for a value, False for WireError; anything else comes out.

    A value must encode and decode to itself, and go through the rule table, which knows one error, and into
    a line of the log.
    """
    try:
        message = decode_message(data)
    except WireError:
        return False
    assert decode_message(encode_message(message.header, message.payloads)) == message
    describe(message.payloads)
    for protected in (False, True):
        try:
            check(message.header, message.payloads, protected)
        except PeerError as error:
            assert str(error)
    return True


@given(MESSAGES)
def test_a_message_survives_the_wire(message: Message) -> None:
    data = encode_message(message.header, message.payloads)
    assert decode_message(data) == message
    assert decode_header(data)[0] == message.header


@given(CHAINS)
def test_the_inside_of_an_encrypted_payload_survives(payloads: tuple[Payload, ...]) -> None:
    assert decode_payloads(*encode_payloads(payloads)) == payloads


@every_kind
@settings(max_examples=30)
@given(data=st.data())
def test_every_kind_of_payload_survives(kind: str, data: st.DataObject) -> None:
    payload = data.draw(KINDS[kind])
    first, chain = parts(payload)
    assert first == payload.type
    assert decode_message(datagram(first, chain)).payloads == (payload,)


@given(HEADERS, CHAINS, ENCRYPTED)
def test_an_encrypted_payload_is_found_behind_any_other(
    header: IkeHeader, chain: tuple[Payload, ...], last: SkPayload | SkfPayload
) -> None:
    data = encode_message(header, (*chain, last))
    assert decode_message(data).payloads[-1] == last
    assert data.endswith(last.body)


@given(HEADERS, OCTET, st.binary(max_size=64))
def test_a_protected_prefix_and_its_body_are_a_message(header: IkeHeader, first: int, body: bytes) -> None:
    prefix = protected_prefix(header, first, len(body))
    assert len(prefix) == 32
    assert decode_message(prefix + body) == Message(header, (SkPayload(first, body),))


@given(st.binary(max_size=200))
@example(b"")
def test_any_bytes_as_a_message(data: bytes) -> None:
    holds(data)


@given(TYPES, st.binary(max_size=120))
def test_any_bytes_behind_a_good_header(first: int, data: bytes) -> None:
    holds(datagram(first, data))


@settings(max_examples=300)
@given(TYPES, st.binary(max_size=80))
def test_any_bytes_as_the_body_of_a_payload(type: int, body: bytes) -> None:
    holds(datagram(type, b"\0\0" + (4 + len(body)).to_bytes(2, "big") + body))


@given(TYPES, st.binary(max_size=80))
def test_any_bytes_inside_an_encrypted_payload(first: int, data: bytes) -> None:
    try:
        payloads = decode_payloads(first, data)
    except WireError:
        return
    assert decode_payloads(*encode_payloads(payloads)) == payloads


@settings(max_examples=200)
@given(MESSAGES, st.data())
def test_messages_with_a_few_wrong_bytes(message: Message, data: st.DataObject) -> None:
    damaged = bytearray(encode_message(message.header, message.payloads))
    for place in data.draw(st.lists(st.integers(16, len(damaged) - 1), max_size=4)):
        damaged[place] = data.draw(OCTET)
    holds(bytes(damaged))


@every_kind
@settings(max_examples=5)
@given(data=st.data())
def test_a_payload_cut_short_anywhere_is_refused(kind: str, data: st.DataObject) -> None:
    first, chain = parts(data.draw(KINDS[kind]))
    for size in range(len(chain)):
        assert not holds(datagram(first, chain[:size]))


@every_kind
@settings(max_examples=5)
@given(data=st.data())
def test_a_payload_cut_short_under_a_length_that_fits(kind: str, data: st.DataObject) -> None:
    """The generic header tells the truth; the lengths inside do not."""
    first, chain = parts(data.draw(KINDS[kind]))
    for size in range(4, len(chain)):
        holds(datagram(first, chain[:2] + size.to_bytes(2, "big") + chain[4:size]))


@every_kind
@settings(max_examples=3)
@given(data=st.data())
def test_every_single_bit_flip_of_a_payload(kind: str, data: st.DataObject) -> None:
    first, chain = parts(data.draw(KINDS[kind]))
    for bit in range(8 * len(chain)):
        flipped = bytearray(chain)
        flipped[bit // 8] ^= 0x80 >> bit % 8
        holds(datagram(first, bytes(flipped)))


@settings(max_examples=10)
@given(MESSAGES)
def test_a_message_cut_short_anywhere_is_refused(message: Message) -> None:
    data = encode_message(message.header, message.payloads)
    assert holds(data)
    assert not any(holds(data[:size]) for size in range(len(data)))


@settings(max_examples=10)
@given(HEADERS)
def test_every_single_bit_flip_of_a_header(header: IkeHeader) -> None:
    data = encode_message(header, [])
    for bit in range(8 * len(data)):
        flipped = bytearray(data)
        flipped[bit // 8] ^= 0x80 >> bit % 8
        holds(bytes(flipped))
