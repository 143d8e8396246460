"""Tokens of RFC 6290 5.1."""

from __future__ import annotations

import hashlib
import hmac

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ikepy.crypto.crash_token import TOKEN_SIZE, crash_token
from ikepy.crypto.secret import Secret
from ikepy.errors import LocalMisuse

SPI = st.binary(min_size=8, max_size=8)


@given(st.binary(min_size=32, max_size=32), SPI, SPI)
def test_a_keyed_hash_over_both_spis(secret: bytes, spi_i: bytes, spi_r: bytes) -> None:
    token = crash_token(Secret(secret), spi_i, spi_r)
    assert token == hmac.digest(secret, spi_i + spi_r, hashlib.sha256)[:TOKEN_SIZE]
    assert len(token) in range(16, 129)


def test_each_input_counts() -> None:
    made = {
        crash_token(Secret(secret * 32), spi_i * 8, spi_r * 8)
        for secret in (b"\1", b"\2")
        for spi_i in (b"\3", b"\4")
        for spi_r in (b"\3", b"\4")
    }
    assert len(made) == 8


@pytest.mark.parametrize("spi", [b"", bytes(7), bytes(9)])
def test_an_spi_has_eight_octets(spi: bytes) -> None:
    with pytest.raises(LocalMisuse):
        crash_token(Secret(bytes(32)), spi, bytes(8))
    with pytest.raises(LocalMisuse):
        crash_token(Secret(bytes(32)), bytes(8), spi)
