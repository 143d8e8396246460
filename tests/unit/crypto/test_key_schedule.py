"""Suites: their names, and what is no suite. The keys themselves are checked in tests/vectors."""

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
        IkeSuite(Encr.AES_GCM_16, 128, 4, None),
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
