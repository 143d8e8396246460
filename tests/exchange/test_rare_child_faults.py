"""Schedules of children that the simulation found: a policy had no child, or two (RFC 7296 2.8, 2.25).

Every test begins with its ladder; "x" is what is late or lost.
"""

from __future__ import annotations

from dataclasses import replace

import pytest

from ikepy.sa.api.commands import ChildrenLost, Initiate, Rekey, Terminate

from .network import DELAY, Network, assert_joined
from .test_established import ike_sa
from .two_children import AGAIN, SEEDS, child_id, established, late, options

# -- expiry ----------------------------------------------------------------------------------------


def test_both_ends_children_expire_at_once() -> None:
    """Each brings the child up again, though b's delete was faster than b's answer, and one of the two stays.

    a -> b INFORMATIONAL request 2 (D)    x
    b -> a INFORMATIONAL request 0 (D)
    a -> b INFORMATIONAL response 0
    b -> a CREATE_CHILD_SA request 1
    a -> b CREATE_CHILD_SA response 1
    b -> a INFORMATIONAL response 2
    """
    short = "rekey_time = 0\nlife_time = "
    net = established(options(f"{short}20\n{AGAIN}"), options(f"{short}21\n"), second=False)
    net.script = late("a -> b INFORMATIONAL request 2", 1.5)
    net.run(30)
    assert net.ladder[:6] == [
        "a -> b INFORMATIONAL request 2",
        "b -> a INFORMATIONAL request 0",
        "a -> b INFORMATIONAL response 0",
        "b -> a CREATE_CHILD_SA request 1",
        "a -> b CREATE_CHILD_SA response 1",
        "b -> a INFORMATIONAL response 2",
    ]
    assert_joined(net)


def test_the_ike_sa_dies_while_an_expired_child_is_deleted() -> None:
    """dpd_action brings it up again, for nobody wished its end.

    a -> b INFORMATIONAL request 2 (D)    x, time and again
    """
    lasting = 'dpd_action = "start"\nrekey_time = 0\nlife_time = 120\n' + AGAIN
    net = established(options(lasting), options(), second=False)
    net.run(100)
    old = ike_sa(net, "a")
    net.script = lambda line, nth, data: [] if "INFORMATIONAL" in line else [DELAY]
    net.run(200)
    assert not old.established
    assert_joined(net)


# -- a DELETE that overtakes a response ------------------------------------------------------------


@pytest.mark.parametrize("seed", SEEDS)
def test_a_child_that_is_replaced_before_its_response_arrives(seed: str) -> None:
    """b has the child of a's request, and what it asked for is gone: a's must stay.

    b -> a CREATE_CHILD_SA request 0 (second)
    a -> b CREATE_CHILD_SA response 0             x
    a -> b CREATE_CHILD_SA request 2 (second, for a's worker died)
    b -> a CREATE_CHILD_SA response 2
    a -> b INFORMATIONAL request 3 (D of what b does not know yet)
    """
    net = established(options(), options(), second=False, seed=seed)
    net.script = late("a -> b CREATE_CHILD_SA response 0", 1.5)
    net.command("b", Initiate("ab", "second", ticket=3))
    net.run(2 * DELAY)
    net.command("a", ChildrenLost((child_id(net, "a", "second"),)))
    net.run(40)
    assert net.ladder[:5] == [
        "b -> a CREATE_CHILD_SA request 0",
        "a -> b CREATE_CHILD_SA response 0",
        "a -> b CREATE_CHILD_SA request 2",
        "b -> a CREATE_CHILD_SA response 2",
        "a -> b INFORMATIONAL request 3",
    ]
    assert net.b.outcomes[3].ok
    assert_joined(net, 2)


@pytest.mark.parametrize("again", [True, False])
def test_a_rekeyed_child_is_deleted_before_its_response_arrives(again: bool) -> None:
    """The old one goes too, and what b's close_action asks for comes.

    b -> a CREATE_CHILD_SA request 0 (REKEY_SA)
    a -> b CREATE_CHILD_SA response 0             x
    a -> b INFORMATIONAL request 2 (D of the new child)
    """
    net = established(options(), options("rekey_time = 0\n" + AGAIN * again), second=False)
    net.script = late("a -> b CREATE_CHILD_SA response 0", 1.5)
    net.command("b", Rekey(child="net"))
    net.run(2 * DELAY)
    net.command("a", Terminate(child="net"))
    net.run(60)
    assert_joined(net, int(again))


@pytest.mark.parametrize("again", [True, False])
def test_a_lost_child_whose_replacement_is_deleted_before_its_response_arrives(again: bool) -> None:
    """
    b -> a CREATE_CHILD_SA request 0 (b's worker died)
    a -> b CREATE_CHILD_SA response 0             x
    a -> b INFORMATIONAL request 2 (D of the new child)
    """
    net = established(options(), options("rekey_time = 0\n" + AGAIN * again), second=False)
    net.script = late("a -> b CREATE_CHILD_SA response 0", 1.5)
    net.command("b", ChildrenLost((child_id(net, "b", "net"),)))
    net.run(2 * DELAY)
    net.command("a", Terminate(child_id=max(net.a.plane.inbound)))
    net.run(60)
    assert_joined(net, int(again))


# -- children that both ends make ------------------------------------------------------------------


@pytest.mark.parametrize("seed", SEEDS)
def test_packets_under_way_under_the_child_that_goes_are_still_taken(seed: str) -> None:
    """Both ends ask for the same child, and each gives the other's a place: nothing is lost when one goes."""
    net = established(options(), options(), second=False, seed=seed)
    for name in "ab":
        net.command(name, Initiate("ab", "second"))
    net.run(1)
    assert len(net.a.plane.outbound) == len(net.b.plane.outbound) == 2
    net.run(8)
    assert_joined(net, 2)


@pytest.mark.parametrize("seed", SEEDS)
def test_the_loser_of_two_rekeys_that_cross_is_rekeyed_at_once(seed: str) -> None:
    """
    a -> b CREATE_CHILD_SA request (REKEY_SA), b -> a CREATE_CHILD_SA request (REKEY_SA)
    a -> b CREATE_CHILD_SA response    x
    then either end rekeys what the other one has made
    """
    for name in "ab":
        net = established(options(), options(), second=False, seed=seed)
        old = child_id(net, "a", "net"), child_id(net, "b", "net")
        net.script = late("a -> b CREATE_CHILD_SA response 0", 0.5)
        for site, child in zip("ab", old, strict=True):
            net.command(site, Rekey(child_id=child))
        net.run(1.5 * DELAY)
        (made,) = set(net.site(name).plane.inbound) - set(old)
        net.command(name, Rekey(child_id=made))
        net.run(150)
        assert_joined(net, note="\n".join(net.ladder))


# -- what a child hides ----------------------------------------------------------------------------


def test_a_lost_child_does_not_hide_that_its_successor_is_gone() -> None:
    """b's close_action brings the policy up again, though the child that carries nothing still stands.

    b -> a CREATE_CHILD_SA request 0 (b's worker died)
    a -> b CREATE_CHILD_SA response 0
    a -> b INFORMATIONAL request 2 (D of the new child, which is used up)
    b -> a INFORMATIONAL request 1 (D of the lost one)                      x
    """
    net = established(options(), options("rekey_time = 0\n" + AGAIN), second=False)
    net.script = late("b -> a INFORMATIONAL request 1", 1.0)
    net.command("b", ChildrenLost((child_id(net, "b", "net"),)))
    net.run(1.5 * DELAY)
    net.command("a", Terminate(child_id=max(net.a.plane.inbound)))
    net.run(60)
    assert_joined(net)


# -- a child that the worker lost -------------------------------------------------------------------


@pytest.mark.parametrize("seed", SEEDS)
def test_what_replaces_a_lost_child_loses_to_the_peers(seed: str) -> None:
    """The lost one goes in either case, for it carries nothing.

    b -> a CREATE_CHILD_SA request 0 (second)     x
    a -> b CREATE_CHILD_SA request 2 (second)
    b -> a CREATE_CHILD_SA response 2
    a -> b CREATE_CHILD_SA request 3 (second, for a's worker died)
    b -> a CREATE_CHILD_SA response 3             x
    a -> b CREATE_CHILD_SA response 0
    """
    net = established(options(), options(), second=False, seed=seed)
    slow = {"b -> a CREATE_CHILD_SA request 0": 0.6, "b -> a CREATE_CHILD_SA response 3": 0.8}
    net.script = lambda sent, nth, data: [slow.get(sent, DELAY)]
    net.command("b", Initiate("ab", "second"))
    net.command("a", Initiate("ab", "second"))
    net.run(3 * DELAY)
    net.command("a", ChildrenLost((child_id(net, "a", "second"),)))
    net.run(60)
    assert [line for line in net.ladder if "CREATE_CHILD_SA" in line][:6] == [
        "b -> a CREATE_CHILD_SA request 0",
        "a -> b CREATE_CHILD_SA request 2",
        "b -> a CREATE_CHILD_SA response 2",
        "a -> b CREATE_CHILD_SA request 3",
        "b -> a CREATE_CHILD_SA response 3",
        "a -> b CREATE_CHILD_SA response 0",
    ]
    assert_joined(net, 2)


# -- a child of both ends' making that is rekeyed before the crossing is over ----------------------


def test_the_peers_child_is_rekeyed_and_forgotten_before_ours_arrives() -> None:
    """b knows a's child no more, but its successor, which is one too many.

    b -> a CREATE_CHILD_SA request 0 (second)      x
    a -> b CREATE_CHILD_SA request 2 (second)
    b -> a CREATE_CHILD_SA response 2
    a -> b CREATE_CHILD_SA request 3 (REKEY_SA)
    b -> a CREATE_CHILD_SA response 3
    a -> b INFORMATIONAL request 4 (D)
    b -> a INFORMATIONAL response 4
    """
    net = rekeyed_while_the_peers_request_is_late(8.0)
    net.run(60)
    assert_joined(net, 2)


def test_the_peers_rekeyed_child_is_forgotten_before_the_spare_one_is_deleted() -> None:
    """As above, but b knows a's child yet; until its delete has its turn the IKE_SA is rekeyed.

    b -> a CREATE_CHILD_SA request 1 (IKE_SA)      x
    """
    net = rekeyed_while_the_peers_request_is_late(3.0)
    net.script = lambda line, nth, data: [3.0] if line.startswith("b -> a CREATE_CHILD_SA") else [DELAY]
    net.command("b", Rekey(ike="ab"))
    net.run(60)
    assert_joined(net, 2)


def test_a_spare_child_is_rekeyed_before_it_is_deleted() -> None:
    """With room for both requests at once, the delete waits for the rekey's response.

    b -> a CREATE_CHILD_SA request 1 (REKEY_SA)
    a -> b CREATE_CHILD_SA response 1
    b -> a INFORMATIONAL request 2 (D)
    """
    net = rekeyed_while_the_peers_request_is_late(8.0, daemon="window_size = 4")
    spare = max(net.b.plane.inbound)
    net.command("b", Rekey(child_id=spare))
    net.run(60)
    assert_joined(net, 2)


def rekeyed_while_the_peers_request_is_late(seconds: float, daemon: str = "") -> Network:
    """Both ends asked for the child "second"; a has rekeyed what it made, b's request is under way."""
    net = established(*[replace(options(), daemon=daemon)] * 2, second=False)
    net.script = lambda line, nth, data: [seconds] if line == "b -> a CREATE_CHILD_SA request 0" else [DELAY]
    net.command("b", Initiate("ab", "second"))
    net.command("a", Initiate("ab", "second"))
    net.run(3 * DELAY)
    made = child_id(net, "a", "second")
    net.command("a", Rekey(child_id=made))
    net.run(5 * DELAY)
    assert net.ladder == [
        "b -> a CREATE_CHILD_SA request 0",
        "a -> b CREATE_CHILD_SA request 2",
        "b -> a CREATE_CHILD_SA response 2",
        "a -> b CREATE_CHILD_SA request 3",
        "b -> a CREATE_CHILD_SA response 3",
        "a -> b INFORMATIONAL request 4",
        "b -> a INFORMATIONAL response 4",
    ]
    return net


@pytest.mark.parametrize("window", [1, 4])
@pytest.mark.parametrize("rekeyed", [(), (0,), (1,), (0, 1), (1, 0)], ids=str)
@pytest.mark.parametrize("early", [False, True])
def test_both_children_of_a_crossing_are_lost_before_the_spare_one_is_deleted(
    early: bool, rekeyed: tuple[int, ...], window: int
) -> None:
    """One takes their place, though users wish that each is rekeyed, the first one perhaps before.

    b -> a CREATE_CHILD_SA request 1 (IKE_SA)      x
    """
    net = rekeyed_while_the_peers_request_is_late(8.0, daemon=f"window_size = {window}")
    net.script = lambda line, nth, data: [1.0 if line.startswith("b -> a CREATE_CHILD_SA") else DELAY]
    net.command("b", Rekey(ike="ab"))
    if early:
        net.command("b", Rekey(child_id=child_id(net, "b", "second")))
    while len(both := [one.child_id for one in ike_sa(net, "b").children.values() if one.stays][1:]) < 2:
        net.run(DELAY)
    for number in rekeyed:
        net.command("b", Rekey(child_id=both[number]))
    net.command("b", ChildrenLost(tuple(both)))
    net.run(100)
    assert_joined(net, 2)
