"""Fields of messages in words, with the octets that they stand for."""

from __future__ import annotations

from ipaddress import ip_address

import pytest

from ikepy.dissect.ike import SkSizes, dissect_ike, dissect_payloads
from ikepy.dissect.ladder import Ladder
from ikepy.dissect.message import plain
from ikepy.dissect.render import as_json, as_text
from ikepy.dissect.tree import MAX_NODES, Layer
from ikepy.sa.api.path import Endpoint
from ikepy.wire.constants import (
    AuthMethod,
    CfgType,
    ConfigAttribute,
    ExchangeType,
    HeaderFlag,
    IdType,
    NotifyType,
    PayloadType,
)
from ikepy.wire.message import IkeHeader, encode_message, encode_payloads
from ikepy.wire.payloads import (
    Attribute,
    AuthPayload,
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
from ikepy.wire.proposal import Proposal, Transform

SPI = b"\x01\x02\x03\x04\x05\x06\x07\x08"
HEADER = IkeHeader(SPI, bytes(8), ExchangeType.IKE_SA_INIT, HeaderFlag.INITIATOR, 0)
PROPOSAL = Proposal(
    1, 1, b"", (Transform(1, 20, 256), Transform(2, 5), Transform(4, 31), Transform(6, 36), Transform(5, 0))
)
INIT = encode_message(
    HEADER,
    [
        SaPayload((PROPOSAL,)),
        KePayload(31, bytes(32)),
        NoncePayload(bytes(32)),
        NotifyPayload(NotifyType.SIGNATURE_HASH_ALGORITHMS, bytes.fromhex("00020005")),
    ],
)


def value(layer: Layer, *path: str) -> str:
    """The value of the node at this path of names."""
    node = layer.node
    for name in path:
        found = [one for one in node.children if one.name == name]
        assert found, f"{name} is not among {[one.name for one in node.children]}"
        node = found[0]
    return node.value


def inside(*payloads: Payload) -> Layer:
    first, octets = encode_payloads(payloads)
    layer = dissect_payloads(first, octets)
    assert layer.problems == ()
    return layer


def test_header_and_payloads_are_named() -> None:
    layer = dissect_ike(INIT)
    assert layer.problems == ()
    assert layer.node.value == "IKE_SA_INIT request 0 [ SA KE No N(SIGNATURE_HASH_ALGORITHMS) ]"
    assert value(layer, "IKE header", "Initiator's SPI") == "0102030405060708"
    assert value(layer, "IKE header", "Flags") == "Initiator"
    assert (
        value(layer, "Security Association (33)")
        == "IKE: AES_GCM_16_256/PRF_HMAC_SHA2_256/CURVE_25519/KE1_ML_KEM_768/NO_ESN"
    )
    assert value(layer, "Key Exchange (34)", "Method") == "CURVE_25519 (31)"
    assert value(layer, "Notify (41)", "Hash functions") == "SHA2_256 (2), IDENTITY (5)"


def test_nodes_stand_for_their_octets() -> None:
    layer = dissect_ike(INIT)
    nonce = layer.node.find("Nonce data")
    ke = layer.node.find("Key Exchange (34)")
    assert nonce is not None and ke is not None
    assert nonce.end - nonce.start == 32
    assert INIT[ke.start : ke.end] == bytes.fromhex("28000028001f0000") + bytes(32)
    assert (ke.rfc, "public value" in ke.note) == ("RFC 7296 3.4", True)
    covered = [octet for one in layer.node.walk() if not one.children for octet in range(one.start, one.end)]
    assert covered == list(range(len(INIT)))  # each octet in one leaf, in order


INNER = bytes([10, 0, 0, 0])
SELECTORS = (
    TrafficSelector(7, 6, 80, 80, INNER, bytes([10, 0, 0, 255])),
    TrafficSelector(8, 0, 0, 65535, bytes(16), b"\xff" * 16),
)
WORDS: list[tuple[Payload, str]] = [
    (IdPayload(PayloadType.ID_I, IdType.FQDN, b"gw.example.org"), '"gw.example.org" (FQDN)'),
    (IdPayload(PayloadType.ID_R, IdType.IPV4_ADDR, INNER), "10.0.0.0 (IPV4_ADDR)"),
    (AuthPayload(AuthMethod.SHARED_KEY_MIC, bytes(32)), "SHARED_KEY_MIC, 32 octets"),
    (DeletePayload(3, (b"\0\0\1\2",)), "ESP 00000102"),
    (NotifyPayload(NotifyType.REKEY_SA, b"", 3, b"\0\0\1\2"), "REKEY_SA (16393), ESP SPI 00000102"),
    (NotifyPayload(NotifyType.INVALID_KE_PAYLOAD, b"\0\x13"), "INVALID_KE_PAYLOAD (17): ECP_256 (19)"),
    (NotifyPayload(40000, b"\1"), "unknown (40000): 01"),
    (EapPayload(bytes.fromhex("0107000a01") + b"alice"), 'Request 7, IDENTITY "alice"'),
    (
        CpPayload(CfgType.REPLY, (Attribute(ConfigAttribute.INTERNAL_IP4_ADDRESS, INNER),)),
        "REPLY: INTERNAL_IP4_ADDRESS",
    ),
    (
        TsPayload(PayloadType.TS_I, SELECTORS),
        "10.0.0.0 to 10.0.0.255, TCP, port 80, :: to ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff",
    ),
    (UnknownPayload(200, True, b"\1\2"), "of a type that is not known"),
]


@pytest.mark.parametrize(("payload", "told"), WORDS)
def test_payloads_in_words(payload: Payload, told: str) -> None:
    assert inside(payload).node.children[0].value == told


def test_text_of_a_stranger_can_do_nothing() -> None:
    layer = inside(VendorIdPayload(b"a vendor"), IdPayload(PayloadType.ID_I, IdType.FQDN, b'\x1b[2J"\n\xff'))
    assert value(layer, "Vendor ID (43)") == '"a vendor"'
    initial_contact = bytes.fromhex("26244d38eddb61b3172a36e3d0cfb819")  # MD5 of "Vid-Initial-Contact"
    told = value(inside(VendorIdPayload(initial_contact)), "Vendor ID (43)")
    assert told == f"Windows: initial contact: {initial_contact.hex()}"
    shown = value(layer, "Identification - Initiator (35)")
    assert shown.isprintable()
    assert shown == '"\\x1b[2J\\"\\n\\\\xff" (FQDN)'


def test_encrypted_payload_with_known_sizes() -> None:
    octets = encode_message(HEADER, [SkPayload(PayloadType.ID_I, bytes(40))])
    assert value(dissect_ike(octets), "Encrypted and Authenticated (46)") == "40 octets"
    layer = dissect_ike(octets, SkSizes(iv=8, icv=16))
    sk = layer.node.children[1]
    assert [(one.name, one.end - one.start) for one in sk.children[1:]] == [
        ("Initialization vector", 8),
        ("Encrypted payloads", 16),
        ("Integrity checksum", 16),
    ]


def test_fragment() -> None:
    octets = encode_message(HEADER, [SkfPayload(PayloadType.ID_I, 2, 3, bytes(40))])
    layer = dissect_ike(octets)
    assert layer.node.value == "IKE_SA_INIT request 0 [ SKF(2/3) ]"
    assert value(layer, "Encrypted and Authenticated Fragment (53)") == "fragment 2 of 3"


@pytest.mark.parametrize(
    ("octets", "problem"),
    [
        (b"", "8 octets expected"),
        (INIT[:20], "20 left"),
        (INIT[:-1], "the header says"),
        (INIT + b"\0", "octets behind the last payload"),
        (INIT[:30] + b"\xff\xff" + INIT[32:], "65535 octets by its length"),
        (INIT[:30] + b"\0\3" + INIT[32:], "a length of 3 octets"),
        (INIT[:39] + b"\x09" + INIT[40:], "says 9 transforms has 5"),
    ],
)
def test_what_is_wrong_is_told(octets: bytes, problem: str) -> None:
    assert any(problem in one for one in dissect_ike(octets).problems)


def test_fields_are_bounded() -> None:
    transforms = tuple(Transform(1, 12, 128) for _ in range(128))
    octets = encode_message(HEADER, [SaPayload(tuple(Proposal(n, 1, b"", transforms) for n in range(1, 42)))])
    layer = dissect_ike(octets)
    assert sum(1 for _ in layer.node.walk()) <= MAX_NODES + 16
    assert any("more than" in one for one in layer.problems)


def test_another_version_is_not_guessed() -> None:
    for version, told in ((0x10, "IKEv1, 34"), (0x30, "IKE version 3.0")):
        octets = INIT[:17] + bytes([version]) + INIT[18:]
        assert dissect_ike(octets).node.value == told


A, B = Endpoint(ip_address("192.0.2.1"), 500), Endpoint(ip_address("2001:db8::2"), 500)


def test_ladder_as_text_and_json() -> None:
    ladder = Ladder([plain(0, 100.0, A, B, INIT), plain(1, 100.25, B, A, INIT)])
    told = as_text.render(ladder, as_text.Detail.ARROWS).splitlines()
    assert told[0].startswith(
        "   1     0.000000    192.0.2.1[500] ───▶ 2001:db8::2[500]  IKE_SA_INIT request 0 [ SA"
    )
    assert told[1].startswith("   2     0.250000    192.0.2.1[500] ◀─── 2001:db8::2[500]  IKE_SA_INIT")
    assert "Method: CURVE_25519 (31)" in as_text.render(ladder, as_text.Detail.FIELDS)
    assert "whoever" not in as_text.render(ladder, as_text.Detail.FIELDS)
    assert "Whoever only listens can't." in as_text.render(ladder, as_text.Detail.NOTES)
    message = as_json.ladder_value(ladder)["messages"]
    assert isinstance(message, list)
    assert message[0]["source"] == {"address": "192.0.2.1", "port": 500}
    assert message[0]["layers"][0]["octets"] == INIT.hex()


def test_a_message_of_which_more_is_known_keeps_its_place() -> None:
    ladder = Ladder([plain(0, 1.0, A, B, INIT), plain(1, 2.0, B, A, INIT)])
    ladder.add(plain(0, 1.5, A, B, INIT))
    assert [one.time_s for one in ladder] == [1.5, 2.0]
