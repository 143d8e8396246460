"""ikepy.sa.state.peer_addresses: both ends' addresses, and the paths to try (RFC 4555)."""

from __future__ import annotations

from dataclasses import replace
from ipaddress import ip_address

import pytest

from ikepy.sa.api.path import Address, Endpoint, Path
from ikepy.sa.state.peer_addresses import (
    MAX_ADDRESSES,
    MAX_WORKED,
    MOST_PROBED,
    Mobike,
    announced,
    no_nats_allowed,
    unchanged,
    usable,
)
from ikepy.wire.constants import NotifyType
from ikepy.wire.payloads import NotifyPayload


def addresses(*texts: str) -> tuple[Address, ...]:
    return tuple(map(ip_address, texts))


def path(ours: str, theirs: str, port: int = 4500) -> Path:
    return Path(Endpoint(ip_address(ours), 4500), Endpoint(ip_address(theirs), port))


A, B, PEER, OTHER = "192.0.2.1", "192.0.2.2", "198.51.100.1", "198.51.100.2"
CURRENT = path(A, PEER, 31000)


# -- paths -----------------------------------------------------------------------------------------


def test_the_current_end_comes_first_then_the_announced_ones_with_its_port() -> None:
    mobike = Mobike(True, addresses(B, A), addresses(OTHER))
    assert mobike.paths(CURRENT) == [
        path(B, PEER, 31000),
        path(A, PEER, 31000),
        path(B, OTHER, 31000),
        path(A, OTHER, 31000),
    ]


def test_without_our_own_list_the_current_address_is_used() -> None:
    assert Mobike(True).paths(CURRENT) == [CURRENT]


def test_ends_of_one_family_make_a_path() -> None:
    mobike = Mobike(True, addresses("2001:db8::1", A), addresses("2001:db8::2"))
    assert mobike.paths(CURRENT) == [CURRENT, path("2001:db8::1", "2001:db8::2", 31000)]


def test_paths_that_worked_come_before_announced_addresses() -> None:
    mobike = Mobike(True, addresses(A), addresses(OTHER, "198.51.100.3"))
    mobike.note_answer(path(A, "198.51.100.3", 4500))
    assert [each.remote for each in mobike.paths(CURRENT)] == [
        CURRENT.remote,
        Endpoint(ip_address("198.51.100.3"), 4500),
        Endpoint(ip_address(OTHER), 31000),
        Endpoint(ip_address("198.51.100.3"), 31000),
    ]


def test_answers_come_before_what_was_only_heard() -> None:
    mobike = Mobike(True)
    answered, again, heard = path(A, PEER), path(B, PEER), path(A, OTHER)
    mobike.note_answer(answered)
    mobike.note_heard(heard)
    mobike.note_answer(again)
    assert mobike.worked == (again, answered, heard)
    mobike.note_heard(answered)
    assert mobike.worked == (again, answered, heard)
    mobike.note_answer(heard)
    assert mobike.worked == (heard, again, answered)


def test_few_paths_are_remembered() -> None:
    mobike = Mobike(True)
    many = [path(A, f"198.51.100.{number}") for number in range(10)]
    for each in many:
        mobike.note_answer(each)
    assert mobike.worked == tuple(reversed(many))[:MAX_WORKED]
    mobike.note_heard(CURRENT)
    assert CURRENT not in mobike.worked


# -- probes ----------------------------------------------------------------------------------------


def test_a_search_probes_what_worked_each_time_and_the_others_in_turn() -> None:
    others = [f"203.0.113.{number}" for number in range(MOST_PROBED + 1)]
    mobike = Mobike(True, addresses(A), addresses(*others, OTHER))
    known = path(A, OTHER, 31000)
    mobike.note_answer(known)
    seen = []
    for _ in range(len(others)):
        probed = mobike.probes(CURRENT, lambda one: True)
        assert probed[0] == known
        assert len(probed) == MOST_PROBED
        assert CURRENT not in probed
        seen += probed[1:]
    assert {each: seen.count(each) for each in seen} == {
        path(A, address, 31000): MOST_PROBED - 1 for address in others
    }


def test_unusable_paths_are_not_probed() -> None:
    mobike = Mobike(True, addresses(A, B), addresses(OTHER))
    mobike.note_answer(path(B, OTHER, 31000))
    probed = mobike.probes(CURRENT, lambda one: one.local.address == ip_address(A))
    assert probed == [path(A, OTHER, 31000)]
    assert Mobike(True).probes(CURRENT, lambda one: True) == []


# -- what is sent, and what is read ----------------------------------------------------------------


def test_our_other_addresses_are_announced() -> None:
    mobike = Mobike(True, addresses(A, B, "2001:db8::1"))
    assert mobike.additional(CURRENT) == [
        NotifyPayload(NotifyType.ADDITIONAL_IP4_ADDRESS, bytes([192, 0, 2, 2])),
        NotifyPayload(NotifyType.ADDITIONAL_IP6_ADDRESS, ip_address("2001:db8::1").packed),
    ]
    many = Mobike(True, tuple(ip_address(f"10.0.0.{number}") for number in range(50)))
    assert len(many.additional(CURRENT)) == MAX_ADDRESSES


@pytest.mark.parametrize(
    ("text", "expected"),
    [("192.0.2.1", True), ("224.0.0.1", False), ("0.0.0.0", False), ("ff02::1", False), ("::", False)],
)
def test_addresses_of_hosts(text: str, expected: bool) -> None:
    assert usable(ip_address(text)) is expected


def test_the_peers_list_is_read_without_doubles_and_nonsense() -> None:
    of = Mobike(True, addresses(PEER, "224.0.0.1", OTHER, PEER))
    assert announced(of.additional(path(A, PEER))) == addresses(PEER, OTHER)
    assert announced([NotifyPayload(NotifyType.NO_ADDITIONAL_ADDRESSES)]) == ()
    assert announced([NotifyPayload(NotifyType.MOBIKE_SUPPORTED)]) is None


def test_a_long_list_is_cut() -> None:
    many = [
        NotifyPayload(NotifyType.ADDITIONAL_IP4_ADDRESS, bytes([10, 0, 0, number])) for number in range(50)
    ]
    assert announced(many) == tuple(ip_address(f"10.0.0.{number}") for number in range(MAX_ADDRESSES))


def test_no_nats_allowed_shows_what_a_nat_changed() -> None:
    """RFC 4555 3.9, as the receiver sees it: its own end is the destination."""
    notify = no_nats_allowed(CURRENT)
    assert notify.data == bytes([192, 0, 2, 1, 198, 51, 100, 1]) + (4500).to_bytes(2, "big") + (
        31000
    ).to_bytes(2, "big")
    seen = Path(CURRENT.remote, CURRENT.local)
    assert unchanged([notify], seen)
    assert unchanged([], CURRENT)
    assert not unchanged([notify], CURRENT)
    assert not unchanged([notify], replace(seen, remote=replace(seen.remote, port=1024)))
    assert not unchanged([notify], replace(seen, local=replace(seen.local, address=ip_address(B))))
