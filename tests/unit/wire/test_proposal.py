"""The SA payload: proposals, transforms and attributes (RFC 7296 3.3)."""

from dataclasses import replace

import pytest

from ikepy.errors import LocalMisuse, WireError
from ikepy.wire.message import decode_payloads, encode_payloads
from ikepy.wire.payloads import SaPayload
from ikepy.wire.proposal import MAX_PROPOSALS, MAX_TRANSFORMS, Proposal, Transform


def decode(body: str) -> SaPayload:
    """An SA payload with this body, in hex."""
    data = bytes.fromhex(body)
    (payload,) = decode_payloads(33, b"\0\0" + (4 + len(data)).to_bytes(2, "big") + data)
    assert isinstance(payload, SaPayload)
    return payload


def encode(*proposals: Proposal) -> str:
    return encode_payloads([SaPayload(proposals)])[1][4:].hex()


# One ESP proposal: SPI 0xC0FFEE01, AES-GCM-16 with a 128-bit key, no ESN.
ESP = "0000002001030402c0ffee010300000c01000014800e00800000000805000000"
ESP_VALUE = Proposal(1, 3, b"\xc0\xff\xee\x01", (Transform(1, 20, 128), Transform(5, 0)))


def test_a_proposal() -> None:
    assert decode(ESP) == SaPayload((ESP_VALUE,))
    assert encode(ESP_VALUE) == ESP


def test_two_proposals() -> None:
    other = replace(ESP_VALUE, number=2)
    both = "02" + ESP[2:] + ESP[:8] + "02" + ESP[10:]
    assert decode(both) == SaPayload((ESP_VALUE, other))
    assert encode(ESP_VALUE, other) == both


def test_reserved_fields_are_ignored() -> None:
    assert decode("00ff00100101000100ff000802ff0005") == SaPayload((Proposal(1, 1, b"", (Transform(2, 5),)),))


def one_transform(transform: str) -> Transform:
    size = 8 + len(transform) // 2
    ((transform_value,),) = (p.transforms for p in decode(f"0000{size:04x}01010001" + transform).proposals)
    return transform_value


@pytest.mark.parametrize(
    ("transform", "key_length", "unknown"),
    [
        ("0000000801000014", None, ""),
        ("0000000c01000014800e0100", 256, ""),
        ("0000000c01000014800f0100", None, "800f0100"),  # TV of another type
        ("0000000e01000014000e00020100", None, "000e00020100"),  # Key Length as TLV
        ("0000000c0100001400630000", None, "00630000"),  # an empty TLV
        ("000000130100001400630003abcdef800e0080", 128, "00630003abcdef"),
        ("0000001001000014800e0080800e0100", 128, "800e0100"),  # a second key length
    ],
)
def test_attributes(transform: str, key_length: int | None, unknown: str) -> None:
    found = one_transform(transform)
    assert found == Transform(1, 20, key_length, bytes.fromhex(unknown))
    assert found.unknown_attribute == bool(unknown)
    (again,) = decode(encode(Proposal(1, 1, b"", (found,)))).proposals
    assert again.transforms == (found,)


def test_transform_types_and_ids_that_nobody_knows_are_kept() -> None:
    assert one_transform("00000008f1001234") == Transform(0xF1, 0x1234)


@pytest.mark.parametrize(
    ("reason", "body"),
    [
        ("no proposal", ""),
        ("another proposal announced, none there", "02" + ESP[2:]),
        ("an unknown Last Substruc", "01" + ESP[2:]),
        ("bytes behind the last proposal", ESP + "00"),
        ("a second proposal not announced", ESP + ESP),
        ("a proposal shorter than its header", "00000004" + ESP[8:]),
        ("a proposal longer than the payload", "000000ff" + ESP[8:]),
        ("an SPI longer than the proposal", "0000000801032002"),
        ("fewer transforms than announced", ESP.replace("01030402", "01030403")),
        ("more transforms than announced", ESP.replace("01030402", "01030401")),
        ("the last transform announces another", ESP.replace("0000000805", "0300000805")),
        ("a transform that is not the last says so", ESP.replace("0300000c", "0000000c")),
        ("a transform shorter than its header", ESP.replace("0000000805000000", "0000000705000000")),
        ("half an attribute", "00000012010100010000000a01000014800e"),
        ("a TLV attribute longer than the transform", "00000014010100010000000c0100001400630001"),
        ("too many transforms", "0000041001010081" + "0300000802000005" * 128 + "0000000802000005"),
    ],
)
def test_malformed(reason: str, body: str) -> None:
    with pytest.raises(WireError):
        decode(body)
        pytest.fail(reason)


def test_limits() -> None:
    most = Proposal(1, 1, b"", (Transform(2, 5),) * MAX_TRANSFORMS)
    assert decode(encode(most)).proposals == (most,)
    with pytest.raises(LocalMisuse):
        encode(replace(most, transforms=(*most.transforms, Transform(2, 5))))
    many = (Proposal(1, 1, b"", (Transform(2, 5),)),) * MAX_PROPOSALS
    body = encode(*many)
    assert decode(body).proposals == many
    with pytest.raises(WireError):
        decode(body[:32] + body)
    for proposals in ((), (*many, many[0])):
        with pytest.raises(LocalMisuse):
            encode(*proposals)


@pytest.mark.parametrize(
    "proposal",
    [
        replace(ESP_VALUE, number=256),
        replace(ESP_VALUE, spi=bytes(256)),
        replace(ESP_VALUE, transforms=(Transform(256, 1),)),
        replace(ESP_VALUE, transforms=(Transform(1, 1 << 16),)),
        replace(ESP_VALUE, transforms=(Transform(1, 12, 1 << 16),)),
        replace(ESP_VALUE, transforms=(Transform(1, 12, 128, bytes(1 << 16)),)),
    ],
)
def test_what_has_no_place_in_the_format_is_our_mistake(proposal: Proposal) -> None:
    with pytest.raises(LocalMisuse):
        encode(proposal)
