"""Suites: their names, and what is no suite. The keys themselves are checked in tests/vectors."""

import hashlib
import hmac

import pytest

from ikepy.crypto.key_schedule import IkeKeys, IkeSuite, KeySchedule, Seed
from ikepy.crypto.secret import Secret
from ikepy.errors import LocalMisuse
from ikepy.wire.constants import Encr, Integ, Prf

CBC = IkeSuite(Encr.AES_CBC, 256, Prf.HMAC_SHA2_384, Integ.HMAC_SHA2_384_192)
GCM = IkeSuite(Encr.AES_GCM_16, 128, Prf.HMAC_SHA2_256, None)
INPUTS = [b"i" * 16, b"r" * 16, b"1" * 8, b"2" * 8]  # of a seed
CHACHA = IkeSuite(Encr.CHACHA20_POLY1305, None, Prf.HMAC_SHA2_512, None)


@pytest.mark.parametrize(
    ("suite", "name"),
    [
        (CBC, "AES_CBC_256/HMAC_SHA2_384_192/PRF_HMAC_SHA2_384"),
        (GCM, "AES_GCM_16_128/PRF_HMAC_SHA2_256"),
        (CHACHA, "CHACHA20_POLY1305/PRF_HMAC_SHA2_512"),
    ],
)
def test_name(suite: IkeSuite, name: str) -> None:
    assert str(suite) == name


@pytest.mark.parametrize(
    "suite",
    [
        IkeSuite(Encr.AES_CBC, 128, Prf.HMAC_SHA2_256, None),
        IkeSuite(Encr.AES_GCM_16, 128, Prf.HMAC_SHA2_256, Integ.HMAC_SHA2_256_128),
        IkeSuite(Encr.AES_GCM_16, None, Prf.HMAC_SHA2_256, None),
        IkeSuite(Encr.AES_GCM_16, 128, 3, None),
    ],
)
def test_impossible_suite(suite: IkeSuite) -> None:
    with pytest.raises(LocalMisuse):
        KeySchedule.initial(suite, Secret(b"g" * 32), Seed(*INPUTS))


def test_every_input_changes_the_keys() -> None:
    base = KeySchedule.initial(GCM, Secret(b"g" * 32), Seed(*INPUTS))
    further = base.extended(Secret(b"k" * 32), Seed(*INPUTS))
    for position in range(len(INPUTS)):
        changed = list(INPUTS)
        changed[position] = b"x" + changed[position][1:]
        other = KeySchedule.initial(GCM, Secret(b"g" * 32), Seed(*changed))
        assert other.keys.sk_ei != base.keys.sk_ei
        assert base.extended(Secret(b"k" * 32), Seed(*changed)).keys.sk_ei != further.keys.sk_ei
    assert KeySchedule.initial(GCM, Secret(b"h" * 32), Seed(*INPUTS)).keys.sk_ei != base.keys.sk_ei
    assert base.extended(Secret(b"l" * 32), Seed(*INPUTS)).keys.sk_ei != further.keys.sk_ei


def test_inputs_are_left_alone() -> None:
    shared = Secret(b"g" * 32)
    first = KeySchedule.initial(GCM, shared, Seed(*INPUTS))
    sk_d = first.keys.sk_d.expose()
    first.extended(shared, Seed(*INPUTS))
    first.rekeyed(CBC, (shared,), Seed(*INPUTS))
    first.child_keys(b"i" * 16, b"r" * 16, (shared,), 36)
    assert (shared.expose(), first.keys.sk_d.expose()) == (b"g" * 32, sk_d)


def test_a_wiped_schedule_derives_nothing() -> None:
    schedule = KeySchedule.initial(GCM, Secret(b"g" * 32), Seed(*INPUTS))
    schedule.wipe()
    with pytest.raises(LocalMisuse):
        schedule.child_keys(b"i" * 16, b"r" * 16, (), 36)


def test_more_child_key_than_prf_plus_has() -> None:
    keys = IkeKeys(Secret(b"d" * 32), *(Secret(b"") for _ in range(6)))
    with pytest.raises(LocalMisuse):
        KeySchedule(GCM, keys).child_keys(b"i" * 16, b"r" * 16, (), 4081)


# -- several key exchanges, computed otherwise (RFC 9370 2.2.2, 2.2.4) --------------------------------

NI, NR, SPIS = b"i" * 32, b"r" * 32, b"spi of i" + b"spi of r"
SECRETS = [b"0" * 32, b"1" * 32, b"2" * 64]


def mac(key: bytes, *data: bytes) -> bytes:
    return hmac.new(key, b"".join(data), hashlib.sha384).digest()


def mac_plus(key: bytes, seed: bytes, size: int) -> bytes:
    out = block = b""
    for n in range(1, 256):
        block = mac(key, block, seed, bytes([n]))
        out += block
    return out[:size]


def seven(skeyseed: bytes) -> list[bytes]:
    """The keys of AES_GCM_16 with 256 bits: SK_d, no SK_a, SK_e with its salt, SK_p."""
    sizes = (48, 0, 0, 36, 36, 48, 48)
    stream = mac_plus(skeyseed, NI + NR + SPIS, sum(sizes))
    starts = [sum(sizes[:n]) for n in range(len(sizes))]
    return [stream[start : start + size] for start, size in zip(starts, sizes, strict=True)]


def exposed(schedule: KeySchedule) -> list[bytes]:
    keys = schedule.keys
    every = (keys.sk_d, keys.sk_ai, keys.sk_ar, keys.sk_ei, keys.sk_er, keys.sk_pi, keys.sk_pr)
    return [one.expose() for one in every]


def test_several_key_exchanges() -> None:
    suite, seed = IkeSuite(Encr.AES_GCM_16, 256, Prf.HMAC_SHA2_384, None), Seed(NI, NR, SPIS[:8], SPIS[8:])
    secrets = [Secret(one) for one in SECRETS]
    schedule = KeySchedule.initial(suite, secrets[0], seed)
    expected = seven(mac(NI + NR, SECRETS[0]))
    assert exposed(schedule) == expected
    for secret in secrets[1:]:  # SKEYSEED(n) = prf(SK_d(n-1), SK(n) | Ni | Nr)
        schedule = schedule.extended(secret, seed)
        expected = seven(mac(expected[0], secret.expose(), NI, NR))
        assert exposed(schedule) == expected
    # SKEYSEED = prf(SK_d, SK(0) | Ni | Nr | SK(1) | SK(2))
    mixed = SECRETS[0] + NI + NR + SECRETS[1] + SECRETS[2]
    assert exposed(schedule.rekeyed(suite, secrets, seed)) == seven(mac(expected[0], mixed))
    # KEYMAT = prf+(SK_d, SK(0) | Ni | Nr | SK(1) | SK(2))
    keymat = b"".join(one.expose() for one in schedule.child_keys(NI, NR, secrets, 36))
    assert keymat == mac_plus(expected[0], mixed, 72)
