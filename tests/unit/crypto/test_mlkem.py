"""ikepy.crypto.kex.mlkem: ML-KEM between two ends, and what is refused (FIPS 203 7.2, 7.3)."""

from __future__ import annotations

import pytest

from ikepy.crypto.kex import mlkem, registry
from ikepy.crypto.kex.mlkem import MlKem
from ikepy.errors import LocalMisuse, PeerError
from ikepy.sa.api.computation import QUICK
from ikepy.wire.constants import KeGroup, NotifyType
from tests.unit.crypto.randomness import seeded

ML_KEM_512 = 35  # draft-ietf-ipsecme-ikev2-mlkem 4
SET = pytest.mark.parametrize("method", mlkem.METHODS, ids=lambda method: method.name)


@SET
def test_agrees(method: MlKem) -> None:
    begun = method.begin(seeded(1))()
    ciphertext, secret = method.respond(seeded(2), begun.public)()
    assert (len(begun.public), len(ciphertext), len(secret)) == (method.key_size, method.ciphertext_size, 32)
    assert begun.finish(ciphertext) == secret


@SET
def test_every_secret_is_another_one(method: MlKem) -> None:
    begun = method.begin(seeded(1))()
    first, second = (method.respond(seeded(2), begun.public)()[1] for _ in range(2))
    assert first != second


@SET
def test_the_same_seed_gives_the_same_key(method: MlKem) -> None:
    assert method.begin(seeded(1))().public == method.begin(seeded(1))().public
    assert method.begin(seeded(1))().public != method.begin(seeded(2))().public


@SET
def test_is_quick(method: MlKem) -> None:
    """So that it is computed at once, and strangers are charged for it."""
    assert 0 < registry.seconds(method.id) < QUICK


def refused(check: object, *values: object) -> None:
    assert callable(check)
    with pytest.raises(PeerError) as caught:
        check(*values)
    assert caught.value.notify == NotifyType.INVALID_SYNTAX
    assert caught.value.fatal


@SET
def test_key_of_a_wrong_length(method: MlKem) -> None:
    public = method.begin(seeded(1))().public
    for bad in (b"", public[:-1], public + b"\0", bytes(method.ciphertext_size - 1)):
        refused(method.check_initiator, bad)
        refused(method.respond(seeded(2), bad))


@SET
def test_key_that_is_not_reduced(method: MlKem) -> None:
    """Coefficients are below 3329; each has 12 bits, where 4095 fits (FIPS 203 7.2)."""
    public = bytearray(method.begin(seeded(1))().public)
    public[:3] = (3328 | 3328 << 12).to_bytes(3, "little")
    method.check_initiator(bytes(public))
    last = method.key_size - 32 - 3  # behind the coefficients stands the seed of the matrix
    for place in (0, 384, last):
        for coefficients in (3329, 4095, 3329 << 12, 4095 << 12):
            bad = bytearray(public)
            bad[place : place + 3] = coefficients.to_bytes(3, "little")
            refused(method.check_initiator, bytes(bad))
            refused(method.respond(seeded(2), bytes(bad)))


@SET
def test_ciphertext_of_a_wrong_length(method: MlKem) -> None:
    begun = method.begin(seeded(1))()
    ciphertext, _ = method.respond(seeded(2), begun.public)()
    for bad in (b"", ciphertext[:-1], ciphertext + b"\0"):
        refused(begun.finish, bad)


@SET
def test_changed_ciphertext(method: MlKem) -> None:
    """Implicit rejection: the ends have different secrets, and the next message does not open."""
    begun = method.begin(seeded(1))()
    ciphertext, secret = method.respond(seeded(2), begun.public)()
    changed = bytes([ciphertext[0] ^ 1]) + ciphertext[1:]
    assert begun.finish(changed) != secret
    assert begun.finish(changed) == begun.finish(changed)
    assert begun.finish(ciphertext) == secret


def test_public_values_by_role() -> None:
    """ML-KEM-768's have two lengths: a key is no ciphertext."""
    method = registry.method(KeGroup.ML_KEM_768)
    begun = method.begin(seeded(1))()
    refused(begun.finish, begun.public)


def test_the_smallest_set_is_missing() -> None:
    with pytest.raises(LocalMisuse):
        registry.method(ML_KEM_512)
