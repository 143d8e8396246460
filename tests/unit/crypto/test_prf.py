"""The PRF's interface and the bound of prf+. Its output is checked in tests/vectors."""

import pytest

from ikepy.crypto.prf import prf
from ikepy.crypto.secret import Secret
from ikepy.errors import LocalMisuse
from ikepy.wire.constants import Prf

FUNCTION = prf(Prf.HMAC_SHA2_256)


def test_chunks_are_one_message() -> None:
    assert FUNCTION.compute(b"key", b"ab", b"", b"c") == FUNCTION.compute(b"key", b"abc")


def test_a_secret_is_a_key_like_its_bytes() -> None:
    assert FUNCTION.compute(Secret(b"key"), b"abc") == FUNCTION.compute(b"key", b"abc")
    assert FUNCTION.plus(Secret(b"key"), b"abc", 99) == FUNCTION.plus(b"key", b"abc", 99)


def test_plus_of_255_blocks_and_not_a_byte_more() -> None:
    longest = FUNCTION.plus(b"key", b"seed", 255 * 32)
    assert len(longest) == 255 * 32
    with pytest.raises(LocalMisuse):
        FUNCTION.plus(b"key", b"seed", 255 * 32 + 1)


def test_plus_of_nothing() -> None:
    assert FUNCTION.plus(b"key", b"seed", 0) == Secret(b"")
    with pytest.raises(LocalMisuse):
        FUNCTION.plus(b"key", b"seed", -32)


def test_nonces_of_aes_are_cut_to_64_bits() -> None:
    """RFC 7296 2.14: for SKEYSEED alone."""
    nonces = bytes(range(32)), bytes(range(100, 116))
    assert FUNCTION.key_of_nonces(*nonces) == nonces[0] + nonces[1]
    for function in (prf(Prf.AES128_XCBC), prf(Prf.AES128_CMAC)):
        assert function.key_of_nonces(*nonces) == nonces[0][:8] + nonces[1][:8]
