"""What strangers may cost: failures count, the CPU is shared, room is bounded."""

from __future__ import annotations

from ipaddress import IPv4Address

import pytest

from ikepy.sa.api.commands import Initiate
from ikepy.sa.api.path import Endpoint
from tests.exchange.network import Network, assert_joined
from tests.hostile.attacker import (
    assert_unharmed,
    chain,
    init_parts,
    message,
    send,
    target,
)
from tests.hostile.test_limits import OTHER, first_request, kind

BAD_SUITE = "aes256-sha512-x25519"
MODP = "aes128gcm16-prfsha256-modp3072-x25519"


def bad_request(number: int) -> bytes:
    return message(*chain(*init_parts(BAD_SUITE)), spi_i=number.to_bytes(8, "big"))


def malformed(number: int) -> bytes:
    sa, ke, nonce = init_parts()
    return message(*chain(sa, ke, ke, nonce), spi_i=number.to_bytes(8, "big"))


@pytest.mark.parametrize("bad", [bad_request, malformed])
def test_what_failed_counts_like_what_is_half_open(bad: object) -> None:
    assert callable(bad)
    net = target()
    for number in range(1, 4):
        send(net, bad(number))
    assert kind(send(net, bad(4))) == kind(send(net, first_request(5))) == "COOKIE"
    assert kind(send(net, first_request(6), OTHER)) == "serve"
    net.run(60)
    assert kind(send(net, first_request(7))) == "serve", "it has faded"


def test_what_failed_counts_in_all() -> None:
    net = target()
    for number in range(30):
        send(net, bad_request(number + 1), IPv4Address(f"203.0.113.{number + 1}"))
    assert kind(send(net, first_request(99), OTHER)) == "COOKIE"
    assert_unharmed(net)


def served(net: Network, address: IPv4Address, numbers: range, each: float) -> int:
    """How many IKE_SA_INIT with modp3072 and cookies were served."""
    count = 0
    parts = init_parts(MODP.replace("-x25519", ""))
    for number in numbers:
        spi = number.to_bytes(8, "big")
        (answer, *_) = send(net, message(*chain(*parts), spi_i=spi), address) or [b""]
        if answer and kind([answer]) == "COOKIE":
            cookie = (41, answer[32:])
            (answer, *_) = send(net, message(*chain(cookie, *parts), spi_i=spi), address) or [b""]
        count += bool(answer) and kind([answer]) == "serve"
        net.run(each)
    return count


def test_the_cpu_is_shared_and_a_newcomer_comes_first() -> None:
    net = target(proposals=f'["{MODP}"]')
    assert served(net, OTHER, range(1, 901), 1 / 300) < 100, "of 900 in three seconds"
    assert served(net, IPv4Address("198.51.100.77"), range(2000, 2001), 0) == 1, "in the attacker's network"
    assert net.b.manager.counters()["IKE_SA_INIT requests beyond the CPU budget"] > 700
    net.command("a", Initiate("ab", "net"))
    net.run(2)
    assert_joined(net)


def test_without_a_budget_all_are_served() -> None:
    net = target(proposals=f'["{MODP}"]', daemon="strangers_cpu = 0\nblock_threshold = 0")
    assert served(net, OTHER, range(1, 101), 0) == 100


def test_half_open_ike_sas_are_bounded_in_all_and_the_oldest_go() -> None:
    net = target(daemon="init_limit_half_open = 40")
    for number in range(1, 101):
        address = IPv4Address((10 << 24) + (number << 8))
        data = first_request(number)
        (answer,) = send(net, data, address)
        if kind([answer]) == "COOKIE":
            send(net, message(*chain((41, answer[32:]), *init_parts()), spi_i=data[:8]), address)
        net.run(0.05)
    left = [int.from_bytes(one.spi_i, "big") for one in net.b.manager.list_sas(net.now)]
    assert left == list(range(61, 101))
    assert net.b.manager.counters()["half-open IKE_SAs that made room"] == 60
    net.command("a", Initiate("ab", "net"))
    net.run(2)
    assert_joined(net)


# -- bursts ----------------------------------------------------------------------------------------


def let_in(net: Network, addresses: list[IPv4Address]) -> int:
    """How many first requests of a burst, read before any is worked on, may come in without a cookie."""
    refuse = net.b.manager.refuse
    requests = [(first_request(number), Endpoint(one, 500)) for number, one in enumerate(addresses, 1)]
    return sum(refuse(data, remote, net.now) is None for data, remote in requests)


def test_a_burst_counts_before_it_is_worked_on() -> None:
    assert let_in(target(), [OTHER] * 250) == 3, "cookie_threshold_ip"
    net = target()
    everywhere = [IPv4Address((10 << 24) + (number << 8)) for number in range(250)]
    assert let_in(net, everywhere) == 30, "cookie_threshold"
    net.run(3)
    assert let_in(net, [OTHER]) == 1, "what was lost in a queue counts no longer"
