"""AES-XCBC-MAC (RFC 3566 4.6) and AES-XCBC-PRF-128 (RFC 4434 3), with the published vectors."""

import pytest

from esp.sa.macs import AES_XCBC, aes_mac, keyed_mac
from ikepy.crypto.prf import prf
from ikepy.wire.constants import Prf

KEY = bytes(range(16))
VECTORS = [
    (bytes(range(0)), "75f0251d528ac01c4573dfd584d79f29"),
    (bytes(range(3)), "5b376580ae2f19afe7219ceef172756f"),
    (bytes(range(16)), "d2a246fa349b68a79998a4394ff7a263"),
    (bytes(range(20)), "47f51b4564966215b8985c63055ed308"),
    (bytes(range(32)), "f54f0ec8d2b9f3d36807734bd5283fd4"),
    (bytes(range(34)), "becbb3bccdb518a30677d5481fb6b4d8"),
    (bytes(1000), "f0dafee895db30253761103b5d84528f"),
]


@pytest.mark.parametrize(("message", "mac"), VECTORS, ids=[f"{len(message)}" for message, _ in VECTORS])
def test_mac(message: bytes, mac: str) -> None:
    assert aes_mac(AES_XCBC, KEY, message).hex() == mac


def test_mac_in_pieces() -> None:
    keyed = keyed_mac(AES_XCBC, KEY)
    copy = keyed.copy()
    for at in range(0, 34, 5):
        copy.update(bytes(range(34))[at : at + 5])
    assert copy.digest().hex() == VECTORS[5][1]
    assert keyed.digest().hex() == VECTORS[0][1]


@pytest.mark.parametrize(
    ("key", "output"),
    [
        (KEY, "47f51b4564966215b8985c63055ed308"),
        (KEY[:10], "0fa087af7d866e7653434e602fdde835"),
        (KEY + b"\xed\xcb", "8cd3c93ae598a9803006ffb67c40e9e4"),
    ],
    ids=["as long", "shorter", "longer"],
)
def test_prf(key: bytes, output: str) -> None:
    assert prf(Prf.AES128_XCBC).compute(key, bytes(range(20))).hex() == output
