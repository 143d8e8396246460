"""Header and chain (RFC 7296 3.1, 3.2, 3.14)."""

from dataclasses import replace

import pytest

from ikepy.errors import LocalMisuse, WireError
from ikepy.wire.constants import ExchangeType, HeaderFlag, PayloadType
from ikepy.wire.message import (
    MAX_MESSAGE,
    MAX_PAYLOADS,
    IkeHeader,
    Message,
    decode_header,
    decode_message,
    decode_payloads,
    encode_message,
    encode_payloads,
    fragment_prefix,
    protected_prefix,
)
from ikepy.wire.payloads import NoncePayload, SkfPayload, SkPayload, UnknownPayload, VendorIdPayload

HEADER = IkeHeader(b"initiate", b"responds", ExchangeType.INFORMATIONAL, 0x28, 0x01020304)
A, B = VendorIdPayload(b"a"), VendorIdPayload(b"b")


def test_the_bytes_of_a_message() -> None:
    data = encode_message(HEADER, [A, NoncePayload(bytes(16))])
    assert data == (
        b"initiateresponds"
        + bytes.fromhex("2b 20 25 28 01020304 00000035")
        + bytes.fromhex("28 00 0005 61")
        + bytes.fromhex("00 00 0014" + "00" * 16)
    )
    assert decode_header(data) == (HEADER, PayloadType.VENDOR_ID, 53)
    assert decode_message(data) == Message(HEADER, (A, NoncePayload(bytes(16))))


def test_a_message_without_payloads() -> None:
    data = encode_message(HEADER, [])
    assert len(data) == 28
    assert decode_message(data) == Message(HEADER, ())


def test_flags() -> None:
    request = replace(HEADER, flags=int(HeaderFlag.INITIATOR))
    assert (request.from_initiator, request.is_response) == (True, False)
    response = replace(HEADER, flags=int(HeaderFlag.RESPONSE))
    assert (response.from_initiator, response.is_response) == (False, True)
    assert decode_message(encode_message(replace(HEADER, flags=0xFF), [])).header.flags == 0xFF


@pytest.mark.parametrize("difference", [-1, 1, 100])
def test_the_header_must_tell_the_datagrams_length(difference: int) -> None:
    data = encode_message(HEADER, [A])
    wrong = data[:24] + (len(data) + difference).to_bytes(4, "big") + data[28:]
    for decode in (decode_header, decode_message):
        with pytest.raises(WireError):
            decode(wrong)


def test_bytes_behind_the_message() -> None:
    with pytest.raises(WireError):
        decode_header(encode_message(HEADER, [A]) + b"\0")


def test_a_header_cut_short() -> None:
    with pytest.raises(WireError):
        decode_header(encode_message(HEADER, [])[:27])


def test_the_initiators_spi_is_never_zero() -> None:
    with pytest.raises(WireError):
        decode_header(bytes(8) + encode_message(HEADER, [])[8:])


def test_only_the_message_looks_at_the_major_version() -> None:
    data = encode_message(HEADER, [A])
    for version in (0x10, 0x30):
        other = data[:17] + bytes([version]) + data[18:]
        assert decode_header(other)[0].version == version
        with pytest.raises(WireError):
            decode_message(other)
    newer = data[:17] + b"\x2f" + data[18:]
    assert decode_message(newer).header.version == 0x2F


@pytest.mark.parametrize(
    "header",
    [
        replace(HEADER, spi_i=bytes(8)),
        replace(HEADER, spi_i=b"short"),
        replace(HEADER, spi_r=b"a little long"),
        replace(HEADER, exchange=256),
        replace(HEADER, message_id=1 << 32),
        replace(HEADER, version=0x10),
        replace(HEADER, flags=-1),
    ],
)
def test_a_header_that_has_no_place_in_the_format_is_our_mistake(header: IkeHeader) -> None:
    with pytest.raises(LocalMisuse):
        encode_message(header, [])
    with pytest.raises(LocalMisuse):
        protected_prefix(header, 0, 32)


def test_a_chain_alone() -> None:
    first, chain = encode_payloads([A, B])
    assert (first, chain) == (43, bytes.fromhex("2b00000561 0000000562"))
    assert decode_payloads(first, chain) == (A, B)
    assert encode_payloads([]) == (0, b"")
    assert decode_payloads(0, b"") == ()


@pytest.mark.parametrize(
    ("reason", "first", "chain"),
    [
        ("a payload is announced, none is there", 43, ""),
        ("another payload is announced, none is there", 43, "2b00000561"),
        ("bytes behind the last payload", 43, "000000056100"),
        ("bytes where no payload is announced", 0, "0000000561"),
        ("a payload shorter than its header", 43, "00000003"),
        ("a payload longer than the message", 43, "0000000661"),
        ("an encrypted payload inside another", 46, "0000000561"),
        ("a fragment inside an encrypted payload", 53, "000000090001000161"),
    ],
)
def test_malformed_chains(reason: str, first: int, chain: str) -> None:
    with pytest.raises(WireError):
        decode_payloads(first, bytes.fromhex(chain))
        pytest.fail(reason)


def test_the_number_of_payloads_is_bounded() -> None:
    first, chain = encode_payloads([A] * MAX_PAYLOADS)
    assert decode_payloads(first, chain) == (A,) * MAX_PAYLOADS
    with pytest.raises(LocalMisuse):
        encode_payloads([A] * (MAX_PAYLOADS + 1))
    with pytest.raises(WireError):
        decode_payloads(first, bytes.fromhex("2b00000561") + chain)


def test_the_size_of_a_message_is_bounded() -> None:
    room = MAX_MESSAGE - 28 - 4
    largest = encode_message(HEADER, [UnknownPayload(200, False, bytes(room))])
    assert len(largest) == MAX_MESSAGE
    assert decode_message(largest).payloads == (UnknownPayload(200, False, bytes(room)),)
    with pytest.raises(LocalMisuse):
        encode_message(HEADER, [UnknownPayload(200, False, bytes(room + 1))])
    too_long = largest[:24] + (MAX_MESSAGE + 1).to_bytes(4, "big") + largest[28:] + b"\0"
    with pytest.raises(WireError):
        decode_header(too_long)


def test_an_encrypted_payload_is_the_last() -> None:
    sk = SkPayload(PayloadType.NONCE, b"sealed")
    data = encode_message(HEADER, [A, sk])
    message = decode_message(data)
    assert message.payloads == (A, sk)
    with pytest.raises(WireError):  # something behind it, as the SK payload's Next Payload can't tell of it
        decode_message(data[:24] + (len(data) + 5).to_bytes(4, "big") + data[28:] + b"\0\0\0\x05a")
    with pytest.raises(LocalMisuse):
        encode_message(HEADER, [sk, A])
    with pytest.raises(LocalMisuse):
        encode_payloads([A, sk])


def test_a_fragment() -> None:
    skf = SkfPayload(PayloadType.NONCE, 1, 2, b"sealed")
    data = encode_message(HEADER, [skf])
    assert decode_message(data).payloads == (skf,)


def test_the_prefix_of_a_protected_message_is_final() -> None:
    body = b"sealed"
    prefix = protected_prefix(HEADER, PayloadType.NONCE, len(body))
    assert len(prefix) == 32
    assert prefix + body == encode_message(HEADER, [SkPayload(PayloadType.NONCE, body)])
    with pytest.raises(LocalMisuse):
        protected_prefix(HEADER, 0, MAX_MESSAGE - 31)


def test_the_bytes_in_front_of_a_fragment() -> None:
    prefix = fragment_prefix(HEADER, PayloadType.NOTIFY, 1, 300, 5)
    assert prefix[:16] == b"initiateresponds"
    assert prefix[16:] == bytes.fromhex("35 20 25 28 01020304 00000029 29 00 000d 0001 012c")
    (fragment,) = decode_message(prefix + b"12345").payloads
    assert fragment == SkfPayload(PayloadType.NOTIFY, 1, 300, b"12345")


def test_the_first_payload_is_named_in_the_first_fragment_only() -> None:
    (fragment,) = decode_message(fragment_prefix(HEADER, PayloadType.NOTIFY, 2, 2, 0)).payloads
    assert fragment == SkfPayload(PayloadType.NONE, 2, 2, b"")


@pytest.mark.parametrize(("number", "total"), [(0, 1), (2, 1), (0, 0), (1, 65536)])
def test_impossible_fragments_are_our_mistake(number: int, total: int) -> None:
    with pytest.raises(LocalMisuse):
        fragment_prefix(HEADER, PayloadType.NOTIFY, number, total, 5)
