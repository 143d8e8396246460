"""ikepy.sa.admission.cpu_budget: CPU time for strangers is bounded, and whoever had least comes first."""

from __future__ import annotations

from ipaddress import IPv4Address, IPv6Address, ip_address
from random import Random

import pytest

from ikepy.sa.admission.cpu_budget import KINDS, MEMORY, OVERHEAD, CpuBudget, cost_of
from ikepy.sa.api.log_source import prefix_of
from ikepy.sa.api.path import Endpoint
from ikepy.wire.constants import KeGroup

SHARE = 0.25
chance = Random(1).random
COST = 0.01


def at(address: str, port: int = 500) -> Endpoint:
    return Endpoint(ip_address(address), port)


def flood(
    budget: CpuBudget, sources: list[Endpoint], seconds: float, rate: float, begin: float = 0.0
) -> float:
    """CPU seconds that requests of COST got, `rate` a second in turn from `sources`."""
    served = 0
    for number in range(int(seconds * rate)):
        now = begin + number / rate
        remote = sources[number % len(sources)]
        if budget.affords(remote, COST, now):
            budget.charge(remote, COST, now)
            served += 1
        else:
            budget.ask(remote, now)
    return served * COST


MANY_PORTS = [at("198.51.100.7", port) for port in range(1024, 2024)]
MANY_ADDRESSES = [at(f"198.51.100.{n}") for n in range(1, 200)]
MANY_PREFIXES = [at(f"198.18.{n}.1") for n in range(256)]
MANY_OF_BOTH = [at(f"198.18.{n % 250}.{n // 250}") for n in range(1000)]
NEVER_TWICE = [at(f"198.18.{n % 250}.{n // 250}") for n in range(60_000)]


@pytest.mark.parametrize(
    "sources", [[at("198.51.100.7")], MANY_PORTS, MANY_ADDRESSES, MANY_OF_BOTH, NEVER_TWICE]
)
@pytest.mark.parametrize("rate", [300, 3000])
def test_no_flood_gets_more_than_the_share(sources: list[Endpoint], rate: float) -> None:
    seconds = 20
    got = flood(CpuBudget(SHARE, chance), sources, seconds, rate)
    assert 0.01 * seconds < got <= SHARE * (seconds + MEMORY) + 2 * COST


@pytest.mark.parametrize(
    ("sources", "newcomer"),
    [
        ([at("198.51.100.7")], at("198.51.100.7", 4500)),  # behind the same NAT
        ([at("198.51.100.7")], at("198.51.100.8")),  # in the same network
        (MANY_ADDRESSES, at("198.51.100.250")),
        (MANY_PREFIXES, at("192.0.2.1")),
        (NEVER_TWICE, at("192.0.2.1")),
        ([at("2001:db8::1")], at("2001:db8:0:1::1")),
    ],
)
@pytest.mark.parametrize("rate", [300, 3000])
def test_one_that_had_nothing_comes_first(sources: list[Endpoint], newcomer: Endpoint, rate: float) -> None:
    budget = CpuBudget(SHARE, chance)
    flood(budget, sources, 20, rate)
    waits = next(n for n in range(100) if budget.affords(newcomer, COST, 20 + n / 100))
    assert waits <= 10, "hundredths of a second"


@pytest.mark.parametrize("newcomer", [at("192.0.2.1"), at("198.18.0.250")])
def test_one_that_comes_behind_a_burst_is_served(newcomer: Endpoint) -> None:
    budget, cost = CpuBudget(SHARE, chance), 0.0045
    for number in range(20_000):
        now = number // 250 / 10
        remote = MANY_OF_BOTH[number % 1000]
        if budget.affords(remote, cost, now):
            budget.charge(remote, cost, now)
        else:
            budget.ask(remote, now)
    assert budget.affords(newcomer, cost, now)


def test_a_source_gets_less_the_more_it_has_had() -> None:
    budget = CpuBudget(SHARE, chance)
    got = [flood(budget, [at("198.51.100.7")], 5, 300, begin) for begin in (0.0, 5.0, 10.0)]
    assert got[0] > 2 * got[1]
    assert got[2] < 5 * SHARE / 5


def test_what_proves_itself_costs_nothing() -> None:
    budget = CpuBudget(SHARE, chance)
    for number in range(1000):
        now = number / 100
        assert budget.affords(at("192.0.2.1"), COST, now)
        budget.charge(at("192.0.2.1"), COST, now).refund(now + 0.05)
    assert budget.affords(at("192.0.2.1"), SHARE * MEMORY, 30)


MANY_NETWORKS = [at(f"10.{n // 250}.{n % 250}.1") for n in range(4000)]


@pytest.mark.parametrize("rate", [50, 300, 3000])
@pytest.mark.parametrize("sources", [MANY_NETWORKS, MANY_OF_BOTH, MANY_ADDRESSES])
@pytest.mark.parametrize("cost", [cost_of(KeGroup.CURVE_25519), cost_of(KeGroup.MODP_8192)])
def test_a_group_that_is_not_flooded_is_served_at_once(
    sources: list[Endpoint], rate: float, cost: float
) -> None:
    budget = CpuBudget(SHARE, chance)
    for tenth in range(1, 13):
        flood(budget, sources, 0.1, rate, tenth / 10)
        assert budget.affords(at("203.0.113.2"), cost, (tenth + 1) / 10)


def test_where_all_are_as_new_chance_decides_and_the_share_is_used() -> None:
    """Nothing tells one of them from another: of 50 a second that cost 0.5 s, half are served."""
    seconds = 40
    got = flood(CpuBudget(SHARE, chance), MANY_NETWORKS, seconds, 50)
    most, least = SHARE * seconds, SHARE * seconds * KINDS[0] / (KINDS[0] + 2)
    assert least - COST <= got <= most + SHARE * MEMORY


def test_in_a_budget_by_address_each_has_its_share() -> None:
    """One that is flooded from leaves the others of its network as they were."""
    budget = CpuBudget(SHARE, chance, lambda address: address)
    got = flood(budget, MANY_PORTS, 10, 300)
    assert 0 < got < SHARE * (10 + MEMORY)
    assert budget.affords(at("198.51.100.8"), COST, 10)
    assert flood(budget, [at("198.51.100.8", port) for port in range(1024, 1034)], 1, 10, 10) == 10 * COST


def test_it_comes_back_with_time() -> None:
    budget = CpuBudget(SHARE, chance)
    while budget.affords(at("192.0.2.1"), COST, 0):
        budget.charge(at("192.0.2.1"), COST, 0)
    assert not budget.affords(at("192.0.2.1"), COST, 0.1)
    assert budget.affords(at("192.0.2.1"), COST, 10)


def test_without_a_share_there_is_no_limit() -> None:
    budget = CpuBudget(0, chance)
    for _ in range(1000):
        budget.charge(at("192.0.2.1"), 1.0, 0)
    assert budget.affords(at("192.0.2.1"), 1.0, 0)


def test_costs() -> None:
    assert cost_of(0) == OVERHEAD
    assert cost_of(KeGroup.CURVE_25519) < cost_of(KeGroup.MODP_2048) < cost_of(KeGroup.MODP_8192)


def test_prefixes() -> None:
    assert str(prefix_of(IPv4Address("198.51.100.7"))) == "198.51.100.0/24"
    assert str(prefix_of(IPv6Address("2001:db8:1:2ff::1"))) == "2001:db8:1:200::/56"
