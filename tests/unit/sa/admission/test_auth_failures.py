"""ikepy.sa.admission.auth_failures: who guesses is heard ever more seldom, and nobody else is."""

from __future__ import annotations

from ipaddress import ip_address

from ikepy.config.identity import Identity
from ikepy.sa.admission.auth_failures import (
    FREE_ADDRESS,
    FREE_IDENTITY,
    KEPT,
    LATELY,
    LONGEST,
    PLACES,
    PROVEN,
    RECOVERY,
    AuthFailures,
    Hearing,
)
from ikepy.sa.api.path import Endpoint
from ikepy.wire.constants import IdType

ATTACKER = Endpoint(ip_address("198.51.100.7"), 500)
NEIGHBOUR = Endpoint(ip_address("198.51.100.8"), 500)
BEHIND_NAT = Endpoint(ATTACKER.address, 1024)
ELSEWHERE = Endpoint(ip_address("192.0.2.1"), 500)
OWNER, OTHER = Identity(IdType.FQDN, b"gwa"), Identity(IdType.FQDN, b"gwb")


def guess(
    failures: AuthFailures,
    remote: Endpoint,
    who: Identity,
    seconds: float,
    rate: float = 150,
    *,
    named: bool = True,
) -> tuple[list[float], float]:
    """When the guesses were looked at, `rate` a second from time 0; and the time after them."""
    heard = []
    for number in range(int(seconds * rate)):
        now = number / rate
        if failures.hearing(remote.address, who, now, named=named) is not Hearing.NONE:
            heard.append(now)
            failures.failed(remote, who, now, named=named)
    return heard, seconds


def test_guesses_are_heard_ever_more_seldom() -> None:
    heard, _ = guess(AuthFailures(), ATTACKER, OWNER, 200)
    assert len(heard) <= FREE_IDENTITY + 14
    pauses = [b - a for a, b in zip(heard[FREE_IDENTITY - 1 :], heard[FREE_IDENTITY:], strict=False)]
    assert [round(pause) for pause in pauses][:5] == [1, 2, 4, 8, 16]
    assert min(pauses[5:]) > 15
    assert max(pauses) < LONGEST + 1


def test_identities_that_nobody_configured_share_one_entry() -> None:
    failures, heard = AuthFailures(), 0
    for number in range(15000):
        now, who = number / 150, Identity(IdType.FQDN, b"%d" % number)
        if failures.hearing(ATTACKER.address, who, now, named=False) is not Hearing.NONE:
            heard += 1
            failures.failed(ATTACKER, who, now, named=False)
    assert heard <= FREE_ADDRESS + 10


def test_the_owner_elsewhere_and_next_door_is_heard() -> None:
    failures = AuthFailures()
    _, now = guess(failures, ATTACKER, OWNER, 100)
    assert failures.hearing(ATTACKER.address, OWNER, now, named=True) is Hearing.NONE
    assert failures.hearing(ELSEWHERE.address, OWNER, now, named=True) is Hearing.FULL
    assert failures.hearing(NEIGHBOUR.address, OWNER, now, named=True) is Hearing.FULL


def test_another_peer_behind_the_same_nat_is_heard_but_only_its_success_is_answered() -> None:
    failures = AuthFailures()
    _, now = guess(failures, ATTACKER, Identity(IdType.FQDN, b"nobody"), 100, named=False)
    assert failures.hearing(ATTACKER.address, OTHER, now, named=True) is Hearing.SUCCESS
    assert failures.hearing(ATTACKER.address, OTHER, now, named=False) is Hearing.NONE
    failures.proven(BEHIND_NAT, OTHER, now)
    assert failures.hearing(ATTACKER.address, OTHER, now, named=False) is Hearing.SUCCESS, "known by now"
    assert failures.hearing(ATTACKER.address, OTHER, now + PROVEN, named=False) is Hearing.FULL, (
        "all forgotten"
    )


def test_whoever_proves_itself_clears_its_own() -> None:
    failures = AuthFailures()
    for number in range(40):
        failures.failed(ATTACKER, OWNER, number * 5.0, named=True)
    assert failures.silenced(ATTACKER, 197)
    assert failures.hearing(ATTACKER.address, OWNER, 197, named=True) is Hearing.NONE
    failures.proven(ATTACKER, Identity(IdType.FQDN, b"GWA"), 197)
    assert not failures.silenced(ATTACKER, 197)
    assert failures.hearing(ATTACKER.address, OWNER, 197, named=True) is not Hearing.NONE


def test_a_port_that_failed_is_silenced_and_others_are_not() -> None:
    failures = AuthFailures()
    guess(failures, ATTACKER, OWNER, 200)
    for number in range(20):
        failures.failed(ATTACKER, OTHER, 200 + number, named=True)
    assert failures.silenced(ATTACKER, 220)
    assert not failures.silenced(BEHIND_NAT, 220)
    assert not failures.silenced(ATTACKER, 220 + LONGEST)


def test_a_gateway_with_one_wrong_secret_among_many_is_not_silenced() -> None:
    failures = AuthFailures()
    failures.proven(ATTACKER, OTHER, 0)
    guess(failures, ATTACKER, OWNER, 60)
    assert not failures.silenced(ATTACKER, 60)
    assert failures.hearing(ATTACKER.address, OTHER, 60, named=True) is not Hearing.NONE


def test_an_ipv6_host_does_not_get_more_by_changing_its_address() -> None:
    failures, heard = AuthFailures(), 0
    for number in range(3000):
        remote = Endpoint(ip_address(f"2001:db8::{number:x}"), 500)
        if failures.hearing(remote.address, OWNER, number / 150, named=True) is not Hearing.NONE:
            heard += 1
            failures.failed(remote, OWNER, number / 150, named=True)
    assert heard <= 12 + 6


def test_it_is_forgotten() -> None:
    failures = AuthFailures()
    _, now = guess(failures, ATTACKER, OWNER, 100)
    now += 12 * RECOVERY
    failures.failed(ATTACKER, OWNER, now, named=True)
    assert failures.hearing(ATTACKER.address, OWNER, now, named=True) is Hearing.FULL


def test_a_misconfigured_peer_that_tries_now_and_then_is_always_answered() -> None:
    failures = AuthFailures()
    for number in range(100):
        now = number * 60.0
        assert failures.hearing(ATTACKER.address, OWNER, now, named=True) is Hearing.FULL
        assert not failures.silenced(ATTACKER, now)
        assert failures.failed(ATTACKER, OWNER, now, named=True) == 0


def test_the_table_is_bounded_and_keeps_who_goes_on() -> None:
    failures = AuthFailures()
    guess(failures, ATTACKER, OWNER, 10)
    for number in range(3 * KEPT):
        now = 10 + number / 1000
        failures.failed(
            Endpoint(ip_address(f"10.{number >> 16}.{number >> 8 & 255}.{number & 255}"), 500),
            OTHER,
            now,
            named=True,
        )
        if not number % 100:
            failures.failed(ATTACKER, OWNER, now, named=True)
    assert failures.hearing(ATTACKER.address, OWNER, 10 + 3 * KEPT / 1000, named=True) is Hearing.NONE


def test_addresses_of_peers_are_remembered_for_a_day_and_boundedly() -> None:
    failures = AuthFailures()
    for number in range(PLACES + 1):
        failures.stands(ip_address((10 << 24) + number), 0.0)
        failures.stands(ELSEWHERE.address, 0.0)
    assert not failures.known(ip_address(10 << 24), 1.0), "too many, this one was there longest ago"
    assert failures.known(ip_address((10 << 24) + PLACES), LATELY - 1)
    assert failures.known(ELSEWHERE.address, LATELY - 1)
    assert not failures.known(ELSEWHERE.address, LATELY)
