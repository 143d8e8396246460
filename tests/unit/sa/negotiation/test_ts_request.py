"""ikepy.sa.negotiation.ts_request: what a child is requested for, and what is left over (RFC 7296 2.9)."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from esp.packet.selectors import Selector
from ikepy.sa.negotiation.ts_request import (
    EVERYTHING,
    Pair,
    Selectors,
    TsRequest,
    is_partial,
    pair_of,
)


def of(*networks: str) -> tuple[Selector, ...]:
    return tuple(map(Selector.of, networks))


def pair(local: str, remote: str) -> Pair:
    return Pair(Selector.of(local), Selector.of(remote))


A, B, C, D = "10.1.0.0/16", "10.2.0.0/16", "10.3.0.0/16", "10.4.0.0/16"
ONE = Selectors(of(A), of(B))
FOUR = Selectors(of(A, C), of(B, D))
PACKET = pair("10.3.0.1/32", "10.2.0.1/32")
INSIDE = pair("10.1.0.1/32", "10.2.0.1/32")


# -- pairs -----------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("local", "remote", "contained"),
    [
        (A, B, True),
        ("10.1.0.0/24", "10.2.0.0/24", True),
        ("10.0.0.0/8", B, False),
        (A, "10.0.0.0/8", False),
        (B, A, False),
    ],
)
def test_a_pair_contains_another_on_both_sides(local: str, remote: str, contained: bool) -> None:
    assert pair(A, B).contains(pair(local, remote)) is contained


def test_the_remote_side_decides_which_pair_is_narrower() -> None:
    assert pair("0.0.0.0/0", "10.2.0.0/24").width < pair("10.1.0.1/32", B).width
    assert pair("10.1.0.1/32", B).width < pair(A, B).width


def test_pairs_are_of_one_version() -> None:
    both = Selectors(of(A, "fd01::/64"), of("fd02::/64", B))
    assert list(both.pairs()) == [pair(A, B), pair("fd01::/64", "fd02::/64")]


def test_a_packet_is_carried_by_one_pair_and_not_by_the_sides_of_two() -> None:
    assert FOUR.carries(PACKET)
    assert not FOUR.carries(pair("10.1.0.1/32", "10.9.0.1/32"))
    mixed = Selectors((Selector.of(A, 17), Selector.of(C)), of(B))
    assert not mixed.carries(INSIDE)  # any protocol, of which the child permits UDP
    assert mixed.touches(INSIDE)
    assert not mixed.touches(pair("10.9.0.0/16", B))
    assert not mixed.touches(pair(A, "10.9.0.0/16"))


def test_the_configured_pair_of_a_packet() -> None:
    assert pair_of(FOUR, PACKET) == pair(C, B)
    assert pair_of(ONE, PACKET) is None


# -- what is offered -------------------------------------------------------------------------------


def test_everything_that_is_configured_is_offered() -> None:
    assert EVERYTHING.offer(FOUR) == FOUR


def test_the_packet_goes_first() -> None:
    assert TsRequest(PACKET).offer(FOUR) == Selectors(of("10.3.0.1/32", A, C), of("10.2.0.1/32", B, D))


def test_a_packet_as_wide_as_a_configured_selector_is_not_offered_twice() -> None:
    assert TsRequest(pair(C, D)).offer(FOUR) == Selectors(of(C, A), of(D, B))


def test_what_other_children_carry_is_not_offered() -> None:
    within = Selectors.of(pair(C, B))
    assert TsRequest(within=within).offer(FOUR) == within
    assert TsRequest(PACKET, within).offer(FOUR) == Selectors(of("10.3.0.1/32", C), of("10.2.0.1/32", B))
    assert TsRequest(PACKET, within, alone=True).offer(FOUR) == within


# -- SINGLE_PAIR_REQUIRED --------------------------------------------------------------------------


def test_without_a_packet_the_first_pair_is_requested() -> None:
    assert EVERYTHING.narrower(FOUR) == TsRequest(None, Selectors.of(pair(A, B)), alone=True)


def test_the_pair_of_the_packet_is_requested_and_then_its_addresses() -> None:
    first = TsRequest(PACKET).narrower(FOUR)
    assert first == TsRequest(PACKET, Selectors.of(pair(C, B)), alone=True)
    assert first.offer(FOUR) == Selectors.of(pair(C, B))
    second = first.narrower(FOUR)
    assert second == TsRequest(PACKET, Selectors.of(PACKET), alone=True)
    assert second.narrower(FOUR) is None


def test_the_protocol_and_ports_of_the_configured_pair_stay() -> None:
    configured = Selectors((Selector.of(A, 17, 53, 53),), of(B))
    found = TsRequest(
        Pair(Selector.of("10.1.0.1/32", 17, 53, 53), Selector.of("10.2.0.1/32", 17)), alone=True
    )
    narrower = found.narrower(configured)
    assert narrower is not None
    assert narrower.within == Selectors((Selector.of("10.1.0.1/32", 17, 53, 53),), of("10.2.0.1/32"))


def test_one_configured_pair_can_not_be_narrowed_without_a_packet() -> None:
    assert EVERYTHING.narrower(ONE) is None


def test_no_pair_is_requested_that_has_not_the_packet() -> None:
    assert TsRequest(pair("10.9.0.1/32", "10.2.0.1/32")).narrower(FOUR) is None


# -- what is agreed --------------------------------------------------------------------------------


def test_a_child_meets_the_request_if_it_carries_the_packet() -> None:
    request = TsRequest(PACKET, Selectors.of(pair(C, B)))
    assert request.met_by(Selectors(of("10.3.0.0/24"), of(B)))
    assert not request.met_by(Selectors(of(A), of(B)))


def test_without_a_packet_it_carries_all_that_was_requested() -> None:
    assert EVERYTHING.met_by(Selectors(of(A), of("10.2.0.0/24")))
    request = TsRequest(within=FOUR)
    assert request.met_by(FOUR)
    assert request.met_by(Selectors(of("10.0.0.0/8"), of("10.0.0.0/8")))
    assert not request.met_by(Selectors(of(A, C), of(B)))


@pytest.mark.parametrize(
    ("agreed", "more", "partial"),
    [
        (FOUR, False, False),
        (FOUR, True, False),
        (Selectors(of(A, C), of(B)), False, True),  # D is missing entirely
        (Selectors(of(A, C), of(B, "10.4.0.0/24")), False, False),  # narrowed: the peer wants nothing else
        (Selectors(of(A, C), of(B, "10.4.0.0/24")), True, True),
    ],
)
def test_what_is_left_to_request(agreed: Selectors, more: bool, partial: bool) -> None:
    assert is_partial(FOUR, agreed, more=more) is partial


@pytest.mark.parametrize("more", [True, False])
def test_a_narrowed_wildcard_is_left_alone_unless_the_peer_says_so(more: bool) -> None:
    wide = Selectors(of("0.0.0.0/0"), of("0.0.0.0/0"))
    assert is_partial(wide, ONE, more=more) is more


networks = st.builds(
    lambda second, bits: Selector.of(f"10.{second << (8 - min(bits, 8)) & 255}.0.0/{8 + min(bits, 8)}"),
    st.integers(0, 7),
    st.integers(0, 8),
)
some = st.lists(networks, min_size=1, max_size=3).map(tuple)
hosts = st.integers(0, 7).map(lambda n: Selector.of(f"10.{n << 5}.0.1/32"))


@given(st.builds(Selectors, some, some), st.builds(Pair, hosts, hosts))
def test_narrowing_ends_and_keeps_the_packet(configured: Selectors, packet: Pair) -> None:
    """Every request permits the packet, each is within the one before, and the last is a single pair."""
    if not configured.carries(packet):
        assert pair_of(configured, packet) is None
        return
    request: TsRequest | None = TsRequest(packet)
    before = configured
    for _ in range(3):
        assert request is not None
        offered = request.offer(configured)
        assert offered.carries(packet)
        assert all(before.carries(one) for one in offered.pairs())
        before, request = offered, request.narrower(configured)
        if request is None:
            break
    assert request is None
    assert len(list(before.pairs())) == 1
