"""prf+ and every derivation of RFC 7296 2.13 to 2.18, written out a second time with the standard library."""

import hashlib
import hmac

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ikepy.crypto.algorithms import encr_key_size, integ_key_size
from ikepy.crypto.auth import SignedOctets, maced_id, psk_auth
from ikepy.crypto.key_schedule import IkeKeys, IkeSuite, KeySchedule, Seed
from ikepy.crypto.prf import prf
from ikepy.crypto.secret import Secret
from ikepy.wire.constants import Encr, Integ, Prf

DIGESTS = {
    Prf.HMAC_SHA1: hashlib.sha1,
    Prf.HMAC_SHA2_256: hashlib.sha256,
    Prf.HMAC_SHA2_384: hashlib.sha384,
    Prf.HMAC_SHA2_512: hashlib.sha512,
}
NI, NR = b"i" * 32, b"r" * 48
SPI_I, SPI_R = b"\x01" * 8, b"\x02" * 8
SEED = Seed(NI, NR, SPI_I, SPI_R)
G_IR, G_IR_NEW = b"\x00\x07" * 64, b"\x00\x09" * 32

SUITES = [
    IkeSuite(Encr.AES_CBC, 128, Prf.HMAC_SHA1, Integ.HMAC_SHA1_96),
    IkeSuite(Encr.AES_CBC, 192, Prf.HMAC_SHA2_256, Integ.HMAC_SHA2_256_128),
    IkeSuite(Encr.AES_CBC, 256, Prf.HMAC_SHA2_384, Integ.HMAC_SHA2_384_192),
    IkeSuite(Encr.AES_CBC, 256, Prf.HMAC_SHA2_512, Integ.HMAC_SHA2_512_256),
    IkeSuite(Encr.AES_GCM_16, 128, Prf.HMAC_SHA2_256, None),
    IkeSuite(Encr.CHACHA20_POLY1305, None, Prf.HMAC_SHA2_512, None),
]


def mac(prf_id: int, key: bytes, data: bytes) -> bytes:
    return hmac.new(key, data, DIGESTS[Prf(prf_id)]).digest()


def plus(prf_id: int, key: bytes, seed: bytes, length: int) -> bytes:
    blocks = [b""]
    while len(b"".join(blocks)) < length:
        blocks.append(mac(prf_id, key, blocks[-1] + seed + bytes([len(blocks)])))
    return b"".join(blocks)[:length]


def schedule(prf_id: int, sk_d: bytes) -> KeySchedule:
    """Of an IKE SA with this PRF and SK_d."""
    suite = IkeSuite(Encr.AES_GCM_16, 128, prf_id, None)
    return KeySchedule(suite, IkeKeys(Secret(sk_d), *(Secret(b"") for _ in range(6))))


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
    keys = KeySchedule.initial(suite, Secret(G_IR), SEED).keys
    skeyseed = mac(suite.prf, NI + NR, G_IR)
    check_expansion(suite, skeyseed, keys.sk_d, keys.sk_ai, keys.sk_ar, keys.sk_ei, keys.sk_er)
    tail = Secret.join(keys.sk_pi, keys.sk_pr).expose()
    assert keymat(suite, skeyseed).endswith(tail)
    assert len(keys.sk_pi) == len(keys.sk_pr) == len(keys.sk_d) == prf(suite.prf).size


@pytest.mark.parametrize("suite", SUITES, ids=str)
@pytest.mark.parametrize("old_prf", DIGESTS)
def test_rekeyed_ike_keys(suite: IkeSuite, old_prf: Prf) -> None:
    keys = schedule(old_prf, b"d" * 20).rekeyed(suite, (Secret(G_IR_NEW),), SEED).keys
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


SK = (b"first" * 8, b"second" * 8, b"third" * 4)


@pytest.mark.parametrize("suite", SUITES, ids=str)
def test_extended_ike_keys(suite: IkeSuite) -> None:
    """RFC 9370 2.2.2: SKEYSEED(n) = prf(SK_d(n-1), SK(n) | Ni | Nr), twice over."""
    got = KeySchedule.initial(suite, Secret(SK[0]), SEED)
    sk_d = got.keys.sk_d.expose()
    for secret in SK[1:]:
        got = got.extended(Secret(secret), SEED)
        skeyseed = mac(suite.prf, sk_d, secret + NI + NR)
        keys = got.keys
        check_expansion(suite, skeyseed, keys.sk_d, keys.sk_ai, keys.sk_ar, keys.sk_ei, keys.sk_er)
        assert keymat(suite, skeyseed).endswith(Secret.join(keys.sk_pi, keys.sk_pr).expose())
        sk_d = keymat(suite, skeyseed)[: len(sk_d)]
    first, second = got.child_keys(NI, NR, (), 68)
    assert Secret.join(first, second).expose() == plus(suite.prf, sk_d, NI + NR, 136)


@pytest.mark.parametrize("suite", SUITES, ids=str)
def test_several_key_exchanges_of_a_rekey(suite: IkeSuite) -> None:
    """RFC 9370 2.2.4: prf(SK_d, SK(0) | Ni | Nr | SK(1) | ... | SK(n)), and prf+ of the same for a child."""
    old = schedule(suite.prf, b"d" * 32)
    secrets = [Secret(one) for one in SK]
    all_secrets = SK[0] + NI + NR + SK[1] + SK[2]
    keys = old.rekeyed(suite, secrets, SEED).keys
    skeyseed = mac(suite.prf, b"d" * 32, all_secrets)
    check_expansion(suite, skeyseed, keys.sk_d, keys.sk_ai, keys.sk_ar, keys.sk_ei, keys.sk_er)
    pair = old.child_keys(NI, NR, secrets, 68)
    assert Secret.join(*pair).expose() == plus(suite.prf, b"d" * 32, all_secrets, 136)


@pytest.mark.parametrize("prf_id", DIGESTS)
@pytest.mark.parametrize("shared", [None, G_IR_NEW])
def test_child_keys(prf_id: Prf, shared: bytes | None) -> None:
    secrets = () if shared is None else (Secret(shared),)
    first, second = schedule(prf_id, b"d" * 32).child_keys(NI, NR, secrets, 68)
    expected = plus(prf_id, b"d" * 32, (shared or b"") + NI + NR, 136)
    assert (first.expose(), second.expose()) == (expected[:68], expected[68:])


@pytest.mark.parametrize("prf_id", DIGESTS)
def test_psk_auth(prf_id: Prf) -> None:
    id_body = b"\x02\0\0\0gateway.example"
    octets = SignedOctets(b"first message", NR, maced_id(prf_id, Secret(b"p" * 32), id_body), b"between")
    auth = psk_auth(prf_id, Secret(b"a shared key"), octets)
    key = mac(prf_id, b"a shared key", b"Key Pad for IKEv2")
    assert auth == mac(prf_id, key, b"first message" + NR + mac(prf_id, b"p" * 32, id_body) + b"between")
