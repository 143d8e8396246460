"""ChaCha20-Poly1305 in the Encrypted payload: the published message (RFC 7634 appendix B)."""

from ikepy.crypto.secret import Secret
from ikepy.crypto.sk_cipher import SkCipher
from ikepy.wire.constants import Encr
from tests.unit.crypto.randomness import none

SK_E = Secret(bytes(range(0x80, 0xA4)))  # key 80..9f, salt a0..a3
NOTIFY = bytes.fromhex("0000000c000040010000000a")
MESSAGE = bytes.fromhex(
    "c0c1c2c3c4c5c6c7d0d1d2d3d4d5d6d7"
    "2e202500000000090000004529000029"
    "10111213141516176103 94701f8d017f"
    "7c12924889 6b71bfe25236efd7cdc670"
    "66906315b2"
)
SK_BODY = 32


def cipher(first_iv: int = 0) -> SkCipher:
    return SkCipher(Encr.CHACHA20_POLY1305, None, None, SK_E, None, first_iv=first_iv)


def test_seal() -> None:
    sealed = cipher(first_iv=0x1011121314151617).seal(MESSAGE[:SK_BODY], NOTIFY, none)
    assert sealed == MESSAGE


def test_open() -> None:
    assert cipher().open(MESSAGE, SK_BODY) == NOTIFY


def test_body_length() -> None:
    assert cipher().body_length(len(NOTIFY)) == len(MESSAGE) - SK_BODY
