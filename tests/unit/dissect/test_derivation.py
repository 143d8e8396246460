"""Derivations, step by step, against the key schedule that the machine uses."""

from __future__ import annotations

from collections.abc import Sequence

import pytest

from ikepy.crypto.auth import SignedOctets, maced_id, psk_auth, resumption_auth
from ikepy.crypto.key_schedule import IkeKeys, IkeSuite, KeySchedule, Seed
from ikepy.crypto.secret import Secret
from ikepy.dissect import derivation
from ikepy.dissect.derivation import Covered, SkKeys, Step

SEED = Seed(b"i" * 32, b"r" * 48, b"I" * 8, b"R" * 8)
SUITES = [
    IkeSuite(20, 256, 5, None),
    IkeSuite(12, 128, 7, 14),
    IkeSuite(12, 192, 2, 2),
    IkeSuite(13, 256, 4, 5),  # AES-XCBC takes 64 bits of each nonce
]
SECRET, FURTHER, PPK, PSK = b"g" * 32, b"f" * 32, b"p" * 32, b"a secret"


def same(keys: SkKeys, theirs: IkeKeys) -> bool:
    names = ("sk_d", "sk_ai", "sk_ar", "sk_ei", "sk_er", "sk_pi", "sk_pr")
    return all(getattr(keys, name) == getattr(theirs, name).expose() for name in names)


def outputs(steps: Sequence[Step]) -> dict[str, bytes]:
    return {step.name: step.output for step in steps}


@pytest.mark.parametrize("suite", SUITES, ids=str)
def test_keys_of_an_ike_sa(suite: IkeSuite) -> None:
    schedule = KeySchedule.initial(suite, Secret(SECRET), SEED)
    steps, keys = derivation.initial(suite, SECRET, SEED)
    assert same(keys, schedule.keys)
    by_name = outputs(steps)
    assert by_name["SK_d"] == keys.sk_d and by_name["SK_pr"] == keys.sk_pr
    assert ("SK_ai" in by_name) is (suite.integ is not None)
    assert steps[0].inputs == (("Ni", SEED.nonce_i), ("Nr", SEED.nonce_r), ("g^ir", SECRET))
    assert steps[0].formula == "prf(Ni | Nr, g^ir)"

    more, mixed = derivation.further(suite, keys, FURTHER, SEED)
    assert same(mixed, schedule.extended(Secret(FURTHER), SEED).keys)
    assert more[0].name == "SKEYSEED(1)"
    _, with_ppk = derivation.with_ppk(suite, keys, PPK)
    assert same(with_ppk, schedule.with_ppk(Secret(PPK)).keys)
    _, resumed = derivation.resumed(suite, keys.sk_d, SEED)
    assert same(resumed, KeySchedule.resumed(suite, Secret(keys.sk_d), SEED).keys)


@pytest.mark.parametrize("secrets", [[SECRET], [SECRET, FURTHER]])
def test_keys_after_a_rekey(secrets: list[bytes]) -> None:
    old, new = SUITES[0], SUITES[1]
    schedule = KeySchedule.initial(old, Secret(SECRET), SEED)
    _, keys = derivation.initial(old, SECRET, SEED)
    steps, rekeyed = derivation.rekeyed(old.prf, keys.sk_d, new, secrets, SEED)
    assert same(rekeyed, schedule.rekeyed(new, [Secret(one) for one in secrets], SEED).keys)
    further = " | SK(1)" if secrets[1:] else ""
    assert steps[0].formula == f"prf(SK_d (old), g^ir | Ni | Nr{further})"


@pytest.mark.parametrize("secrets", [[], [SECRET], [SECRET, FURTHER]])
def test_keys_of_a_child(secrets: list[bytes]) -> None:
    schedule = KeySchedule.initial(SUITES[0], Secret(SECRET), SEED)
    nonces = (b"1" * 32, b"2" * 32)
    theirs = schedule.child_keys(*nonces, [Secret(one) for one in secrets], 16 + 32)
    sk_d = schedule.keys.sk_d.expose()
    steps, to_r, to_i = derivation.child(SUITES[0].prf, sk_d, *nonces, secrets, 16, 32)
    assert [to_r[0] + to_r[1], to_i[0] + to_i[1]] == [one.expose() for one in theirs]
    assert outputs(steps)["KEYMAT"] == b"".join(one.expose() for one in theirs)


@pytest.mark.parametrize("initiator", [True, False])
def test_auth(initiator: bool) -> None:
    covered = Covered(5, b"message", b"n" * 32, b"s" * 32, b"\2\0\0\0gw", b"int")
    octets = SignedOctets(b"message", b"n" * 32, maced_id(5, Secret(b"s" * 32), b"\2\0\0\0gw"), b"int")
    steps = derivation.auth(PSK, covered, initiator=initiator)
    assert steps[-1].output == psk_auth(5, Secret(PSK), octets)
    assert steps[0].name == ("MACedIDi" if initiator else "MACedIDr")
    assert derivation.resumption_auth(covered) == resumption_auth(5, Secret(b"s" * 32), octets)
