"""AES-CMAC-96 (RFC 4494 5) and AES-CMAC-PRF-128 (RFC 4615 4), with the published vectors."""

import pytest

from esp.sa.macs import AES_CMAC, aes_mac, keyed_mac
from ikepy.crypto.prf import prf
from ikepy.wire.constants import Prf

KEY = bytes.fromhex("2b7e151628aed2a6abf7158809cf4f3c")
MESSAGE = bytes.fromhex(
    "6bc1bee22e409f96e93d7e117393172aae2d8a571e03ac9c9eb76fac45af8e51"
    "30c81c46a35ce411e5fbc1191a0a52eff69f2445df4f9b17ad2b417be66c3710"
)


@pytest.mark.parametrize(
    ("length", "mac"),
    [
        (0, "bb1d6929e95937287fa37d12"),
        (16, "070a16b46b4d4144f79bdd9d"),
        (40, "dfa66747de9ae63030ca3261"),
        (64, "51f0bebf7e3b9d92fc497417"),
    ],
)
def test_mac(length: int, mac: str) -> None:
    assert aes_mac(AES_CMAC, KEY, MESSAGE[:length])[:12].hex() == mac


def test_mac_in_pieces() -> None:
    keyed = keyed_mac(AES_CMAC, KEY)
    copy = keyed.copy()
    for at in range(0, 64, 7):
        copy.update(MESSAGE[at : at + 7])
    assert copy.digest()[:12].hex() == "51f0bebf7e3b9d92fc497417"
    assert keyed.digest()[:12].hex() == "bb1d6929e95937287fa37d12"


@pytest.mark.parametrize(
    ("key", "output"),
    [
        (bytes(range(16)) + b"\xed\xcb", "84a348a4a45d235babfffc0d2b4da09a"),
        (bytes(range(16)), "980ae87b5f4c9c5214f5b6a8455e4c2d"),
        (bytes(range(10)), "290d9e112edb09ee141fcf64c0b72f3d"),
    ],
    ids=["longer", "as long", "shorter"],
)
def test_prf(key: bytes, output: str) -> None:
    assert prf(Prf.AES128_CMAC).compute(key, bytes(range(20))).hex() == output
