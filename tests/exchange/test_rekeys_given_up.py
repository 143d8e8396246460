"""Rekeys of a child that come to nothing after the responder has made the new one (RFC 7296 2.8, 2.25)."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import pytest

from ikepy.sa.api.commands import ChildrenLost, Rekey, Terminate
from ikepy.sa.api.ends import ChildRemoval
from ikepy.sa.api.events import ChildDown, ChildRekeyed, ChildUp
from ikepy.sa.state.child_sa import ChildSa, ChildState
from ikepy.wire.payloads import Payload, TsPayload

from .network import DELAY, Network, assert_joined
from .tampering import answer_otherwise
from .test_crossings import act, assert_agreed, established, options
from .test_established import ike_sa
from .test_followup_crossings import crossing

ELSEWHERE = bytes([192, 0, 2, 200])


def with_other_selectors(payloads: Sequence[Payload]) -> list[Payload]:
    """With such as nobody has proposed."""
    return [
        replace(one, selectors=tuple(replace(s, first=ELSEWHERE, last=ELSEWHERE) for s in one.selectors))
        if isinstance(one, TsPayload)
        else one
        for one in payloads
    ]


def rekeyed_in_vain(*lost: int) -> tuple[Network, ChildSa]:
    """b rekeys the child, and can't use a's answer: it deletes what a has made, and will try again. Also a's
    old child. `lost`: children that a loses meanwhile."""
    net = established(options(), options(), "one")
    (old,) = ike_sa(net, "a").children.values()
    net.a.events.clear()
    line = "a -> b CREATE_CHILD_SA response 0"

    def act() -> None:
        net.command("b", Rekey(child="net"))
        if lost:
            net.run(1.5 * DELAY)
            net.command("a", ChildrenLost(lost))

    answer_otherwise(net, line, act, with_other_selectors)
    if lost:
        return net, old
    net.run(10 * DELAY)
    assert net.ladder[2:] == ["b -> a INFORMATIONAL request 1", "a -> b INFORMATIONAL response 1"]
    return net, old


def test_the_child_stays_and_is_rekeyed_later() -> None:
    net, old = rekeyed_in_vain()
    assert old.state is ChildState.INSTALLED and old.stays
    assert net.a.plane.outbound[old.child_id].spi == old.spi_out  # no other one
    net.run(60)
    assert old.child_id not in ike_sa(net, "a").children
    assert_joined(net)
    assert not net.a.errors()


def test_events_tell_which_child_is_up() -> None:
    net, old = rekeyed_in_vain()
    rekeyed, down, up = net.a.events
    assert isinstance(rekeyed, ChildRekeyed) and isinstance(down, ChildDown) and isinstance(up, ChildUp)
    assert down.reason is ChildRemoval.DELETED_BY_PEER
    assert down.child.child_id == rekeyed.new.child_id
    assert up.child.child_id == rekeyed.old.child_id == old.child_id


def test_the_responder_rekeys_by_itself_where_the_peer_does_not() -> None:
    net, old = rekeyed_in_vain()
    net.command("a", Rekey(child="net"))
    net.run(15)
    assert old.child_id not in ike_sa(net, "a").children
    assert_joined(net)


@pytest.mark.parametrize("lost", [(1,), (2,), (1, 2)], ids=str)
def test_children_are_lost_meanwhile(lost: tuple[int, ...]) -> None:
    """The one that carries traffic again is there before the peer's next try to rekey."""
    net, old = rekeyed_in_vain(*lost)
    net.run(8)
    (child,) = ike_sa(net, "a").children.values()
    assert child.stays and child is not old
    assert_joined(net)


@pytest.mark.parametrize("again", [1.0, 60.0])
def test_the_child_is_deleted(again: float) -> None:
    """Before the next rekey, and after it."""
    net, _ = rekeyed_in_vain()
    net.run(again)
    net.command("a", Terminate(child="net"))
    net.run(60)
    for site in (net.a, net.b):
        assert not site.plane.inbound and not site.plane.outbound
        assert not any(sa.children for sa in site.manager.ike_sas)


@pytest.mark.parametrize("seed", ["one", "two", "three"])
@pytest.mark.parametrize("name", ["a", "b"])
def test_rekeys_cross_and_the_one_that_stays_is_forgotten(name: str, seed: str) -> None:
    """The peer has deleted its redundant child and forgets our rekey, as no IKE_FOLLOWUP_KE of ours arrives.
    The old child is still there at both ends, and is rekeyed later."""
    peer = "b" if name == "a" else "a"
    net = crossing(seed)

    def script(line: str, nth: int, data: bytes) -> list[float]:
        if line.startswith(f"{name} -> {peer} IKE_FOLLOWUP_KE request") and net.now < 23:
            return []
        return [30 * DELAY if line.startswith(f"{peer} -> {name} CREATE_CHILD_SA response") else DELAY]

    net.script = script
    for site in "ab":
        act(net, site, "child rekey")
    net.run(300)
    assert_agreed(net, ("child rekey",), name)
    for site in "ab":
        (child,) = ike_sa(net, site).children.values()
        assert child.stays, child
