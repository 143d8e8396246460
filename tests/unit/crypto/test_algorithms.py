"""Sizes of keys, salts and checksums."""

import pytest

from ikepy.crypto.algorithms import (
    SUPPORTED_ENCR,
    SUPPORTED_INTEG,
    SUPPORTED_PRF,
    encr_key_size,
    integ_icv_size,
    integ_key_size,
    is_aead,
)
from ikepy.crypto.prf import prf
from ikepy.errors import LocalMisuse
from ikepy.wire.constants import Encr, Integ, Prf


@pytest.mark.parametrize(
    ("encr", "key_bits", "size"),
    [
        (Encr.AES_CBC, 128, 16),
        (Encr.AES_CBC, 192, 24),
        (Encr.AES_CBC, 256, 32),
        (Encr.AES_GCM_8, 128, 20),
        (Encr.AES_GCM_12, 192, 28),
        (Encr.AES_GCM_16, 256, 36),
        (Encr.CHACHA20_POLY1305, None, 36),
    ],
)
def test_encr_key_size(encr: Encr, key_bits: int | None, size: int) -> None:
    assert encr_key_size(encr, key_bits) == size
    assert (encr, key_bits) in SUPPORTED_ENCR
    assert is_aead(encr) == (encr != Encr.AES_CBC)


@pytest.mark.parametrize(
    ("encr", "key_bits"),
    [
        (Encr.AES_CBC, None),
        (Encr.AES_GCM_16, 64),
        (Encr.AES_GCM_16, 0),
        (Encr.CHACHA20_POLY1305, 256),
        (3, None),
    ],
)
def test_unknown_encr(encr: int, key_bits: int | None) -> None:
    assert (encr, key_bits) not in SUPPORTED_ENCR
    with pytest.raises(LocalMisuse):
        encr_key_size(encr, key_bits)


@pytest.mark.parametrize(
    ("integ", "key", "icv"),
    [
        (Integ.HMAC_SHA1_96, 20, 12),
        (Integ.HMAC_SHA2_256_128, 32, 16),
        (Integ.HMAC_SHA2_384_192, 48, 24),
        (Integ.HMAC_SHA2_512_256, 64, 32),
        (Integ.NONE, 0, 0),
        (None, 0, 0),
    ],
)
def test_integ_sizes(integ: Integ | None, key: int, icv: int) -> None:
    assert integ_key_size(integ) == key
    assert integ_icv_size(integ) == icv
    assert (integ in SUPPORTED_INTEG) == bool(integ)


def test_unknown_integ() -> None:
    with pytest.raises(LocalMisuse):
        integ_key_size(5)
    with pytest.raises(LocalMisuse):
        integ_icv_size(5)
    with pytest.raises(LocalMisuse):
        is_aead(3)


@pytest.mark.parametrize(
    ("prf_id", "size"),
    [(Prf.HMAC_SHA1, 20), (Prf.HMAC_SHA2_256, 32), (Prf.HMAC_SHA2_384, 48), (Prf.HMAC_SHA2_512, 64)],
)
def test_prf_size(prf_id: Prf, size: int) -> None:
    assert prf(prf_id).id == prf_id
    assert prf(prf_id).size == size == len(prf(prf_id).compute(b"key", b"data"))
    assert prf_id in SUPPORTED_PRF


def test_unknown_prf() -> None:
    assert 4 not in SUPPORTED_PRF
    with pytest.raises(LocalMisuse):
        prf(4)
