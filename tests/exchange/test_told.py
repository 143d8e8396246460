"""What whoever asked for a child is told of it when the IKE_SA or the child goes meanwhile (RFC 7296 2.8).

Every test begins with its ladder; "x" is what is late or lost.
"""

from __future__ import annotations

from dataclasses import replace

import pytest

from ikepy.sa.api.commands import ChildrenLost, Initiate, Rekey, Terminate
from ikepy.sa.tasks.child_rekey import ChildRekey

from .network import ADDRESS_A, DELAY, Network, assert_joined
from .test_established import do, ike_sa
from .test_mobike import SECOND_A, has
from .two_children import SEEDS, child_id, established, late, options, policies


def ask_and_reauthenticate(net: Network) -> None:
    """Both ends ask for the second child, then b reauthenticates."""
    net.command("a", Initiate("ab", "second", ticket=7))
    net.command("b", Initiate("ab", "second"))
    net.run(3 * DELAY)
    net.command("b", Rekey(ike="ab", reauth=True))


@pytest.mark.parametrize("seed", SEEDS)
def test_a_child_is_told_to_be_up_when_it_is_not_lost_any_more(seed: str) -> None:
    """Both ends ask for it; a's worker dies with what b's request made, which stays or not.

    b -> a CREATE_CHILD_SA request 0 (second)
    a -> b CREATE_CHILD_SA request 2 (second)
    a -> b CREATE_CHILD_SA response 0
    b -> a CREATE_CHILD_SA response 2                x
    a -> b CREATE_CHILD_SA request 3 (second)        if b's stays
    b -> a CREATE_CHILD_SA response 3
    """
    net = established(options(), options(), second=False, seed=seed)
    net.script = late("b -> a CREATE_CHILD_SA response 2", 5 * DELAY)
    net.command("b", Initiate("ab", "second"))
    net.command("a", Initiate("ab", "second", ticket=7))
    net.run(2 * DELAY)
    lost = child_id(net, "a", "second")
    net.command("a", ChildrenLost((lost,)))
    assert 7 not in net.a.outcomes
    while 7 not in net.a.outcomes:
        net.run(DELAY / 2)
    assert net.a.outcomes[7].ok
    assert [i for i, sa in net.a.plane.inbound.items() if sa.child == "second" and i != lost]
    net.run(10)
    assert_joined(net, 2)


@pytest.mark.parametrize("refused", [False, True])
def test_who_asks_for_a_lost_child_is_told_when_another_one_is_up(refused: bool) -> None:
    """
    a -> b CREATE_CHILD_SA request 3 (second, for a's worker died)
    b -> a CREATE_CHILD_SA response 3
    """
    net = established(options(), options())
    lost = child_id(net, "a", "second")
    if refused:
        ike_sa(net, "b").connection.children.pop("second")
    net.command("a", ChildrenLost((lost,)))
    net.command("a", Initiate("ab", "second", ticket=7))
    assert 7 not in net.a.outcomes
    net.run(10)
    assert net.ladder[:2] == ["a -> b CREATE_CHILD_SA request 3", "b -> a CREATE_CHILD_SA response 3"]
    assert net.a.outcomes[7].ok is not refused
    assert_joined(net, 1 if refused else 2)


def test_a_child_that_stands_on_a_newer_ike_sa_is_told_to_be_up() -> None:
    """b asks for it too, and reauthenticates, while a waits on the old IKE_SA.

    a -> b CREATE_CHILD_SA request 2 (second)        x, always
    b -> a CREATE_CHILD_SA request 0 (second)
    a -> b CREATE_CHILD_SA response 0
    b -> a IKE_SA_INIT request 0
    a -> b IKE_SA_INIT response 0
    b -> a IKE_AUTH request 1
    a -> b IKE_AUTH response 1
    b -> a CREATE_CHILD_SA request 2 (second)        on the new IKE_SA
    a -> b CREATE_CHILD_SA response 2
    b -> a INFORMATIONAL request 1 (D)               on the old one
    a -> b INFORMATIONAL response 1
    """
    net = established(options(), options(), second=False)
    net.script = lambda line, nth, data: [] if line == "a -> b CREATE_CHILD_SA request 2" else [DELAY]
    ask_and_reauthenticate(net)
    net.run(20)
    assert net.ladder == [
        "a -> b CREATE_CHILD_SA request 2",
        "b -> a CREATE_CHILD_SA request 0",
        "a -> b CREATE_CHILD_SA response 0",
        "b -> a IKE_SA_INIT request 0",
        "a -> b IKE_SA_INIT response 0",
        "b -> a IKE_AUTH request 1",
        "a -> b IKE_AUTH response 1",
        "b -> a CREATE_CHILD_SA request 2",
        "a -> b CREATE_CHILD_SA response 2",
        "b -> a INFORMATIONAL request 1",
        "a -> b INFORMATIONAL response 1",
    ]
    assert net.a.outcomes[7].ok, net.a.outcomes[7].text
    assert_joined(net, 2)


def test_a_child_is_lost_again_before_all_that_was_to_replace_it_has_had_its_turn() -> None:
    """One takes its place, not one for every time that it was lost.

    a -> b CREATE_CHILD_SA request 3 (net)
    b -> a CREATE_CHILD_SA response 3
    a -> b CREATE_CHILD_SA request 4 (second)
                                                 what is new is lost too, while it waits to be rekeyed
    b -> a CREATE_CHILD_SA response 4
    """
    net = established(options(), options())
    for lost in ("net",), ("second", "net"):
        net.command("a", ChildrenLost(tuple(child_id(net, "a", name) for name in lost)))
    net.run(2.5 * DELAY)
    assert net.ladder == [
        "a -> b CREATE_CHILD_SA request 3",
        "b -> a CREATE_CHILD_SA response 3",
        "a -> b CREATE_CHILD_SA request 4",
    ]
    new = max(net.a.plane.inbound)
    do(net, "a", ChildRekey(new, ike_sa(net, "a").children[new].config))
    net.command("a", ChildrenLost((new,)))
    net.run(60)
    assert_joined(net, 2)


def test_a_child_that_the_peers_set_up_brought_is_told_to_be_up() -> None:
    """Ours does not get through.

    a -> b IKE_SA_INIT request 0        x, always
    b -> a IKE_SA_INIT request 0
    a -> b IKE_SA_INIT response 0
    b -> a IKE_AUTH request 1
    a -> b IKE_AUTH response 1
    """
    net = Network(options(), options())
    net.script = lambda line, nth, data: [] if line == "a -> b IKE_SA_INIT request 0" else [DELAY]
    net.command("a", Initiate("ab", "net", ticket=7))
    net.command("b", Initiate("ab", "net"))
    net.run(300)
    assert net.a.outcomes[7].ok, net.a.outcomes[7].text
    assert_joined(net)


def with_two_ike_sas() -> Network:
    """Each end has set up one, with a child, and asks for what else is wanted on the other end's."""
    both = options(connection='unique = "no"')
    net = Network(both, both)
    for name in "ab":
        net.command(name, Initiate("ab", "net"))
    net.run(1)
    net.ladder.clear()
    return net


@pytest.mark.parametrize("brought", ["net", "second"])
def test_a_child_on_an_ike_sa_that_the_peer_has_forgotten_is_not_told_to_be_up(brought: str) -> None:
    """Both are gone with b's memory: the one that a waits on, and after it the one that has the child.

    a -> b CREATE_CHILD_SA request 0 (second)        on the IKE_SA of b's making; x, always
    b -> a CREATE_CHILD_SA request 0 (second)        on the one of a's making
    a -> b CREATE_CHILD_SA response 0
                                                     b starts anew
    b -> a IKE_SA_INIT request 0
    a -> b IKE_SA_INIT response 0
    b -> a IKE_AUTH request 1 (`brought`)            INITIAL_CONTACT
    a -> b IKE_AUTH response 1
    """
    net = with_two_ike_sas()
    net.script = lambda line, nth, data: [] if line == "a -> b CREATE_CHILD_SA request 0" else [DELAY]
    net.command("a", Initiate("ab", "second", ticket=7))
    net.command("b", Initiate("ab", "second"))
    net.run(3 * DELAY)
    net.b = Network(options(), seed="anew").b
    net.command("b", Initiate("ab", brought))
    net.run(1)
    assert net.ladder == [
        "a -> b CREATE_CHILD_SA request 0",
        "b -> a CREATE_CHILD_SA request 0",
        "a -> b CREATE_CHILD_SA response 0",
        "b -> a IKE_SA_INIT request 0",
        "a -> b IKE_SA_INIT response 0",
        "b -> a IKE_AUTH request 1",
        "a -> b IKE_AUTH response 1",
    ]
    assert net.a.outcomes[7].ok is (brought == "second"), net.a.outcomes[7].text
    assert policies(net, "a") == [brought]
    assert_joined(net)


def test_a_child_comes_up_beside_an_ike_sa_whose_delete_waits_for_its_turn() -> None:
    """Who asked for it ended one of the two only."""
    net = with_two_ike_sas()
    theirs = net.a.manager.ike_sas[-1]
    net.command("a", Rekey(ike_id=theirs.ike_id, child="net"))
    net.command("a", Terminate(ike_id=theirs.ike_id))
    net.command("a", Initiate("ab", "second", ticket=7))
    net.command("b", Initiate("ab", "second"))
    net.run(1)
    assert net.a.outcomes[7].ok, net.a.outcomes[7].text
    net.run(60)
    assert policies(net, "a") == ["net", "second"]
    assert_joined(net, 2)


@pytest.mark.parametrize("force", [False, True])
def test_a_child_is_not_told_to_be_up_on_an_ike_sa_that_is_ended_with_the_one_where_it_was_asked_for(
    force: bool,
) -> None:
    """
    a -> b CREATE_CHILD_SA request 2 (second)        x, always
    b -> a CREATE_CHILD_SA request 0 (second)
    ...
    b -> a CREATE_CHILD_SA request 2 (second)        on the new IKE_SA
    a -> b CREATE_CHILD_SA response 2
    b -> a INFORMATIONAL request 1 (D)               on the old one; x
                                                     a ends both
    """
    net = established(options(), options(), second=False)
    lost = "a -> b CREATE_CHILD_SA request 2", "b -> a INFORMATIONAL request 1"
    net.script = lambda line, nth, data: [] if line in lost else [DELAY]
    ask_and_reauthenticate(net)
    net.run(1)
    assert len(net.a.manager.ike_sas) == 2
    assert policies(net, "a") == ["net", "net", "second", "second"]
    net.command("a", Terminate(ike="ab", force=force))
    net.run(300)
    assert not net.a.outcomes[7].ok, net.a.outcomes[7].text
    assert not net.a.manager.ike_sas


def test_a_child_is_not_told_to_be_up_on_an_ike_sa_whose_address_is_gone_too() -> None:
    """Neither can move: what a waits for on the first of them has yet to come up where both are set up anew.

    a -> b CREATE_CHILD_SA request 2 (second)        x, always
    b -> a CREATE_CHILD_SA request 0 (second)
    a -> b CREATE_CHILD_SA response 0
    b -> a IKE_SA_INIT request 0
    a -> b IKE_SA_INIT response 0
    b -> a IKE_AUTH request 1
    a -> b IKE_AUTH response 1
    b -> a CREATE_CHILD_SA request 2 (second)        on the new IKE_SA
    a -> b CREATE_CHILD_SA response 2
    b -> a INFORMATIONAL request 1 (D)               on the old one; x
    a -> b IKE_SA_INIT request 0                     from the other address
    """
    both = options(connection="mobike = false")
    here = replace(both, local_addrs=f'["{ADDRESS_A}", "{SECOND_A}"]')
    net = established(here, replace(both, remote_addrs=f'{ADDRESS_A}", "{SECOND_A}'), second=False)
    lost = "a -> b CREATE_CHILD_SA request 2", "b -> a INFORMATIONAL request 1"
    net.script = lambda line, nth, data: [] if line in lost else [DELAY]
    ask_and_reauthenticate(net)
    net.run(1)
    assert len(net.a.manager.ike_sas) == 2
    assert 7 not in net.a.outcomes
    net.script = lambda line, nth, data: [DELAY]
    net.a.address = SECOND_A
    has(net, "a", SECOND_A, gone=[ADDRESS_A])
    assert not net.a.outcomes[7].ok, net.a.outcomes[7].text
    net.run(300)
    assert policies(net, "a") == ["net", "second"]
    assert_joined(net, 2)
