"""prf+ and every derivation of RFC 7296 2.13 to 2.18, written out a second time with the standard library."""

import hashlib
import hmac

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ikepy.crypto.algorithms import encr_key_size, integ_key_size
from ikepy.crypto.auth import psk_auth
from ikepy.crypto.keymat import IkeSuite, derive_child_keys, derive_ike_keys, rekey_ike_keys
from ikepy.crypto.prf import prf
from ikepy.crypto.secret import Secret
from ikepy.wire.constants import Encr, Integ, KeGroup, Prf

DIGESTS = {
    Prf.HMAC_SHA1: hashlib.sha1,
    Prf.HMAC_SHA2_256: hashlib.sha256,
    Prf.HMAC_SHA2_384: hashlib.sha384,
    Prf.HMAC_SHA2_512: hashlib.sha512,
}
NI, NR = b"i" * 32, b"r" * 48
SPI_I, SPI_R = b"\x01" * 8, b"\x02" * 8
G_IR, G_IR_NEW = b"\x00\x07" * 64, b"\x00\x09" * 32

SUITES = [
    IkeSuite(Encr.AES_CBC, 128, Prf.HMAC_SHA1, Integ.HMAC_SHA1_96, KeGroup.MODP_1024),
    IkeSuite(Encr.AES_CBC, 192, Prf.HMAC_SHA2_256, Integ.HMAC_SHA2_256_128, KeGroup.MODP_2048),
    IkeSuite(Encr.AES_CBC, 256, Prf.HMAC_SHA2_384, Integ.HMAC_SHA2_384_192, KeGroup.ECP_384),
    IkeSuite(Encr.AES_CBC, 256, Prf.HMAC_SHA2_512, Integ.HMAC_SHA2_512_256, KeGroup.ECP_521),
    IkeSuite(Encr.AES_GCM_16, 128, Prf.HMAC_SHA2_256, None, KeGroup.CURVE_25519),
    IkeSuite(Encr.CHACHA20_POLY1305, None, Prf.HMAC_SHA2_512, None, KeGroup.CURVE_448),
]


def mac(prf_id: int, key: bytes, data: bytes) -> bytes:
    return hmac.new(key, data, DIGESTS[Prf(prf_id)]).digest()


def plus(prf_id: int, key: bytes, seed: bytes, length: int) -> bytes:
    blocks = [b""]
    while len(b"".join(blocks)) < length:
        blocks.append(mac(prf_id, key, blocks[-1] + seed + bytes([len(blocks)])))
    return b"".join(blocks)[:length]


@given(
    prf_id=st.sampled_from(list(DIGESTS)),
    key=st.binary(min_size=1, max_size=200),
    seed=st.binary(max_size=100),
    length=st.integers(0, 600),
)
def test_prf_plus(prf_id: Prf, key: bytes, seed: bytes, length: int) -> None:
    assert prf(prf_id).plus(key, seed, length).expose() == plus(prf_id, key, seed, length)


@pytest.mark.parametrize("suite", SUITES, ids=str)
def test_ike_keys(suite: IkeSuite) -> None:
    keys = derive_ike_keys(suite, Secret(G_IR), NI, NR, SPI_I, SPI_R)
    skeyseed = mac(suite.prf, NI + NR, G_IR)
    check_expansion(suite, skeyseed, keys.sk_d, keys.sk_ai, keys.sk_ar, keys.sk_ei, keys.sk_er)
    tail = Secret.join(keys.sk_pi, keys.sk_pr).expose()
    assert keymat(suite, skeyseed).endswith(tail)
    assert len(keys.sk_pi) == len(keys.sk_pr) == len(keys.sk_d) == prf(suite.prf).size


@pytest.mark.parametrize("suite", SUITES, ids=str)
@pytest.mark.parametrize("old_prf", DIGESTS)
def test_rekeyed_ike_keys(suite: IkeSuite, old_prf: Prf) -> None:
    keys = rekey_ike_keys(suite, old_prf, Secret(b"d" * 20), Secret(G_IR_NEW), NI, NR, SPI_I, SPI_R)
    skeyseed = mac(old_prf, b"d" * 20, G_IR_NEW + NI + NR)
    check_expansion(suite, skeyseed, keys.sk_d, keys.sk_ai, keys.sk_ar, keys.sk_ei, keys.sk_er)


def keymat(suite: IkeSuite, skeyseed: bytes) -> bytes:
    encr, integ = encr_key_size(suite.encr, suite.key_bits), integ_key_size(suite.integ)
    length = 3 * prf(suite.prf).size + 2 * encr + 2 * integ
    return plus(suite.prf, skeyseed, NI + NR + SPI_I + SPI_R, length)


def check_expansion(suite: IkeSuite, skeyseed: bytes, *keys: Secret) -> None:
    assert keymat(suite, skeyseed).startswith(Secret.join(*keys).expose())
    encr, integ = encr_key_size(suite.encr, suite.key_bits), integ_key_size(suite.integ)
    assert [len(key) for key in keys] == [prf(suite.prf).size, integ, integ, encr, encr]


@pytest.mark.parametrize("prf_id", DIGESTS)
@pytest.mark.parametrize("shared", [None, G_IR_NEW])
def test_child_keys(prf_id: Prf, shared: bytes | None) -> None:
    secret = Secret(shared) if shared is not None else None
    first, second = derive_child_keys(prf_id, Secret(b"d" * 32), NI, NR, secret, 68)
    expected = plus(prf_id, b"d" * 32, (shared or b"") + NI + NR, 136)
    assert (first.expose(), second.expose()) == (expected[:68], expected[68:])


@pytest.mark.parametrize("prf_id", DIGESTS)
def test_psk_auth(prf_id: Prf) -> None:
    id_body = b"\x02\0\0\0gateway.example"
    auth = psk_auth(prf_id, Secret(b"a shared key"), b"first message", NR, Secret(b"p" * 32), id_body)
    key = mac(prf_id, b"a shared key", b"Key Pad for IKEv2")
    assert auth == mac(prf_id, key, b"first message" + NR + mac(prf_id, b"p" * 32, id_body))
