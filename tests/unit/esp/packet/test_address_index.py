"""esp.packet.address_index: the same answers as looking at every selector."""

from __future__ import annotations

from ipaddress import IPv4Address, IPv6Address

import pytest
from hypothesis import given
from hypothesis import strategies as st

from esp.datapath.sa_database import SaDatabase
from esp.packet.address_index import AddressIndex
from esp.packet.headers import Flow
from esp.packet.policy import Policy, Width
from esp.packet.selectors import BITS, Selector
from tests.unit.esp.bed import outbound, to
from tests.unit.esp.packets import ipv4

TUNNELS = 200  # the messages' keys come again after 256


@st.composite
def selectors(draw: st.DrawFn) -> Selector:
    """Networks and other ranges, many of them one in another."""
    version = draw(st.sampled_from([4, 6]))
    if draw(st.booleans()):
        bits = draw(st.sampled_from([0, 1, 4, 8, BITS[version]]))
        first = draw(st.integers(0, 1 << 9)) >> bits << bits
        return Selector(version, first, first + (1 << bits) - 1)
    first, last = sorted((draw(st.integers(0, 1 << 9)), draw(st.integers(0, 1 << 9))))
    return Selector(version, first, last)


@given(
    st.lists(st.lists(selectors(), min_size=1, max_size=3), max_size=12),
    st.sets(st.integers(0, 11)),
    st.integers(0, 1 << 9),
)
def test_finds_what_holds_the_address(entries: list[list[Selector]], removed: set[int], address: int) -> None:
    index = AddressIndex[int]()
    for number, each in enumerate(entries):
        index.add(each, number)
    left = {number for number in range(len(entries)) if number not in removed}
    for number in set(range(len(entries))) - left:
        index.remove(entries[number], number)
    for version in BITS:
        expected = {
            number
            for number in left
            if any(one.version == version and one.first <= address <= one.last for one in entries[number])
        }
        assert set(index.find(version, address)) == expected


def test_networks_of_many_sizes_in_both_versions() -> None:
    index = AddressIndex[str]()
    for text in ("0.0.0.0/0", "10.0.0.0/8", "10.1.0.0/16", "10.1.2.3/32", "::/0", "fd00::/8"):
        index.add([Selector.of(text)], text)
    assert set(index.find(4, int(IPv4Address("10.1.9.9")))) == {"0.0.0.0/0", "10.0.0.0/8", "10.1.0.0/16"}
    assert set(index.find(6, int(IPv6Address("fd12::1")))) == {"::/0", "fd00::/8"}


def test_what_is_not_there_cannot_be_removed() -> None:
    index = AddressIndex[str]()
    for text in ("10.0.0.0/8", "10.0.0.1/32"):
        with pytest.raises(KeyError):
            index.remove([Selector.of(text)], text)
    with pytest.raises(ValueError, match="not in list"):
        index.remove([Selector(4, 1, 3)], "1..3")


def questions(monkeypatch: pytest.MonkeyPatch) -> list[Flow]:
    """Gets an entry whenever a packet is held against an SA's selectors."""
    asked: list[Flow] = []
    match = Policy.match_outbound

    def noted(self: Policy, flow: Flow) -> Width | None:
        asked.append(flow)
        return match(self, flow)

    monkeypatch.setattr(Policy, "match_outbound", noted)
    return asked


def test_a_packet_among_many_tunnels_is_held_against_few(monkeypatch: pytest.MonkeyPatch) -> None:
    database = SaDatabase()
    for number in range(TUNNELS):
        database.install_outbound(
            outbound(number + 1, 0x1000 + number, **to(f"10.2.{number >> 8}.{number & 255}/32"))
        )
    asked = questions(monkeypatch)
    for number in range(TUNNELS):
        found = database.outbound(1, ipv4(destination=f"10.2.{number >> 8}.{number & 255}"))
        assert found is not None
        assert found.child_id == number + 1
    assert len(asked) == TUNNELS


def test_tunnels_with_the_same_selectors_count_once(monkeypatch: pytest.MonkeyPatch) -> None:
    """The newest active one is taken, whatever came and went before it."""
    database = SaDatabase()
    for number in range(1, TUNNELS + 1):
        database.install_outbound(outbound(number, 0x1000 + number))
    asked = questions(monkeypatch)
    for newest in range(TUNNELS, TUNNELS - 5, -1):
        found = database.outbound(1, ipv4())
        assert found is not None
        assert found.child_id == newest
        database.remove_pair(newest)
    assert len(asked) == 5
