"""ikepy.sa.state.children: the questions that are asked of an IKE_SA's children."""

from __future__ import annotations

from dataclasses import replace

from esp.packet.selectors import Selector
from ikepy.config.model import Child
from ikepy.sa.negotiation.ts_request import Pair
from ikepy.sa.state.child_sa import ChildSa, ChildState
from ikepy.sa.state.children import Children

from .test_child_sa import HOSTS, child

ELSEWHERE = Pair(Selector.of("10.1.0.1/32"), Selector.of("10.3.0.1/32"))
OTHER = Child(name="other")


def children(*found: ChildSa) -> Children:
    return Children({one.child_id: one for one in found})


def test_of_two_with_one_outbound_spi_the_one_that_is_not_deleted() -> None:
    deleted, other = replace(child(), state=ChildState.DELETED), replace(child(), child_id=8, spi_out=0x3333)
    assert children(deleted, other).by_outbound_spi(0x2222) is deleted
    stays = replace(child(), child_id=9)
    assert children(deleted, other, stays).by_outbound_spi(0x2222) is stays
    assert children(other).by_outbound_spi(0x2222) is None


def test_a_child_as_it_is_configured() -> None:
    one = child()
    assert children(one).has(one.config)
    assert children(one).has(one.config, 7)
    assert not children(one).has(one.config, 8)
    assert not children(one).has(one.config.model_copy())  # another configuration's
    assert not children(one).has(None)
    assert not children(replace(one, state=ChildState.DELETING)).has(one.config)


def test_the_successor_is_there_or_not() -> None:
    one, other = replace(child(), replaced_by=8), replace(child(), child_id=8)
    assert children(one, other).successor(one) is other
    assert children(one).successor(one) is None
    assert children(one, other).successor(other) is None


def test_another_child_of_the_same_name_and_traffic() -> None:
    one, same = child(), replace(child(), child_id=8)
    assert children(one, same).alike(one) is same
    assert children(one, same).alike(same) is one
    for differs in (
        replace(same, config=OTHER),
        replace(same, ts_local=(HOSTS.local,)),
        replace(same, state=ChildState.REKEYED),
    ):
        assert children(one, differs).alike(one) is None


def test_a_packet_that_a_child_carries_and_one_that_needs_another() -> None:
    one = child()
    assert children(one).carries("net", HOSTS)
    assert not children(one).carries("net", ELSEWHERE)
    assert not children(one).carries("other", HOSTS)
    assert not children(one).lacks("net", ELSEWHERE)  # it is all that the policy has
    part = replace(one, trapped=(Selector.of("10.3.0.0/16"),))
    assert children(part).lacks("net", ELSEWHERE)
    assert not children(part).lacks("net", HOSTS)
    assert not children(replace(part, state=ChildState.REKEYED)).lacks("net", ELSEWHERE)
    assert not children(part).lacks("other", ELSEWHERE)


def test_the_newest_that_the_peer_surely_has() -> None:
    """However long it has rekeyed and deleted nothing."""
    most = 5000
    chain = [replace(child(), child_id=n, replaced_by=n + 1, state=ChildState.REKEYED) for n in range(most)]
    newest, alone = replace(child(), child_id=most), replace(child(), child_id=most + 1)
    found = children(*chain, newest, alone)
    assert found.ready(newest) is chain[0]
    assert found.ready(alone) is alone
    chain[9].state = ChildState.DELETED
    assert found.ready(newest) is chain[10]
