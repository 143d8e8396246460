"""Floods of real addresses in networks that had nothing yet: peers that are expected somewhere get through.

Nothing that a stranger sends without keys tells it from them, so here is what does: its address, and a group
that nobody floods b with.
"""

from __future__ import annotations

from collections.abc import Iterator
from ipaddress import IPv4Address
from itertools import count

import pytest

from ikepy.sa.admission.auth_failures import LATELY
from ikepy.sa.api.commands import Initiate, Terminate
from ikepy.sa.api.effects import Rank
from ikepy.sa.api.path import Endpoint
from ikepy.sa.message import query
from ikepy.wire.constants import NotifyType, PayloadType
from ikepy.wire.message import decode_message
from ikepy.wire.payloads import NotifyPayload
from tests.exchange.network import ADDRESS_A, Network, Options, assert_joined

from .attacker import chain, init_parts, message

SUITE = "aes128gcm16-prfsha256-modp4096"
MODP4096 = init_parts(SUITE)
X25519 = init_parts()
BRANCH = IPv4Address("203.0.113.2")
ELSEWHERE = IPv4Address("192.0.2.77")
_numbers = count(1)


def bed(remote_addrs: str = "%any") -> Network:
    """b takes peers from anywhere, those of `remote_addrs` by name."""
    patterns = remote_addrs if remote_addrs == "%any" else f'{remote_addrs}", "%any'
    return Network(Options(), Options(remote_addrs=patterns))


def gets_in(
    net: Network,
    address: IPv4Address,
    parts: list[tuple[int, bytes]] = MODP4096,
    port: int = 500,
) -> bool:
    """Whether b would work on an IKE_SA_INIT request of a peer that shows the cookie that it is given."""
    spi_i = next(_numbers).to_bytes(8, "big")
    remote = Endpoint(address, port)
    answer = net.b.manager.refuse(message(*chain(*parts), spi_i=spi_i), remote, net.now)
    if answer:
        cookie = query.notify(decode_message(answer).payloads, NotifyType.COOKIE)
        assert isinstance(cookie, NotifyPayload)
        shown = [(int(PayloadType.NOTIFY), cookie.encode()), *parts]
        answer = net.b.manager.refuse(message(*chain(*shown), spi_i=spi_i), remote, net.now)
    return answer is None


def new_networks() -> Iterator[IPv4Address]:
    """An address each, in networks that are never the same again."""
    return (IPv4Address((10 << 24) + (number << 8) + 1) for number in range(1 << 16))


def flood(net: Network, addresses: Iterator[IPv4Address], seconds: float, rate: float = 100) -> int:
    """How many requests with modp4096 got in."""
    served = 0
    for _ in range(int(seconds * rate)):
        net.now += 1 / rate
        served += gets_in(net, next(addresses))
    return served


@pytest.mark.parametrize("remote_addrs", [str(BRANCH), "203.0.113.0/28", "203.0.113.0/24"])
@pytest.mark.parametrize("rate", [100, 1000])
def test_a_peer_whose_address_is_configured(remote_addrs: str, rate: float) -> None:
    net, attackers = bed(remote_addrs), new_networks()
    for _ in range(20):
        flood(net, attackers, 0.2, rate)
        assert gets_in(net, BRANCH)


def test_a_network_that_many_share_names_nobody() -> None:
    net, attackers = bed("203.0.0.0/16"), new_networks()
    got_in = 0
    for _ in range(20):
        flood(net, attackers, 0.5)
        got_in += gets_in(net, BRANCH)
    assert got_in < 20


def test_configured_addresses_share_their_budget() -> None:
    """One of them is an attacker's, who has what it may, and leaves the other one as it was."""
    net = bed(f'{BRANCH}", "{ELSEWHERE}')
    for number in range(500):
        net.now += 0.002
        gets_in(net, BRANCH, port=1024 + number)
    assert not gets_in(net, BRANCH)
    assert gets_in(net, ELSEWHERE)


def test_what_expected_peers_cost_is_not_taken_from_others() -> None:
    net = bed(str(BRANCH))
    for number in range(500):
        net.now += 0.002
        gets_in(net, BRANCH, port=1024 + number)
    assert gets_in(net, ELSEWHERE)


@pytest.mark.parametrize("pause", [0.0, 5 * 3600.0, LATELY - 60])
def test_a_peer_that_was_there_lately(pause: float) -> None:
    """Its address is in no configuration; a tunnel stood there, and it comes back within a day."""
    net, attackers = bed(), new_networks()
    net.command("a", Initiate("ab", "net"))
    net.run(1)
    assert_joined(net)
    net.command("a", Terminate(ike="ab"))
    net.run(1)
    net.now += pause
    for _ in range(20):
        flood(net, attackers, 0.2)
        assert gets_in(net, ADDRESS_A)


def test_a_peer_whose_tunnel_has_stood_for_days() -> None:
    net, attackers = bed(), new_networks()
    net.command("a", Initiate("ab", "net"))
    net.run(3 * LATELY)
    assert_joined(net)
    for _ in range(20):
        flood(net, attackers, 0.2)
        assert gets_in(net, ADDRESS_A)


@pytest.mark.parametrize(("address", "rank"), [(BRANCH, Rank.STRANGER), (ADDRESS_A, Rank.EXPECTED)])
def test_its_key_exchange_is_computed_before_those_of_others(address: IPv4Address, rank: Rank) -> None:
    slow = f'["{SUITE}"]'
    there = Options(proposals=slow, remote_addrs=f'{address}", "%any', daemon="cookie_threshold = 1")
    net = Network(Options(proposals=slow), there)
    gets_in(net, ELSEWHERE)
    net.command("a", Initiate("ab", "net"))
    net.run(1)
    assert_joined(net)
    assert [job.rank for site, job in net.computed if site == "b"] == [rank]


@pytest.mark.parametrize("rate", [100, 1000])
def test_a_peer_that_nobody_knows_but_that_asks_for_less(rate: float) -> None:
    net, attackers = bed(), new_networks()
    for number in range(20):
        flood(net, attackers, 0.2, rate)
        assert gets_in(net, IPv4Address((11 << 24) + (number << 8)), X25519)


def test_one_that_nobody_knows_is_served_by_chance() -> None:
    """The counting: of 100 a second that cost 8 ms, a budget of 250 ms a second serves 31 at most."""
    net, attackers = bed(), new_networks()
    flood(net, attackers, 4)
    tries = 400
    got_in = 0
    for number in range(tries):
        flood(net, attackers, 0.05)
        got_in += gets_in(net, IPv4Address((11 << 24) + (number << 8)))
    assert 0.15 < got_in / tries < 0.36
