"""What strangers may cost: failures count, the CPU is shared, guesses are heard seldom, room is bounded."""

from __future__ import annotations

from ipaddress import IPv4Address

import pytest

from ikepy.sa import pick
from ikepy.sa.commands import Initiate, Terminate
from ikepy.sa.path import Endpoint
from ikepy.wire.constants import ExchangeType, NotifyType
from tests.exchange.network import Network, assert_joined
from tests.hostile.attacker import (
    Keyed,
    UnansweredError,
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


def test_established_peers_are_not_charged() -> None:
    net = target(proposals=f'["{MODP}"]')
    for _ in range(200):
        net.command("a", Initiate("ab", "net"))
        net.run(0.1)
        assert_joined(net)
        net.command("a", Terminate(ike="ab"))
        net.run(0.1)
    assert net.b.manager.counters()["IKE_SA_INIT requests beyond the CPU budget"] == 0


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


# -- guesses ---------------------------------------------------------------------------------------


def guess(
    net: Network, identity: bytes, address: IPv4Address, secret: bytes = b"wrong", port: int = 500
) -> str:
    """What a set-up with this identity and secret gets: "up", "refused" or "nothing"."""
    number = sum(net.b.manager.counters().values())
    try:
        attacker = Keyed(net, address=address, port=port, spi_i=(number << 16 | port).to_bytes(8, "big"))
    except UnansweredError:
        return "nothing"
    answer = attacker.ask(ExchangeType.IKE_AUTH, 1, attacker.auth_payloads(identity, secret))
    if answer is None:
        return "nothing"
    error = pick.error(answer)
    if error is None:
        return "up"
    assert error.notify == NotifyType.AUTHENTICATION_FAILED
    return "refused"


def test_guesses_are_answered_ever_more_seldom_then_not_heard() -> None:
    net = target()
    heard = []
    for _ in range(40):
        heard.append(guess(net, b"gwa", OTHER))
        net.run(0.5)
    assert heard[:5] == ["refused"] * 5
    assert heard.count("refused") <= 10
    assert guess(net, b"gwa", OTHER, b"correct horse") == "nothing", "not even the right one, now"
    net.run(60)
    assert guess(net, b"gwa", OTHER, b"correct horse") == "up", "it clears what was held against it"
    assert guess(net, b"gwa", OTHER) == "refused"


def test_the_owner_of_a_guessed_identity_is_not_kept_out() -> None:
    net = target()
    for _ in range(30):
        guess(net, b"gwa", OTHER)
    assert guess(net, b"gwa", IPv4Address("198.51.100.99"), b"correct horse") == "up", "in the same network"
    net.command("a", Initiate("ab", "net"))
    net.run(1)
    assert_joined(net)


def test_a_peer_behind_the_nat_of_one_that_guesses_other_identities() -> None:
    net = target()
    heard = [guess(net, b"nobody-%d" % number, OTHER, port=1024 + number) for number in range(40)]
    assert heard.count("refused") == 12
    assert set(heard[12:]) == {"nothing"}
    assert guess(net, b"gwa", OTHER) == "nothing", "so nobody learns which identities there are"
    assert guess(net, b"gwa", OTHER, b"correct horse") == "up"


def test_a_port_that_goes_on_guessing_gets_no_key_exchange() -> None:
    net = target()
    for number in range(40):
        guess(net, b"nobody-%d" % number, OTHER)
    counted = net.b.manager.counters()
    assert counted["failed authentications"] == 12
    assert counted["IKE_SA_INIT requests after failed authentications"] == 28


# -- many who mean it ------------------------------------------------------------------------------

TRIES = (0.0, 4.0, 11.2)  # seconds at which a peer asks (charon's defaults)


@pytest.mark.parametrize(
    ("suite", "under_way"),
    [("x25519", 1000), ("modp2048", 1000), ("modp3072", 10)],
)
def test_a_thousand_peers_of_one_address_are_up_in_twenty_seconds(suite: str, under_way: int) -> None:
    """They ask all together; so many of them go on before the first one's IKE_AUTH is worked on."""
    name = f"aes128gcm16-prfsha256-{suite}"
    net = target(proposals=f'["{name}"]', connection='unique = "never"')
    waiting, begin, done = list(range(1000)), net.now, 0
    for at in TRIES:
        net.run(max(0.0, begin + at - net.now))
        answered: list[Keyed] = []
        left: list[int] = []
        for number in waiting:
            net.now += 0.003  # what one costs a host that is as slow as we are
            try:
                answered.append(Keyed(net, name, OTHER, spi_i=(number + 1).to_bytes(8, "big")))
            except UnansweredError:
                left.append(number)
            if len(answered) > under_way:
                done += finished(answered.pop(0))
        done += sum(finished(one) for one in answered)
        waiting = left
    assert done == 1000
    assert net.now - begin < 20


def finished(attacker: Keyed) -> bool:
    answer = attacker.ask(ExchangeType.IKE_AUTH, 1, attacker.auth_payloads())
    return answer is not None and pick.error(answer) is None


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
