"""MOBIKE's search for a way: what worked is not forgotten, and a tunnel of ours is no way (RFC 4555 3.5)."""

from __future__ import annotations

import itertools
from ipaddress import IPv4Address

import pytest

from ikepy.sa.api.commands import LocalAddressesChanged
from ikepy.sa.driver.maintenance import PATIENCE
from ikepy.sa.message.window import SPACING
from ikepy.sa.state.peer_addresses import MAX_WORKED, MOST_PROBED
from ikepy.sa.tasks.liveness import Liveness

from .network import ADDRESS_A, ADDRESS_B, DELAY, Network, Options
from .test_established import do, ike_sa
from .test_mobike import SECOND_A, SECOND_B, assert_on, children_at, has, path, request, set_up

LAN_B = IPv4Address("10.2.0.1")  # of the peer's: it announces it, and nobody answers there


def announcing(*addresses: IPv4Address, a: Options | None = None) -> Network:
    """B has these addresses beside its first one, and has said so."""
    net = set_up() if a is None else set_up(a)
    has(net, "b", ADDRESS_B, *addresses)
    net.run(1)
    net.a.sent.clear()
    net.ladder.clear()
    return net


def silence(net: Network, seconds: float) -> None:
    """No IKE message arrives for so long, whatever its path; then each does again."""
    net.script = lambda line, nth, data: []
    net.run(seconds)
    net.script = lambda line, nth, data: [DELAY]


@pytest.mark.parametrize("seconds", [5, 15, 60, 85])
def test_an_outage_of_ike_alone(seconds: float) -> None:
    """The peer's other address is tried in vain; the path in use works again, and nothing has moved."""
    net = announcing(LAN_B)
    net.gone = {LAN_B}
    sa = ike_sa(net, "a")
    do(net, "a", Liveness())
    silence(net, seconds)
    net.run(90)
    assert ike_sa(net, "a") is sa
    assert_on_first(net)
    assert sa.quiet


def assert_on_first(net: Network) -> None:
    assert ike_sa(net, "a").path == path(ADDRESS_A, ADDRESS_B)
    assert ike_sa(net, "b").path == path(ADDRESS_B, ADDRESS_A)
    assert not net.a.moves
    assert not net.b.moves


def test_each_try_goes_on_the_path_in_use_first() -> None:
    net = announcing(LAN_B)
    do(net, "a", Liveness())
    silence(net, 60)
    used, lan = path(ADDRESS_A, ADDRESS_B), path(ADDRESS_A, LAN_B)
    assert net.a.sent[:6] == [used, used, used, lan, used, lan]


def test_copies_on_different_paths_keep_their_distance() -> None:
    """The peer may work on the one that came first, ignore the others, and not get an answer back there."""
    net = announcing(LAN_B, SECOND_B)
    times: dict[float, int] = {}

    def note(line: str, nth: int, data: bytes) -> list[float]:
        times[net.now] = times.get(net.now, 0) + 1
        return []

    net.script = note
    do(net, "a", Liveness())
    net.run(60)
    assert set(times.values()) == {1}
    moments = sorted(times)
    assert min(b - a for a, b in itertools.pairwise(moments)) >= SPACING
    assert len(moments) == 2 + 3 * 3


def test_an_answer_on_the_path_in_use_spares_the_others() -> None:
    net = announcing(SECOND_B)
    do(net, "a", Liveness())
    silence(net, 5)
    net.a.sent.clear()
    net.run(20)
    assert set(net.a.sent) == {path(ADDRESS_A, ADDRESS_B)}
    assert_on_first(net)


def test_an_address_that_is_no_longer_announced_is_where_it_worked() -> None:
    """B leaves its first address, comes back to it without being able to say so, and is found there."""
    net = announcing(SECOND_B)
    has(net, "b", SECOND_B, gone=[ADDRESS_B])
    net.run(1)
    assert_on(net, ADDRESS_A, SECOND_B)
    a = ike_sa(net, "a")
    assert a.mobike is not None
    assert not a.mobike.remote
    net.gone = {SECOND_B}
    net.run(60)
    assert_on(net, ADDRESS_A, ADDRESS_B)


def test_where_the_peer_asks_from_during_the_search_it_is_looked_for() -> None:
    """An address that it never announced: its own request came from there."""
    net = announcing()
    net.gone = {ADDRESS_B}
    do(net, "a", Liveness())
    net.run(30)
    assert set(net.a.sent) == {path(ADDRESS_A, ADDRESS_B)}
    net.command("a", LocalAddressesChanged((ADDRESS_A, SECOND_A)))  # another way to look on
    net.run(30)
    net.inject("a", path(ADDRESS_A, SECOND_B), request(ike_sa(net, "b"), message_id=0))
    net.run(60)
    assert_on(net, ADDRESS_A, SECOND_B)


def test_what_is_heard_does_not_displace_what_answered() -> None:
    net = announcing(LAN_B)
    mobike = ike_sa(net, "a").mobike
    assert mobike is not None
    for number in range(20):
        mobike.note_heard(path(ADDRESS_A, IPv4Address(f"10.9.0.{number}")))
    assert len(mobike.worked) == MAX_WORKED
    assert mobike.worked[0] == path(ADDRESS_A, ADDRESS_B)


def test_a_path_through_our_own_tunnel_is_none() -> None:
    """However long the silence: nothing is ever sent there."""
    net = announcing(LAN_B)
    net.a.tunnelled = {LAN_B}
    do(net, "a", Liveness())
    silence(net, 60)
    net.run(90)
    assert set(net.a.sent) == {path(ADDRESS_A, ADDRESS_B)}
    assert_on_first(net)


def test_our_address_goes_and_only_one_peer_address_is_not_behind_the_tunnel() -> None:
    net = announcing(SECOND_B)
    net.a.tunnelled = {ADDRESS_B}
    has(net, "a", SECOND_A, gone=[ADDRESS_A])
    net.run(1)
    assert_on(net, SECOND_A, SECOND_B)


def test_many_addresses_are_tried_in_turn_and_few_at_once() -> None:
    others = [IPv4Address(f"10.2.0.{number}") for number in range(1, 17)]
    net = announcing(*others)
    before = 0
    do(net, "a", Liveness())
    net.script = lambda line, nth, data: []
    for _ in range(160):
        net.run(1)
        assert len(net.a.sent) - before <= 1 + MOST_PROBED
        before = len(net.a.sent)
    assert {each.remote.address for each in net.a.sent} == {ADDRESS_B, *others}


def test_an_update_that_was_sent_on_several_paths_is_said_anew() -> None:
    """The peer took the first one that came, wherever it came from (RFC 4555 3.6)."""
    net = announcing(SECOND_B)
    has(net, "a", SECOND_A, gone=[ADDRESS_A])
    net.gone.add(ADDRESS_B)
    net.run(20)
    assert_on(net, SECOND_A, SECOND_B)
    updates = [line for line in net.ladder if line.startswith("a -> b INFORMATIONAL request")]
    assert len(set(updates)) == 2


def test_the_search_moves_no_children_before_there_is_an_answer() -> None:
    net = announcing(SECOND_B)
    net.gone = {ADDRESS_B, SECOND_B}
    do(net, "a", Liveness())
    net.run(60)
    assert children_at(net, "a") is None
    net.gone = {ADDRESS_B}
    net.run(60)
    assert_on(net, ADDRESS_A, SECOND_B)


# -- ESP comes in ----------------------------------------------------------------------------------

HASTY = Options(
    local_addrs="%any",
    connection="dpd_delay = 10",
    daemon="retransmit_timeout = 1\nretransmit_base = 1\nretransmit_tries = 3",
)


def flowing(net: Network, seconds: float) -> None:
    """ESP of the peer's comes in, a packet a second, and no IKE message."""
    (child_id,) = net.a.plane.inbound
    net.script = lambda line, nth, data: []
    for _ in range(int(seconds)):
        net.a.heard[child_id] = net.now
        net.run(1)


def test_it_is_not_given_up_while_esp_comes_in() -> None:
    net = announcing(LAN_B, a=HASTY)
    net.gone = {LAN_B}
    sa = ike_sa(net, "a")
    do(net, "a", Liveness())
    flowing(net, 60)
    assert sa.established
    net.script = lambda line, nth, data: [DELAY]
    net.run(5)
    assert sa.quiet
    assert_on_first(net)


def test_without_esp_it_is_given_up_as_configured() -> None:
    net = announcing(LAN_B, a=HASTY)
    do(net, "a", Liveness())
    silence(net, 6)
    assert net.a.manager.idle


def test_esp_stops_later() -> None:
    net = announcing(LAN_B, a=HASTY)
    do(net, "a", Liveness())
    flowing(net, 60)
    net.run(15)
    assert net.a.manager.idle


def test_esp_for_ever_does_not_keep_a_peer_that_lost_the_ike_sa() -> None:
    net = announcing(LAN_B, a=HASTY)
    do(net, "a", Liveness())
    flowing(net, PATIENCE - 5)
    assert ike_sa(net, "a").established
    flowing(net, 10)
    assert net.a.manager.idle
