"""What brings a VXLAN device to its desired state, whatever it was."""

from __future__ import annotations

from dataclasses import replace
from ipaddress import IPv4Address, IPv4Interface

from hypothesis import given
from hypothesis import strategies as st

from tun.state import AddAddress, RemoveAddress, SetMtu, SetUp
from tun.vxlan_state import (
    AddPeer,
    Delete,
    Make,
    Operation,
    RemovePeer,
    SeenVxlan,
    VxlanLink,
    VxlanState,
    difference,
)

PEERS = [IPv4Address(f"10.0.0.{number}") for number in range(1, 6)]
ADDRESSES = [IPv4Interface(f"10.7.{number}.1/24") for number in range(1, 5)]
LINKS = [VxlanLink(vni, 4789, underlay) for vni in (7, 8) for underlay in (0, 3)]
peers = st.frozensets(st.sampled_from(PEERS))
addresses = st.frozensets(st.sampled_from(ADDRESSES))
states = st.builds(
    VxlanState, st.just("vx0"), st.just(7), st.just(4789), peers=peers, addresses=addresses, retired=addresses
)
seen_ones = st.none() | st.builds(
    SeenVxlan,
    st.just(True),
    st.none() | st.sampled_from(LINKS),
    st.sampled_from([1000, 1450]),
    peers,
    addresses,
)


def after(seen: SeenVxlan | None, operations: list[Operation], link: VxlanLink) -> SeenVxlan:
    """What a kernel makes of it; one that refuses what can't be done."""
    up = seen is not None
    for one in operations:
        if isinstance(one, Make):
            assert seen is None
            seen = SeenVxlan(True, link, 1450, frozenset(), frozenset())
            continue
        assert seen is not None
        match one:
            case Delete():
                seen, up = None, False
            case SetMtu(mtu=mtu):
                seen = replace(seen, mtu=mtu)
            case AddPeer(peer=peer):
                assert peer not in seen.peers
                seen = replace(seen, peers=seen.peers | {peer})
            case RemovePeer(peer=peer):
                assert peer in seen.peers
                seen = replace(seen, peers=seen.peers - {peer})
            case AddAddress(own=own):
                seen = replace(seen, addresses=seen.addresses | {own})
            case RemoveAddress(own=own):
                seen = replace(seen, addresses=seen.addresses - {own})
            case SetUp():
                up = True
    assert seen is not None
    assert up
    return seen


@given(states, st.sampled_from(LINKS), st.sampled_from([1400, 1450]), seen_ones)
def test_it_is_what_it_is_to_be_and_then_nothing_is_left(
    desired: VxlanState, link: VxlanLink, mtu: int, seen: SeenVxlan | None
) -> None:
    found = after(seen, difference(desired, link, mtu, seen), link)
    assert (found.link, found.mtu, found.peers) == (link, mtu, desired.peers)
    assert found.addresses >= desired.addresses
    assert not found.addresses & (desired.retired - desired.addresses)
    if seen is not None and seen.link == link:
        assert found.addresses >= seen.addresses - desired.retired, "others' addresses stay"
    assert not difference(desired, link, mtu, found)


@given(states, st.sampled_from(LINKS), seen_ones)
def test_a_device_is_made_anew_only_if_it_is_another(
    desired: VxlanState, link: VxlanLink, seen: SeenVxlan | None
) -> None:
    operations = difference(desired, link, 1450, seen)
    other = seen is None or seen.link != link
    assert any(isinstance(one, Make) for one in operations) is other
    assert any(isinstance(one, SetUp) for one in operations) is other, "who takes it down later means it"
