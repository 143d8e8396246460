"""What is said of all pairs of two sides' selectors is found without going through the pairs."""

from __future__ import annotations

from itertools import product

from hypothesis import given
from hypothesis import strategies as st

from esp.packet.headers import Flow
from esp.packet.policy import Policy
from esp.packet.selectors import BITS, MOST, Selector, narrow, without_contained
from ikepy.sa.negotiation.ts_request import Pair, Selectors, additional_ts_possible, is_partial


@st.composite
def selectors(draw: st.DrawFn) -> Selector:
    """Few addresses and ports of both versions, so that they contain, touch and equal each other."""
    version = draw(st.sampled_from([4, 6]))
    ranges = st.tuples(st.integers(0, 5), st.integers(0, 5)).map(sorted)
    first, last = draw(ranges | st.just([0, (1 << BITS[version]) - 1]))
    port, to = sorted((draw(st.integers(0, 3)), draw(st.integers(0, 3))))
    ports = draw(st.sampled_from([(0, 65535), (port, to), (65535, 0)]))
    return Selector(version, first, last, draw(st.sampled_from([0, 6, 17])), *ports)


sides = st.lists(selectors(), max_size=5).map(tuple)
pairs = st.builds(Pair, selectors(), selectors())
of_a_child = st.builds(Selectors, sides, sides)


@given(of_a_child, pairs)
def test_a_pair(own: Selectors, asked: Pair) -> None:
    same = asked.local.version == asked.remote.version
    assert own.carries(asked) == any(one.contains(asked) for one in own.pairs())
    touched = any(
        one.local.intersection(asked.local) and one.remote.intersection(asked.remote) for one in own.pairs()
    )
    assert own.touches(asked) == (same and touched)


@given(of_a_child, of_a_child)
def test_all_pairs(own: Selectors, other: Selectors) -> None:
    missing = [pair for pair in other.pairs() if not own.carries(pair)]
    assert own.carries_all(other) == (not missing)
    assert is_partial(other, own, more=True) == bool(missing)
    whole = [pair for pair in missing if not pair.local.all_addresses and not pair.remote.all_addresses]
    assert is_partial(other, own, more=False) == any(not own.touches(pair) for pair in whole)


@given(of_a_child, of_a_child, st.lists(of_a_child, max_size=3))
def test_what_the_peer_may_still_ask_for(asked: Selectors, own: Selectors, others: list[Selectors]) -> None:
    def narrowed(by: Selectors) -> Selectors:
        return Selectors(narrow(by.local, asked.local), narrow(by.remote, asked.remote))

    agreed = narrowed(own)
    assert own.overlaps(asked) == asked.overlaps(own) == bool(agreed.local and agreed.remote)
    more = any(not agreed.carries_all(narrowed(other)) for other in others)
    assert additional_ts_possible(agreed, asked, others) == more


@given(sides)
def test_without_those_that_others_contain(some: tuple[Selector, ...]) -> None:
    kept = without_contained(some)
    distinct = dict.fromkeys(some)
    expected = [one for one in distinct if not any(x.contains(one) for x in distinct if x != one)]
    assert list(kept) == expected


@given(selectors(), selectors())
def test_what_a_selector_contains_is_its_intersection(one: Selector, other: Selector) -> None:
    assert one.contains(other) == (one.intersection(other) == other)


@given(sides, sides)
def test_narrowing(ours: tuple[Selector, ...], theirs: tuple[Selector, ...]) -> None:
    common = [both for one, other in product(ours, theirs) if (both := one.intersection(other)) is not None]
    assert narrow(ours, theirs) == without_contained(common)


def test_no_more_selectors_than_a_payload_holds() -> None:
    ours = tuple(Selector.of(f"10.{number}.0.0/16") for number in range(200))
    theirs = tuple(Selector.of("0.0.0.0/0", 17, port, port) for port in range(MOST))
    assert len(narrow(ours, theirs)) == MOST


def width(local: Selector, remote: Selector) -> tuple[int, int, int, int]:
    def ports(one: Selector) -> int:
        return max(0, one.last_port - one.first_port) + (0 if one.protocol else 65536)

    return remote.last - remote.first, local.last - local.first, ports(remote), ports(local)


@st.composite
def around(draw: st.DrawFn) -> Selector:
    """A selector that contains 10.1.0.1 or 10.2.0.1, and perhaps UDP port 7 or 9."""
    network = draw(st.sampled_from(["0.0.0.0/0", "10.0.0.0/8", "10.1.0.0/16", "10.2.0.0/16", "10.1.0.1/32"]))
    ports = draw(st.sampled_from([(0, 65535), (0, 20), (5, 10), (7, 7), (9, 9)]))
    return Selector.of(network, draw(st.sampled_from([0, 17])), *ports)


@given(st.lists(around(), max_size=5), st.lists(around(), max_size=5))
def test_the_narrowest_pair_of_a_packet(local: list[Selector], remote: list[Selector]) -> None:
    source, destination = 0x0A010001, 0x0A020001
    matching = [
        width(one, other)
        for one, other in product(local, remote)
        if one.matches(4, source, 17, 7) and other.matches(4, destination, 17, 9)
    ]
    assert Policy(local, remote).match_outbound(Flow(4, source, destination, 17, 7, 9)) == min(
        matching, default=None
    )
