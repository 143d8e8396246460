"""Suites: their names, and what is no suite. The keys themselves are checked in tests/vectors."""

import pytest

from ikepy.crypto.keymat import IkeSuite, derive_child_keys, derive_ike_keys
from ikepy.crypto.secret import Secret
from ikepy.errors import LocalMisuse
from ikepy.wire.constants import Encr, Integ, KeGroup, Prf

CBC = IkeSuite(Encr.AES_CBC, 256, Prf.HMAC_SHA2_384, Integ.HMAC_SHA2_384_192, KeGroup.ECP_384)
GCM = IkeSuite(Encr.AES_GCM_16, 128, Prf.HMAC_SHA2_256, None, KeGroup.CURVE_25519)
CHACHA = IkeSuite(Encr.CHACHA20_POLY1305, None, Prf.HMAC_SHA2_512, None, KeGroup.MODP_2048)


@pytest.mark.parametrize(
    ("suite", "name"),
    [
        (CBC, "AES_CBC_256/HMAC_SHA2_384_192/PRF_HMAC_SHA2_384/ECP_384"),
        (GCM, "AES_GCM_16_128/PRF_HMAC_SHA2_256/CURVE_25519"),
        (CHACHA, "CHACHA20_POLY1305/PRF_HMAC_SHA2_512/MODP_2048"),
    ],
)
def test_name(suite: IkeSuite, name: str) -> None:
    assert str(suite) == name


@pytest.mark.parametrize(
    "suite",
    [
        IkeSuite(Encr.AES_CBC, 128, Prf.HMAC_SHA2_256, None, KeGroup.ECP_256),
        IkeSuite(Encr.AES_GCM_16, 128, Prf.HMAC_SHA2_256, Integ.HMAC_SHA2_256_128, KeGroup.ECP_256),
        IkeSuite(Encr.AES_GCM_16, None, Prf.HMAC_SHA2_256, None, KeGroup.ECP_256),
        IkeSuite(Encr.AES_GCM_16, 128, 4, None, KeGroup.ECP_256),
    ],
)
def test_impossible_suite(suite: IkeSuite) -> None:
    with pytest.raises(LocalMisuse):
        derive_ike_keys(suite, Secret(b"g" * 32), b"i" * 16, b"r" * 16, b"1" * 8, b"2" * 8)


def test_every_input_changes_the_keys() -> None:
    inputs = [b"i" * 16, b"r" * 16, b"1" * 8, b"2" * 8]
    base = derive_ike_keys(GCM, Secret(b"g" * 32), *inputs)
    for position in range(len(inputs)):
        changed = list(inputs)
        changed[position] = b"x" + changed[position][1:]
        assert derive_ike_keys(GCM, Secret(b"g" * 32), *changed).sk_ei != base.sk_ei
    assert derive_ike_keys(GCM, Secret(b"h" * 32), *inputs).sk_ei != base.sk_ei


def test_inputs_are_left_alone() -> None:
    shared, sk_d = Secret(b"g" * 32), Secret(b"d" * 32)
    derive_ike_keys(GCM, shared, b"i" * 16, b"r" * 16, b"1" * 8, b"2" * 8)
    derive_child_keys(Prf.HMAC_SHA2_256, sk_d, b"i" * 16, b"r" * 16, shared, 36)
    assert (shared.expose(), sk_d.expose()) == (b"g" * 32, b"d" * 32)


def test_more_child_key_than_prf_plus_has() -> None:
    with pytest.raises(LocalMisuse):
        derive_child_keys(Prf.HMAC_SHA2_256, Secret(b"d" * 32), b"i" * 16, b"r" * 16, None, 4081)
