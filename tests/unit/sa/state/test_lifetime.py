"""ikepy.sa.state.lifetime: when an SA is rekeyed and when it expires (RFC 7296 2.8)."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ikepy.config.model import Child, Connection
from ikepy.config.toml_source import parse
from ikepy.sa.state.lifetime import (
    RETRY_FIRST,
    RETRY_LEAST,
    RETRY_LONGEST,
    Lifetime,
    TrafficLimit,
    bytes_of,
    of_child,
    of_ike,
    packets_of,
    reauthentication,
)

NOW = 1000.0


def connection(**values: float) -> Connection:
    text = "".join(f"{key} = {value}\n" for key, value in values.items())
    config = parse(
        f'[connections.c]\n{text}remote_addrs = ["192.0.2.2"]\n[connections.c.children.net]\n'
        '[secrets.ike]\nsecret = "s3cr3t"\n'
    )
    return config.connections["c"]


def child(**values: float) -> Child:
    return Child(name="net", **values)


# -- times -----------------------------------------------------------------------------------------


@pytest.mark.parametrize(("chance", "rekey_at"), [(0.0, 1100.0), (0.5, 1090.0), (1.0, 1080.0)])
def test_a_child_is_rekeyed_early_by_chance_and_expires_when_it_says(chance: float, rekey_at: float) -> None:
    config = child(rekey_time=100.0, life_time=150.0, rand_time=20.0)
    assert of_child(config, NOW, chance) == Lifetime(rekey_at, 1150.0)


def test_what_is_not_configured_is_a_tenth() -> None:
    lifetime = of_child(child(rekey_time=100.0), NOW, 1.0)
    assert lifetime == Lifetime(pytest.approx(1090.0), pytest.approx(1110.0))  # type: ignore[arg-type]


def test_zero_is_never() -> None:
    assert of_child(child(rekey_time=0.0), NOW, 0.5) == Lifetime(None, None)
    assert of_child(child(rekey_time=0.0, life_time=60.0), NOW, 0.5) == Lifetime(None, 1060.0)
    assert of_child(child(rekey_time=60.0, life_time=0.0, rand_time=0.0), NOW, 0.5) == Lifetime(1060.0, None)


def test_chance_brings_no_rekey_before_now() -> None:
    assert of_child(child(rekey_time=10.0, life_time=60.0, rand_time=50.0), NOW, 1.0).rekey_at == NOW


def test_an_ike_sa_expires_its_over_time_after_the_rekey() -> None:
    assert of_ike(connection(rekey_time=100, over_time=30, rand_time=20), NOW, 0.5) == Lifetime(
        1090.0, 1130.0
    )
    assert of_ike(connection(rekey_time=0), NOW, 0.5) == Lifetime(None, None)


def test_reauthentication() -> None:
    assert reauthentication(connection(reauth_time=100, rand_time=20), NOW, 0.5) == 1090.0
    assert reauthentication(connection(reauth_time=10, rand_time=20), NOW, 1.0) == NOW
    assert reauthentication(connection(), NOW, 0.5) is None


def test_a_rekey_that_failed_is_tried_again_with_growing_waits() -> None:
    lifetime = Lifetime(None, 2000.0)
    waits = [lifetime.postpone(NOW, 0.0) for _ in range(6)]
    assert waits == [10.0, 20.0, 40.0, 80.0, 120.0, 120.0]
    assert (lifetime.rekey_at, lifetime.failures) == (NOW + RETRY_LONGEST, 6)
    assert Lifetime().postpone(NOW, 1.0) == RETRY_FIRST / 2


def test_a_rekey_that_failed_is_tried_again_before_the_sa_expires() -> None:
    """Several refused in a row, as by an operator's commands while the peer is busy, must not outlast it."""
    lifetime = Lifetime(None, NOW + 60.0, failures=3)
    assert lifetime.postpone(NOW, 0.0) == 30.0
    assert lifetime.postpone(NOW + 30.0, 0.0) == 15.0
    assert lifetime.postpone(NOW + 59.0, 0.0) == RETRY_LEAST


def test_a_peer_that_refuses_rekeys_for_days_is_asked_on() -> None:
    lifetime = Lifetime(failures=5000)
    assert lifetime.postpone(NOW, 0.0) == RETRY_LONGEST


# -- traffic ---------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("limits", "chance", "expected"),
    [
        ({}, 0.5, (0, 0)),
        ({"rekey": 1000}, 0.0, (1000, 1100)),
        ({"rekey": 1000}, 1.0, (900, 1100)),
        ({"rekey": 1000, "life": 2000, "rand": 100}, 0.5, (950, 2000)),
        ({"rekey": 1000, "life": 2000}, 0.5, (500, 2000)),
        ({"life": 2000}, 0.5, (0, 2000)),
        ({"rekey": 100, "rand": 5000}, 1.0, (1, 110)),  # not 0, which would be no limit
        ({"rekey": 1000, "life": 0}, 1.0, (1000, 0)),
    ],
)
def test_limits_of_traffic(limits: dict[str, int], chance: float, expected: tuple[int, int]) -> None:
    octets = {f"{key}_bytes": value for key, value in limits.items()}
    packets = {f"{key}_packets": value for key, value in limits.items()}
    assert bytes_of(child(**octets), chance) == TrafficLimit(*expected)
    assert packets_of(child(**packets), chance) == TrafficLimit(*expected)
    assert bytes_of(child(**packets), chance) == TrafficLimit() == packets_of(child(**octets), chance)


def test_a_limit_is_reached_by_as_much() -> None:
    limit = TrafficLimit(100, 110)
    assert [(limit.low(amount), limit.used_up(amount)) for amount in (99, 100, 109, 110)] == [
        (False, False),
        (True, False),
        (True, False),
        (True, True),
    ]
    assert not TrafficLimit().low(2**64)
    assert not TrafficLimit().used_up(2**64)


@given(st.floats(0, 1e6), st.floats(0, 1e6), st.floats(0, 1))
def test_no_rekey_comes_after_its_time(rekey: float, random: float, chance: float) -> None:
    lifetime = of_child(child(rekey_time=rekey, rand_time=random), NOW, chance)
    if lifetime.rekey_at is None:
        assert rekey == 0
    else:
        assert NOW <= lifetime.rekey_at <= NOW + rekey


SECONDS = st.floats(1, 100_000)


@given(SECONDS, SECONDS, st.floats(0, 1, exclude_max=True), SECONDS)
def test_other_lifetimes_neither_end_an_sa_at_once_nor_let_it_live_much_longer(
    age: float, rekey: float, chance: float, margin: float
) -> None:
    now = 1e6
    life = Lifetime(rekey_at=now + 5, expires_at=now + 10)
    configured = Lifetime(now - age + rekey, now - age + rekey + margin)
    life.adjust(configured, now, chance, began=now - age)
    assert life.rekey_at is not None
    assert life.expires_at is not None
    assert now <= life.rekey_at <= now + rekey
    assert life.expires_at - life.rekey_at == pytest.approx(margin, abs=1e-3)
    if now - age + rekey > now:  # as these numbers have it: the difference may be less than they resolve
        assert life.rekey_at == now - age + rekey


def test_no_lifetime_is_none() -> None:
    life = Lifetime(rekey_at=5, expires_at=10)
    life.adjust(Lifetime(), 3, 0.5, began=0)
    assert (life.rekey_at, life.expires_at) == (None, None)


def test_a_rekey_that_is_tried_again_keeps_its_time() -> None:
    life = Lifetime(rekey_at=110, expires_at=200, failures=1)
    life.adjust(Lifetime(rekey_at=500, expires_at=600), 100, 0.5, began=0)
    assert (life.rekey_at, life.expires_at) == (110, 600)
