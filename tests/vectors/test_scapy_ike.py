"""scapy as the independent oracle of the IKE codec, in both directions (RFC 7296 section 3, RFC 7383).

What we encode must be the bytes that scapy builds, scapy must read the same fields out of them, and what
scapy builds must decode to our value. What scapy 2.8 does not get right is kept out of the values:

- Attributes other than Key Length: it knows no other.
- Traffic selectors other than 7 and 8: it takes a short one for IPv4, and a long one for all that follow.
- REDIRECT and REDIRECTED_FROM (16407, 16408): it reads a gateway even where the data has none.
- CERT of encodings 4 and 7: it parses the X.509 inside, and cannot hold what is none.
- Counts and lengths that it does not fill in by itself (transforms, SPIs, IPv6 selectors) are given to it.
- CP is a list of attributes to it and bytes to us, so it is compared by its bytes.
"""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scapy.contrib import ikev2

from ikepy.wire.constants import ExchangeType, NotifyType, PayloadType
from ikepy.wire.message import IkeHeader, Message, decode_message, encode_message, protected_prefix
from ikepy.wire.payloads import (
    Attribute,
    AuthPayload,
    CertPayload,
    CpPayload,
    DeletePayload,
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
    VendorIdPayload,
)
from ikepy.wire.proposal import Proposal, Transform
from tests.property.wire_values import (
    DATA,
    ENCRYPTED_PAYLOADS,
    HEADERS,
    KNOWN_SELECTORS,
    OCTET,
    PAYLOADS,
    WORD,
)
from tests.vectors.scapy_ike import message_of, packet_of


def agree(message: Message) -> None:
    """Both directions: same bytes, scapy reads our value, we read scapy's."""
    data = encode_message(message.header, message.payloads)
    built = bytes(packet_of(message))
    assert data == built
    assert message_of(ikev2.IKEv2(data)) == message
    assert decode_message(built) == message


TRANSFORMS = st.builds(Transform, OCTET, WORD, st.none() | WORD)
PROPOSALS = st.builds(
    Proposal, OCTET, OCTET, st.binary(max_size=8), st.lists(TRANSFORMS, max_size=4).map(tuple)
)


def ts_payloads(type: PayloadType) -> st.SearchStrategy[Payload]:
    return st.builds(TsPayload, st.just(type), st.lists(KNOWN_SELECTORS, max_size=3).map(tuple))


KINDS: dict[str, st.SearchStrategy[Payload]] = {
    **{kind: PAYLOADS[kind] for kind in ("KE", "IDi", "IDr", "CERTREQ", "AUTH", "Nonce", "D", "V", "EAP")},
    **ENCRYPTED_PAYLOADS,
    "SA": st.builds(SaPayload, st.lists(PROPOSALS, min_size=1, max_size=3).map(tuple)),
    "CERT": st.builds(CertPayload, OCTET.filter(lambda encoding: encoding not in (4, 7)), DATA),
    "N": PAYLOADS["N"].filter(lambda n: isinstance(n, NotifyPayload) and n.notify not in (16407, 16408)),
    "TSi": ts_payloads(PayloadType.TS_I),
    "TSr": ts_payloads(PayloadType.TS_R),
}
CHAIN = st.lists(st.one_of(*(KINDS[kind] for kind in KINDS if kind not in ENCRYPTED_PAYLOADS)), max_size=5)

HEADER = IkeHeader(b"initiate", b"responds", ExchangeType.IKE_AUTH, 0x08, 1)


@pytest.mark.parametrize("kind", sorted(KINDS))
@settings(max_examples=20)
@given(data=st.data())
def test_a_payload(kind: str, data: st.DataObject) -> None:
    agree(Message(HEADER, (data.draw(KINDS[kind]),)))


@settings(max_examples=50)
@given(HEADERS, CHAIN)
def test_a_message(header: IkeHeader, payloads: list[Payload]) -> None:
    agree(Message(header, tuple(payloads)))


def test_a_configuration_request() -> None:
    attributes = [ikev2.ConfigurationAttribute(type=type, value=b"") for type in (1, 3, 8)]
    layer = ikev2.IKEv2_CP(CFGType=1, attributes=attributes)
    built = bytes(ikev2.IKEv2(init_SPI=b"initiate", resp_SPI=b"responds", exch_type=35) / layer)
    asked = CpPayload(1, tuple(map(Attribute, (1, 3, 8))))
    message = Message(IkeHeader(b"initiate", b"responds", 35, 0, 0), (asked,))
    assert decode_message(built) == message
    assert encode_message(message.header, message.payloads) == built


def test_a_protected_prefix() -> None:
    body = bytes(range(48))
    built = packet_of(Message(HEADER, (SkPayload(PayloadType.ID_I, body),)))
    assert protected_prefix(HEADER, PayloadType.ID_I, len(body)) + body == bytes(built)


IKE_PROPOSALS = (
    Proposal(
        1,
        1,
        b"",
        (Transform(1, 20, 128), Transform(1, 20, 256), Transform(2, 5), Transform(4, 31), Transform(4, 19)),
    ),
    Proposal(2, 1, b"", (Transform(1, 12, 256), Transform(2, 6), Transform(3, 13), Transform(4, 15))),
)
ESP_PROPOSALS = (
    Proposal(1, 3, b"\xc0\xff\xee\x01", (Transform(1, 20, 128), Transform(5, 0))),
    Proposal(
        2, 3, b"\xc0\xff\xee\x01", (Transform(1, 12, 256), Transform(3, 12), Transform(5, 1), Transform(5, 0))
    ),
)
ALL_V4 = TrafficSelector(7, 0, 0, 65535, bytes(4), b"\xff" * 4)
ALL_V6 = TrafficSelector(8, 0, 0, 65535, bytes(16), b"\xff" * 16)
ONE_PORT = TrafficSelector(7, 6, 443, 443, bytes([10, 2, 0, 0]), bytes([10, 2, 0, 255]))

MESSAGES: dict[str, Message] = {
    "IKE_SA_INIT request": Message(
        IkeHeader(b"initiate", bytes(8), ExchangeType.IKE_SA_INIT, 0x08, 0),
        (
            NotifyPayload(NotifyType.COOKIE, b"cookie" * 5),
            SaPayload(IKE_PROPOSALS),
            KePayload(31, bytes(range(32))),
            NoncePayload(bytes(range(32))),
            NotifyPayload(NotifyType.NAT_DETECTION_SOURCE_IP, b"s" * 20),
            NotifyPayload(NotifyType.NAT_DETECTION_DESTINATION_IP, b"d" * 20),
            VendorIdPayload(b"a vendor"),
        ),
    ),
    "IKE_SA_INIT response: another group": Message(
        IkeHeader(b"initiate", bytes(8), ExchangeType.IKE_SA_INIT, 0x20, 0),
        (NotifyPayload(NotifyType.INVALID_KE_PAYLOAD, b"\0\x13"),),
    ),
    "inside an IKE_AUTH request": Message(
        IkeHeader(b"initiate", b"responds", ExchangeType.IKE_AUTH, 0x08, 1),
        (
            IdPayload(PayloadType.ID_I, 2, b"gwa"),
            NotifyPayload(NotifyType.INITIAL_CONTACT),
            IdPayload(PayloadType.ID_R, 1, bytes([192, 0, 2, 2])),
            AuthPayload(2, bytes(range(32))),
            SaPayload(ESP_PROPOSALS),
            TsPayload(PayloadType.TS_I, (ALL_V4, ALL_V6)),
            TsPayload(PayloadType.TS_R, (ALL_V4, ONE_PORT, ALL_V6)),
        ),
    ),
    "inside a CREATE_CHILD_SA request: rekeying": Message(
        IkeHeader(b"initiate", b"responds", ExchangeType.CREATE_CHILD_SA, 0, 7),
        (
            NotifyPayload(NotifyType.REKEY_SA, b"", 3, b"\xc0\xff\xee\x01"),
            SaPayload(ESP_PROPOSALS),
            NoncePayload(bytes(32)),
            KePayload(19, bytes(64)),
            TsPayload(PayloadType.TS_I, (ALL_V4,)),
            TsPayload(PayloadType.TS_R, (ONE_PORT,)),
        ),
    ),
    "inside an INFORMATIONAL request: deletes": Message(
        IkeHeader(b"initiate", b"responds", ExchangeType.INFORMATIONAL, 0x08, 2),
        (DeletePayload(3, (b"\xc0\xff\xee\x01", b"\xc0\xff\xee\x02")), DeletePayload(1, ())),
    ),
    "a protected message": Message(
        IkeHeader(b"initiate", b"responds", ExchangeType.INFORMATIONAL, 0x28, 2), (SkPayload(0, bytes(64)),)
    ),
    "a fragment": Message(
        IkeHeader(b"initiate", b"responds", ExchangeType.IKE_AUTH, 0x08, 1),
        (SkfPayload(PayloadType.ID_I, 1, 3, bytes(64)),),
    ),
}


@pytest.mark.parametrize("name", sorted(MESSAGES))
def test_messages_as_they_occur(name: str) -> None:
    agree(MESSAGES[name])
