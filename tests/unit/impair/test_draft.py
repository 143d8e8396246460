"""`impair.draft`: without a change it makes what the encoders of `ikepy.wire` and `fragments` make."""

from __future__ import annotations

import random
from collections.abc import Callable, Sequence

import pytest

from ikepy.crypto.secret import Secret
from ikepy.crypto.sk_cipher import SkCipher
from ikepy.errors import WireError
from ikepy.impair.draft import Draft, decode, sizes
from ikepy.impair.proofs import CHILD
from ikepy.sa.message.encoding import encode
from ikepy.wire.constants import Encr, ExchangeType, HeaderFlag, Integ, NotifyType, PayloadType
from ikepy.wire.message import IkeHeader, encode_payloads
from ikepy.wire.payloads import NotifyPayload, Payload, UnknownPayload, VendorIdPayload

HEADER = IkeHeader(b"initiate", b"responds", ExchangeType.INFORMATIONAL, HeaderFlag.INITIATOR, 7)
PAYLOADS: list[Payload] = [
    VendorIdPayload(b"somebody"),
    UnknownPayload(200, True, b"?"),
    NotifyPayload(NotifyType.INITIAL_CONTACT),
]


def gcm() -> SkCipher:
    return SkCipher(Encr.AES_GCM_16, 128, None, Secret(bytes(20)), Secret(b""))


def cbc() -> SkCipher:
    return SkCipher(Encr.AES_CBC, 128, Integ.HMAC_SHA2_256_128, Secret(bytes(16)), Secret(bytes(32)))


def drawn() -> random.Random:
    return random.Random("draft")


@pytest.mark.parametrize("payloads", [PAYLOADS, []])
def test_unprotected(payloads: Sequence[Payload]) -> None:
    draft = Draft.of(HEADER, payloads, protected=False)
    assert draft.encode(None, drawn().randbytes, None) == encode(
        "ab", HEADER, payloads, None, drawn().randbytes, None
    )


@pytest.mark.parametrize("make", [gcm, cbc])
@pytest.mark.parametrize("payloads", [PAYLOADS, []])
@pytest.mark.parametrize("limit", [None, 500, 100])
def test_protected(make: Callable[[], SkCipher], payloads: Sequence[Payload], limit: int | None) -> None:
    draft = Draft.of(HEADER, payloads, protected=True)
    right = encode("ab", HEADER, payloads, make(), drawn().randbytes, limit)
    made = draft.encode(make(), drawn().randbytes, limit)
    assert len(made) >= len(right)
    if len(right) == 1:
        assert made == right


@pytest.mark.parametrize(("make", "found"), [(gcm, (1, 8 + 16)), (cbc, (16, 16 + 16))])
def test_sizes_of_a_cipher(make: Callable[[], SkCipher], found: tuple[int, int]) -> None:
    assert sizes(make()) == found


def test_a_chain_is_decoded() -> None:
    parts = decode(*encode_payloads(PAYLOADS))
    assert [part.type for part in parts] == [PayloadType.VENDOR_ID, 200, PayloadType.NOTIFY]
    assert [part.flags for part in parts] == [0, 0x80, 0]
    assert parts[2].notify == NotifyType.INITIAL_CONTACT
    with pytest.raises(WireError):
        decode(PayloadType.NOTIFY, b"\0\0\0\x03")


def test_parts_are_dropped_by_identity() -> None:
    draft = Draft.of(HEADER, [VendorIdPayload(b"a"), VendorIdPayload(b"a")], protected=False)
    draft.drop(draft.of_type(PayloadType.VENDOR_ID)[:1])
    assert len(draft.parts) == 1
    assert not draft.of_type(*CHILD)
