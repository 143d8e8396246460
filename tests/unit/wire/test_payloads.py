"""Every kind of payload against bytes written by hand after RFC 7296 section 3 and RFC 7383 2.5."""

import pytest

from ikepy.errors import LocalMisuse, WireError
from ikepy.wire.constants import NotifyType, PayloadType
from ikepy.wire.message import IkeHeader, decode_message, encode_message
from ikepy.wire.payloads import (
    Attribute,
    AuthPayload,
    CertPayload,
    CertReqPayload,
    CpPayload,
    DeletePayload,
    EapPayload,
    IdPayload,
    KePayload,
    NoncePayload,
    NotifyPayload,
    Payload,
    SaPayload,
    SkfPayload,
    SkPayload,
    TrafficSelector,
    TsPayload,
    UnknownPayload,
    VendorIdPayload,
)
from ikepy.wire.payloads.notify import MAX_SPIS

HEADER = IkeHeader(b"initiate", b"responds", 35, 0x08, 1)
NONCE = bytes(range(32))
V4 = TrafficSelector(7, 17, 53, 54, bytes([10, 0, 0, 1]), bytes([10, 0, 0, 9]))
V4_HEX = "07110010003500360a0000010a000009"
V6 = TrafficSelector(8, 0, 0, 65535, bytes(16), b"\xff" * 16)
V6_HEX = "080000280000ffff" + "00" * 16 + "ff" * 16

# (type, body in hex, value)
BODIES: list[tuple[int, str, Payload]] = [
    (34, "001f0000abcd", KePayload(31, b"\xab\xcd")),
    (35, "02000000677761", IdPayload(PayloadType.ID_I, 2, b"gwa")),
    (36, "01000000c0000202", IdPayload(PayloadType.ID_R, 1, bytes([192, 0, 2, 2]))),
    (36, "05000000" + "00" * 15 + "01", IdPayload(PayloadType.ID_R, 5, bytes(15) + b"\x01")),
    (36, "0b000000", IdPayload(PayloadType.ID_R, 11, b"")),
    (37, "0430820000", CertPayload(4, b"\x30\x82\0\0")),
    (38, "04", CertReqPayload(4, b"")),
    (39, "020000000102", AuthPayload(2, b"\x01\x02")),
    (40, NONCE.hex(), NoncePayload(NONCE)),
    (41, "0000000e", NotifyPayload(NotifyType.NO_PROPOSAL_CHOSEN)),
    (41, "000000110013", NotifyPayload(NotifyType.INVALID_KE_PAYLOAD, b"\0\x13")),
    (41, "03044009c0ffee01", NotifyPayload(NotifyType.REKEY_SA, b"", 3, b"\xc0\xff\xee\x01")),
    (41, "0000fde80102", NotifyPayload(65000, b"\x01\x02")),
    (42, "01000000", DeletePayload(1, ())),
    (42, "03040000", DeletePayload(3, ())),
    (42, "03040002c0ffee01c0ffee02", DeletePayload(3, (b"\xc0\xff\xee\x01", b"\xc0\xff\xee\x02"))),
    (42, "09020001abcd", DeletePayload(9, (b"\xab\xcd",))),
    (43, "", VendorIdPayload(b"")),
    (43, "6162", VendorIdPayload(b"ab")),
    (44, "00000000", TsPayload(PayloadType.TS_I, ())),
    (44, "02000000" + V4_HEX + V6_HEX, TsPayload(PayloadType.TS_I, (V4, V6))),
    (45, "01000000" + V6_HEX, TsPayload(PayloadType.TS_R, (V6,))),
    (
        45,
        "020000000a000007616263" + V4_HEX,  # type 10 is a security label (RFC 9478)
        TsPayload(PayloadType.TS_R, (TrafficSelector(10, 0, 0, 0, b"abc", b""), V4)),
    ),
    (47, "0100000000010000", CpPayload(1, (Attribute(1),))),
    (47, "02000000", CpPayload(2)),
    (47, "09000000000400020a01", CpPayload(9, (Attribute(4, b"\x0a\x01"),))),
    (48, "0201000401", EapPayload(b"\x02\x01\0\x04\x01")),
    (46, "aabb", SkPayload(0, b"\xaa\xbb")),
    (53, "00010002aabb", SkfPayload(0, 1, 2, b"\xaa\xbb")),
    (200, "aabb", UnknownPayload(200, False, b"\xaa\xbb")),
    (1, "", UnknownPayload(1, False, b"")),
]


def datagram(type: int, body: str, flags: int = 0) -> bytes:
    """A message with one payload."""
    data = bytes.fromhex(body)
    header = encode_message(HEADER, ())
    chain = bytes([0, flags]) + (4 + len(data)).to_bytes(2, "big") + data
    return header[:16] + bytes([type]) + header[17:24] + (28 + len(chain)).to_bytes(4, "big") + chain


@pytest.mark.parametrize(("type", "body", "value"), BODIES)
def test_a_payload_in_both_directions(type: int, body: str, value: Payload) -> None:
    assert value.type == type
    assert decode_message(datagram(type, body)).payloads == (value,)
    assert encode_message(HEADER, [value]) == datagram(type, body)


@pytest.mark.parametrize(
    ("type", "body", "value"),
    [
        (34, "001fffffabcd", KePayload(31, b"\xab\xcd")),
        (35, "02ffffff677761", IdPayload(PayloadType.ID_I, 2, b"gwa")),
        (39, "02ffffff0102", AuthPayload(2, b"\x01\x02")),
        (45, "01ffffff" + V4_HEX, TsPayload(PayloadType.TS_R, (V4,))),
        (47, "01ffffff80010000", CpPayload(1, (Attribute(1),))),
    ],
)
def test_reserved_fields_are_ignored(type: int, body: str, value: Payload) -> None:
    assert decode_message(datagram(type, body)).payloads == (value,)


def test_the_critical_bit_counts_only_for_types_that_nobody_knows() -> None:
    assert decode_message(datagram(200, "aa", 0x80)).payloads == (UnknownPayload(200, True, b"\xaa"),)
    assert decode_message(datagram(200, "aa", 0x7F)).payloads == (UnknownPayload(200, False, b"\xaa"),)
    assert decode_message(datagram(43, "aa", 0x80)).payloads == (VendorIdPayload(b"\xaa"),)
    assert encode_message(HEADER, [UnknownPayload(200, True, b"\xaa")]) == datagram(200, "aa", 0x80)


@pytest.mark.parametrize(
    ("reason", "type", "body"),
    [
        ("KE without a group", 34, "00"),
        ("an IPv4 address of five bytes", 35, "01000000c000020201"),
        ("an IPv6 address of four bytes", 36, "05000000c0000202"),
        ("an identity without its reserved bytes", 35, "0200"),
        ("CP without its reserved bytes", 47, "0100"),
        ("an attribute of three bytes", 47, "01000000000100"),
        ("an attribute longer than its payload", 47, "010000000001000500"),
        ("257 attributes", 47, "01000000" + "00010000" * 257),
        ("CERT without encoding", 37, ""),
        ("AUTH without its reserved bytes", 39, "0200"),
        ("a short nonce", 40, "00" * 15),
        ("a long nonce", 40, "00" * 257),
        ("an SPI longer than its notify", 41, "03044009c0ffee"),
        ("an empty cookie", 41, "00004006"),
        ("a long cookie", 41, "00004006" + "00" * 65),
        ("INVALID_KE_PAYLOAD without a group", 41, "00000011"),
        ("a NAT detection hash of 19 bytes", 41, "00004004" + "00" * 19),
        ("UNSUPPORTED_CRITICAL_PAYLOAD without a type", 41, "00000001"),
        ("a window size of two bytes", 41, "000040010001"),
        ("an SPI of an IKE SA to delete", 42, "01080001" + "00" * 8),
        ("an ESP SPI of eight bytes to delete", 42, "03080001" + "00" * 8),
        ("fewer SPIs to delete than announced", 42, "03040002c0ffee01"),
        ("more SPIs to delete than announced", 42, "03040001c0ffee01c0ffee02"),
        ("SPIs of no size", 42, "09000001"),
        ("too many SPIs to delete", 42, "03040401" + "00000001" * 0x401),
        ("fewer selectors than announced", 44, "02000000" + V4_HEX),
        ("more selectors than announced", 44, "01000000" + V4_HEX + V4_HEX),
        ("an IPv4 selector of an IPv6 one's length", 44, "0100000007110028" + V6_HEX[8:]),
        ("a selector shorter than its header", 44, "010000000a000003"),
        ("fragment 0", 53, "00000002aabb"),
        ("fragment 3 of 2", 53, "00030002aabb"),
        ("a fragment without its total", 53, "0001"),
        ("no payload, and yet bytes", 0, "00"),
    ],
)
def test_malformed(reason: str, type: int, body: str) -> None:
    with pytest.raises(WireError):
        decode_message(datagram(type, body))
        pytest.fail(reason)


@pytest.mark.parametrize(
    "payload",
    [
        SaPayload(()),
        KePayload(1 << 16, b""),
        KePayload(14, bytes(65532)),
        IdPayload(PayloadType.TS_I, 2, b"gwa"),
        IdPayload(PayloadType.ID_I, 1, b"gwa"),
        AuthPayload(256, b""),
        NoncePayload(bytes(15)),
        NoncePayload(bytes(257)),
        NotifyPayload(NotifyType.COOKIE, bytes(65)),
        NotifyPayload(NotifyType.REKEY_SA, spi=bytes(256)),
        DeletePayload(1, (bytes(8),)),
        DeletePayload(3, (bytes(4), bytes(8))),
        DeletePayload(9, (bytes(4), bytes(8))),
        DeletePayload(9, (b"",)),
        DeletePayload(3, (bytes(4),) * (MAX_SPIS + 1)),
        TsPayload(PayloadType.SA, ()),
        TsPayload(PayloadType.TS_I, (V4,) * 256),
        TsPayload(PayloadType.TS_I, (TrafficSelector(7, 0, 0, 65535, bytes(4), bytes(16)),)),
        TsPayload(PayloadType.TS_I, (TrafficSelector(10, 0, 0, 65535, bytes(4), b""),)),
        TsPayload(PayloadType.TS_I, (TrafficSelector(10, 0, 0, 0, b"", b"a"),)),
        SkfPayload(35, 0, 1, b""),
        SkfPayload(35, 2, 1, b""),
        UnknownPayload(33, True, b""),
        UnknownPayload(0, True, b""),
        UnknownPayload(256, True, b""),
        VendorIdPayload(bytes(1 << 16)),
    ],
)
def test_what_has_no_place_in_the_format_is_our_mistake(payload: Payload) -> None:
    with pytest.raises(LocalMisuse):
        encode_message(HEADER, [payload])


def test_the_body_of_an_identity_is_what_auth_covers() -> None:
    assert IdPayload(PayloadType.ID_I, 2, b"gwa").encode() == b"\x02\0\0\0gwa"
