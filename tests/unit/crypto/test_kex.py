"""Key exchange: both sides agree, runs can be repeated, and bad public values are refused (RFC 6989)."""

import sys
import time
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from typing import cast

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ikepy.crypto.kex import montgomery, registry
from ikepy.crypto.kex.modp_groups import GROUPS
from ikepy.errors import LocalMisuse, PeerError
from ikepy.wire.constants import KeGroup, NotifyType
from tests.key_exchanges import Slow, begin
from tests.unit.crypto.randomness import Random, seeded

KEMS = [KeGroup.ML_KEM_768, KeGroup.ML_KEM_1024]  # `test_mlkem` is about these
ALL = sorted(registry.supported() - set(KEMS))
SIZES = {  # public value, shared secret
    KeGroup.MODP_1024: (128, 128),
    KeGroup.MODP_1536: (192, 192),
    KeGroup.MODP_2048: (256, 256),
    KeGroup.MODP_3072: (384, 384),
    KeGroup.MODP_4096: (512, 512),
    KeGroup.MODP_6144: (768, 768),
    KeGroup.MODP_8192: (1024, 1024),
    KeGroup.ECP_256: (64, 32),
    KeGroup.ECP_384: (96, 48),
    KeGroup.ECP_521: (132, 66),
    KeGroup.BRAINPOOL_256: (64, 32),
    KeGroup.BRAINPOOL_384: (96, 48),
    KeGroup.BRAINPOOL_512: (128, 64),
    KeGroup.CURVE_25519: (32, 32),
    KeGroup.CURVE_448: (56, 56),
}
ECP_PRIMES = {  # RFC 5903 section 3
    KeGroup.ECP_256: 2**256 - 2**224 + 2**192 + 2**96 - 1,
    KeGroup.ECP_384: 2**384 - 2**128 - 2**96 + 2**32 - 1,
    KeGroup.ECP_521: 2**521 - 1,
}
CURVE_GROUPS = [group for group in ALL if KeGroup.ECP_256 <= group <= KeGroup.BRAINPOOL_512]
P_25519, P_448 = 2**255 - 19, 2**448 - 2**224 - 1


def refused(group: int, public: bytes) -> PeerError:
    with pytest.raises(PeerError) as caught:
        begin(group, seeded(3)).finish(public)
    return caught.value


def test_supported() -> None:
    always = set(SIZES) - {KeGroup.BRAINPOOL_256, KeGroup.BRAINPOOL_384, KeGroup.BRAINPOOL_512}
    assert always <= set(ALL) <= set(SIZES)


@pytest.mark.parametrize("group", ALL)
def test_both_sides_agree(group: int) -> None:
    initiator, responder = begin(group, seeded(1)), begin(group, seeded(2))
    public, shared = SIZES[KeGroup(group)]
    assert initiator.method.id == group
    assert initiator.public != responder.public
    assert len(initiator.public) == len(responder.public) == public
    secret = initiator.finish(responder.public)
    assert len(secret) == shared
    assert secret == responder.finish(initiator.public)


@pytest.mark.parametrize("group", ALL)
def test_randomness_comes_from_the_caller_alone(group: int) -> None:
    assert begin(group, seeded(1)).public == begin(group, seeded(1)).public


@pytest.mark.parametrize("group", [KeGroup.NONE, 1, 3, 22, 25, 33, 65535])
def test_unknown_group(group: int) -> None:
    with pytest.raises(LocalMisuse):
        begin(group, seeded(1))


@pytest.mark.parametrize("group", ALL)
def test_wrong_length(group: int) -> None:
    good = begin(group, seeded(2)).public
    for bad in (b"", good[:-1], good + b"\0", b"\0" + good, good[: len(good) // 2]):
        error = refused(group, bad)
        assert error.notify == NotifyType.INVALID_SYNTAX
        assert error.fatal


@pytest.mark.parametrize("group", ALL)
def test_a_bad_value_is_found_without_a_key_pair(group: int) -> None:
    """The same values as a key exchange refuses, but for points of small order."""
    good = begin(group, seeded(2)).public
    method = registry.method(group)
    method.check_initiator(good)
    method.check_responder(good)
    bad = [b"", good[:-1], good + b"\0"]
    if group in GROUPS:
        bad += [number.to_bytes(len(good), "big") for number in (0, 1, GROUPS[group].prime - 1)]
    elif group in CURVE_GROUPS:
        bad += [bytes(len(good)), good[:-1] + bytes([good[-1] ^ 1])]
    for public in bad:
        for check in (method.check_initiator, method.check_responder):
            with pytest.raises(PeerError) as caught:
                check(public)
            assert caught.value.notify == NotifyType.INVALID_SYNTAX


@pytest.mark.parametrize("group", ALL)
def test_what_is_drawn_first_is_computed_later(group: int) -> None:
    """In any thread: the source of randomness is not asked again."""
    drawn: list[bytes] = []

    def random(size: int) -> bytes:
        drawn.append(seeded(1)(size))
        return drawn[-1]

    compute = registry.method(group).begin(random)
    assert len(drawn) == 1
    with ThreadPoolExecutor(1) as pool:
        exchange = pool.submit(compute).result()
    assert len(drawn) == 1
    assert exchange.public == begin(group, seeded(1)).public


def test_other_threads_go_on_during_a_modp_exchange() -> None:
    """They need not wait until the interpreter is let go of, which here happens at will only."""
    compute = registry.method(KeGroup.MODP_4096).begin(seeded(1))
    turns = 0

    def turns_meanwhile() -> int:
        before = turns
        for _ in range(300):  # the other thread may have to wait for a processor
            compute()
            if turns != before:
                break
        return turns - before

    interval = sys.getswitchinterval()
    sys.setswitchinterval(30.0)
    try:
        with ThreadPoolExecutor(1) as pool:
            job = pool.submit(turns_meanwhile)
            while not job.done():
                turns += 1
                time.sleep(0)
    finally:
        sys.setswitchinterval(interval)
    assert job.result() > 0


def test_costs_are_ordered_as_the_groups_are() -> None:
    """Every group has one, and the larger of a kind costs more."""
    assert all(0 < registry.seconds(group) < 1 for group in ALL)
    modp = [registry.seconds(group) for group in sorted(GROUPS, key=lambda group: GROUPS[group].size)]
    assert modp == sorted(modp)
    assert registry.seconds(KeGroup.CURVE_25519) < 0.001 < registry.seconds(KeGroup.MODP_3072)


@pytest.mark.parametrize("group", sorted(GROUPS))
def test_modp_range(group: int) -> None:
    prime, size = GROUPS[group].prime, GROUPS[group].size
    for bad in (0, 1, prime - 1, prime, prime + 1, 256**size - 1):
        refused(group, bad.to_bytes(size, "big"))
    exchange = begin(group, seeded(3))
    for good in (2, prime - 2):
        assert len(exchange.finish(good.to_bytes(size, "big"))) == size


def test_modp_secret_keeps_its_leading_zeros() -> None:
    """RFC 7296 2.14: padded to the length of the modulus. One secret in 256 begins with a zero byte."""
    exchange = begin(KeGroup.MODP_1024, seeded(3))
    secrets = (exchange.finish(number.to_bytes(128, "big")).expose() for number in range(2, 4000))
    assert len(next(secret for secret in secrets if secret[0] == 0)) == 128


@pytest.mark.parametrize("group", CURVE_GROUPS)
def test_point_off_the_curve(group: int) -> None:
    good = begin(group, seeded(2)).public
    half = len(good) // 2
    off = good[:-1] + bytes([good[-1] ^ 1])
    swapped = good[half:] + good[:half]
    for bad in (off, swapped, bytes(len(good)), b"\xff" * len(good)):
        refused(group, bad)


@pytest.mark.parametrize("group", ECP_PRIMES)
def test_coordinate_not_reduced(group: KeGroup) -> None:
    """x + p names the same residue, but it is no coordinate. A small x is needed for it to fit."""
    prime, size = ECP_PRIMES[group], SIZES[group][1]
    for y in (0, 1, prime - 1):
        refused(group, prime.to_bytes(size, "big") + y.to_bytes(size, "big"))
        refused(group, y.to_bytes(size, "big") + prime.to_bytes(size, "big"))


def test_p521_coordinate_not_reduced() -> None:
    """The seven spare bits of P-521's coordinates leave room for the same point written otherwise."""
    good = begin(KeGroup.ECP_521, seeded(2)).public
    x = int.from_bytes(good[:66], "big") + ECP_PRIMES[KeGroup.ECP_521]
    refused(KeGroup.ECP_521, x.to_bytes(66, "big") + good[66:])


# u-coordinates of small order, with their unreduced forms (RFC 7748 6.1; cr.yp.to/ecdh.html#validate).
ORDER_8 = (
    "e0eb7a7c3b41b8ae1656e3faf19fc46ada098deb9c32b1fd866205165f49b800",
    "5f9c95bca3508c24b1d0b1559c83ef5b04445cc4581c8e86d8224eddd09f1157",
)
LOW_25519 = [bytes.fromhex(u) for u in ORDER_8] + [
    number.to_bytes(32, "little") for number in (0, 1, P_25519 - 1, P_25519, P_25519 + 1)
]


@pytest.mark.parametrize("public", LOW_25519, ids=bytes.hex)
def test_x25519_point_of_small_order(public: bytes) -> None:
    refused(KeGroup.CURVE_25519, public)
    refused(KeGroup.CURVE_25519, public[:-1] + bytes([public[-1] | 0x80]))


@pytest.mark.parametrize("u", [0, 1, P_448 - 1, P_448, P_448 + 1])
def test_x448_point_of_small_order(u: int) -> None:
    refused(KeGroup.CURVE_448, u.to_bytes(56, "little"))


@pytest.mark.parametrize("group", CURVE_GROUPS)
@pytest.mark.parametrize("byte", [0x00, 0xFF])
def test_every_draw_is_a_private_key(group: int, byte: int) -> None:
    """What is drawn may be anything, even what is zero or the order of the curve."""

    def constant(size: int) -> bytes:
        return bytes([byte]) * size

    check_agreement(group, constant)


def check_agreement(group: int, random: Random) -> None:
    mine, theirs = begin(group, random), begin(group, seeded(2))
    assert mine.finish(theirs.public) == theirs.finish(mine.public)


@settings(max_examples=300)
@given(
    group=st.sampled_from([KeGroup.MODP_1024, KeGroup.ECP_256, KeGroup.CURVE_25519, KeGroup.CURVE_448]),
    data=st.data(),
)
def test_any_public_value_gives_a_secret_or_the_error(group: KeGroup, data: st.DataObject) -> None:
    size = data.draw(st.sampled_from([SIZES[group][0], SIZES[group][0] - 1]))
    public = data.draw(st.binary(min_size=size, max_size=size))
    try:
        secret = begin(group, seeded(3)).finish(public)
    except PeerError as error:
        assert error.notify == NotifyType.INVALID_SYNTAX
    else:
        assert len(secret) == SIZES[group][1]


# -- the seam: whatever begins, responds and finishes -------------------------------------------------

OTHER = replace(montgomery.METHODS[0], group=cast(KeGroup, 1025))  # of the private use range


def test_responder_agrees_at_once() -> None:
    """What `respond` gives is what two that begin would have."""
    for group in ALL:
        method = registry.method(group)
        begun = method.begin(seeded(1))()
        public, secret = method.respond(seeded(2), begun.public)()
        assert begun.finish(public) == secret
        assert public == begin(group, seeded(2)).public


def test_responder_refuses_a_bad_value() -> None:
    for group in ALL:
        with pytest.raises(PeerError):
            registry.method(group).respond(seeded(2), b"")()
    with pytest.raises(PeerError):
        registry.method(KeGroup.CURVE_25519).respond(seeded(2), bytes(32))()


def test_a_method_is_registered_for_a_while() -> None:
    with registry.registered(OTHER):
        assert registry.method(OTHER.id) is OTHER
        assert registry.supported() == {*ALL, *KEMS, OTHER.id}
        assert registry.seconds(OTHER.id) == OTHER.seconds
    assert registry.supported() == {*ALL, *KEMS}
    assert registry.seconds(OTHER.id) == 0
    with pytest.raises(LocalMisuse):
        registry.method(OTHER.id)


def test_a_method_in_the_place_of_another_gives_way_again() -> None:
    real = registry.method(KeGroup.ECP_256)
    with pytest.raises(ZeroDivisionError), registry.registered(Slow(real)):
        assert registry.method(KeGroup.ECP_256) is not real
        raise ZeroDivisionError
    assert registry.method(KeGroup.ECP_256) is real
