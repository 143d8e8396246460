"""Sizes of keys, salts and checksums."""

import pytest

from ikepy.crypto.algorithms import (
    SUPPORTED_ENCR,
    SUPPORTED_INTEG,
    SUPPORTED_PRF,
    encr_key_size,
    has_nonces,
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
        (Encr.AES_CCM_8, 128, 19),
        (Encr.AES_CCM_16, 256, 35),
        (Encr.AES_CTR, 192, 28),
        (Encr.CAMELLIA_CBC, 256, 32),
        (Encr.TRIPLE_DES_CBC, None, 24),
    ],
)
def test_encr_key_size(encr: Encr, key_bits: int | None, size: int) -> None:
    assert encr_key_size(encr, key_bits) == size
    assert (encr, key_bits) in SUPPORTED_ENCR
    with_integ = {Encr.AES_CBC, Encr.AES_CTR, Encr.CAMELLIA_CBC, Encr.TRIPLE_DES_CBC}
    assert is_aead(encr) == (encr not in with_integ)
    assert has_nonces(encr) == (is_aead(encr) or encr == Encr.AES_CTR)


@pytest.mark.parametrize(
    ("encr", "key_bits"),
    [
        (Encr.AES_CBC, None),
        (Encr.AES_GCM_16, 64),
        (Encr.AES_GCM_16, 0),
        (Encr.CHACHA20_POLY1305, 256),
        (2, None),
        (Encr.TRIPLE_DES_CBC, 192),
        (Encr.NULL, None),
        (Encr.NULL_AES_GMAC, 128),
    ],
)
def test_unknown_encr(encr: int, key_bits: int | None) -> None:
    assert (encr, key_bits) not in SUPPORTED_ENCR
    with pytest.raises(LocalMisuse):
        encr_key_size(encr, key_bits)


@pytest.mark.parametrize(
    ("integ", "key"),
    [
        (Integ.HMAC_SHA1_96, 20),
        (Integ.HMAC_SHA2_256_128, 32),
        (Integ.HMAC_SHA2_384_192, 48),
        (Integ.HMAC_SHA2_512_256, 64),
        (Integ.AES_XCBC_96, 16),
        (Integ.AES_CMAC_96, 16),
        (Integ.NONE, 0),
        (None, 0),
    ],
)
def test_integ_sizes(integ: Integ | None, key: int) -> None:
    assert integ_key_size(integ) == key
    assert (integ in SUPPORTED_INTEG) == bool(integ)


def test_unknown_integ() -> None:
    with pytest.raises(LocalMisuse):
        integ_key_size(1)
    with pytest.raises(LocalMisuse):
        is_aead(2)


@pytest.mark.parametrize(
    ("prf_id", "size"),
    [
        (Prf.AES128_XCBC, 16),
        (Prf.AES128_CMAC, 16),
        (Prf.HMAC_SHA1, 20),
        (Prf.HMAC_SHA2_256, 32),
        (Prf.HMAC_SHA2_384, 48),
        (Prf.HMAC_SHA2_512, 64),
    ],
)
def test_prf_size(prf_id: Prf, size: int) -> None:
    assert prf(prf_id).id == prf_id
    assert prf(prf_id).size == size == len(prf(prf_id).compute(b"key", b"data"))
    assert prf_id in SUPPORTED_PRF


def test_unknown_prf() -> None:
    assert 3 not in SUPPORTED_PRF
    with pytest.raises(LocalMisuse):
        prf(3)


@pytest.mark.parametrize(("encr", "aead"), [(Encr.NULL, False), (Encr.NULL_AES_GMAC, True)])
def test_no_confidentiality_is_esps_alone(encr: Encr, aead: bool) -> None:
    """RFC 4543 2 and RFC 7296 3.3.2: IKE has no such cipher, but proposals of ESP are looked at."""
    assert is_aead(encr) is aead
    assert encr not in {number for number, _ in SUPPORTED_ENCR}
