"""Schedules of reauthentications, found by the simulation, that left a policy without a child, or with two
(RFC 7296 2.8.3).

Every test begins with its ladder; "x" is what is late or lost.
"""

from __future__ import annotations

import pytest

from ikepy.sa.api.commands import Initiate, Rekey

from .network import DELAY, Network, assert_joined
from .test_established import ike_sa
from .two_children import AGAIN, SEEDS, child_id, established, ike_sas, late, options, policies


def watch_holes(net: Network, name: str) -> list[list[str]]:
    """The policies that a site can send under, at every message."""
    seen: list[list[str]] = []

    def script(line: str, nth: int, data: bytes) -> list[float]:
        seen.append(sorted({sa.child for sa in net.site(name).plane.sending()}))
        return [DELAY]

    net.script = script
    return seen


def test_what_expires_during_a_reauthentication_comes_along() -> None:
    """
    a -> b INFORMATIONAL request 3 (D, the child is used up)
    a -> b IKE_SA_INIT request 0
    """
    net = established(options("rekey_bytes = 0\nlife_bytes = 1000\n" + AGAIN), options())
    net.script = late("b -> a INFORMATIONAL response 3", 0.05)
    net.run_effects("a", net.a.manager.usage(child_id(net, "a", "net"), 1000, 1, net.now))
    net.command("a", Rekey(ike="ab", reauth=True))
    net.run(60)
    assert net.ladder[:2] == ["a -> b INFORMATIONAL request 3", "a -> b IKE_SA_INIT request 0"]
    assert len(ike_sas(net, "a")) == 1
    assert policies(net, "a") == ["net", "second"]
    assert_joined(net, 2)


@pytest.mark.parametrize("who", ["a", "b"])
def test_the_old_ike_sa_is_rekeyed_during_a_reauthentication(who: str) -> None:
    """Its successor is the one that goes."""
    net = established(options(), options())
    net.script = late("a -> b IKE_AUTH request 1", 0.5)
    net.command("a", Rekey(ike="ab", reauth=True))
    net.command(who, Rekey(ike="ab"))
    net.run(60)
    assert len(ike_sas(net, "a")) == len(ike_sas(net, "b")) == 1
    assert_joined(net, 2)


@pytest.mark.parametrize("delay", [DELAY, 0.1])
@pytest.mark.parametrize("policy", ["no", "replace"])
@pytest.mark.parametrize("seed", SEEDS)
def test_both_ends_reauthenticate_at_once(seed: str, policy: str, delay: float) -> None:
    """One of the two new IKE_SAs stays, and at no time is there a policy without a child."""
    both = options(connection=f'unique = "{policy}"')
    net = established(both, both, seed=seed)
    seen = watch_holes(net, "a")
    watched = net.script
    net.script = lambda line, nth, data: (
        [delay] if line == "a -> b IKE_SA_INIT request 0" else watched(line, nth, data)
    )
    for name in "ab":
        net.command(name, Rekey(ike="ab", reauth=True))
    net.run(60)
    assert len(ike_sas(net, "a")) == len(ike_sas(net, "b")) == 1
    assert set(map(tuple, seen)) == {("net", "second")}
    assert_joined(net, 2)


@pytest.mark.parametrize("seconds", [35, 60])
def test_a_reauthentication_whose_second_child_takes_longer_than_the_peers_patience(seconds: float) -> None:
    """b has it, but a does not hear of that: as long as a asks again, b leaves the old IKE_SA alone.

    a -> b CREATE_CHILD_SA request 2 (second, on the new IKE_SA)      after 0, 4, 11, 24, 48, 90 s
    b -> a CREATE_CHILD_SA response 2             x, for more than 30 s
    """
    net = established(options(connection='unique = "replace"'), options(connection='unique = "replace"'))
    seen: set[tuple[str, ...]] = set()
    until = net.now + seconds

    def script(line: str, nth: int, data: bytes) -> list[float]:
        seen.add(tuple(sorted({sa.child for sa in net.a.plane.sending()})))
        return [] if line == "b -> a CREATE_CHILD_SA response 2" and net.now < until else [DELAY]

    net.script = script
    net.command("a", Rekey(ike="ab", reauth=True))
    net.run(200)
    assert len(ike_sas(net, "a")) == len(ike_sas(net, "b")) == 1
    assert seen == {("net", "second")}
    assert_joined(net, 2)


def test_the_peer_rekeys_the_ike_sa_of_a_reauthentication_before_its_second_child() -> None:
    """a asks for it on what b's rekey made, which b knows late: until then b leaves the old IKE_SA alone.

    a -> b IKE_AUTH request 1                      of the new IKE_SA
    b -> a IKE_AUTH response 1                     x
    b -> a CREATE_CHILD_SA request 0 (IKE_SA)
    a -> b CREATE_CHILD_SA request 2 (second)
    b -> a CREATE_CHILD_SA response 2              TEMPORARY_FAILURE
    b -> a CREATE_CHILD_SA request 0
    a -> b CREATE_CHILD_SA response 0              x, for more than 30 s
    a -> b CREATE_CHILD_SA request 0 (second)      on its successor
    b -> a CREATE_CHILD_SA response 0              INVALID_IKE_SPI
    """
    net = established(options(connection='unique = "replace"'), options(connection='unique = "replace"'))
    seen: set[tuple[str, ...]] = set()
    until = net.now + 35

    def script(line: str, nth: int, data: bytes) -> list[float]:
        seen.add(tuple(sorted({sa.child for sa in net.a.plane.sending()})))
        if line == "a -> b CREATE_CHILD_SA response 0" and net.now < until:
            return []
        return [5 * DELAY] if line == "b -> a IKE_AUTH response 1" else [DELAY]

    net.script = script
    net.command("a", Rekey(ike="ab", reauth=True))
    net.run(3.5 * DELAY)
    net.command("b", Rekey(ike_id=ike_sas(net, "b")[-1].ike_id))
    net.run(200)
    assert [line for n, line in enumerate(net.ladder) if line not in net.ladder[:n]][3:8] == [
        "b -> a IKE_AUTH response 1",
        "b -> a CREATE_CHILD_SA request 0",
        "a -> b CREATE_CHILD_SA request 2",
        "b -> a CREATE_CHILD_SA response 2",
        "a -> b CREATE_CHILD_SA request 3",
    ]
    assert len(ike_sas(net, "a")) == len(ike_sas(net, "b")) == 1
    assert seen == {("net", "second")}
    assert_joined(net, 2)


def test_unique_replace_leaves_the_old_ike_sa_to_a_peer_that_reauthenticates() -> None:
    """a needs a second exchange for its second child: until then the old one carries it."""
    net = established(options(), options(connection='unique = "replace"'))
    seen = watch_holes(net, "b")
    net.command("a", Rekey(ike="ab", reauth=True))
    net.run(60)
    assert not [line for line in net.ladder if line.startswith("b -> a INFORMATIONAL request")]
    assert set(map(tuple, seen)) == {("net", "second")}
    assert_joined(net, 2)


def test_unique_replace_ends_what_the_peer_does_not() -> None:
    """a never deletes the old IKE_SA: b does, after a while."""
    net = established(options(), options(connection='unique = "replace"'))
    old = ike_sa(net, "a")
    net.command("a", Rekey(ike="ab", reauth=True))
    net.script = lambda line, nth, data: [] if line.startswith("a -> b INFORMATIONAL req") else [DELAY]
    net.run(25)
    assert len(ike_sas(net, "b")) == 2
    net.run(10)
    assert "b -> a INFORMATIONAL request 0" in net.ladder
    assert len(ike_sas(net, "b")) == 1
    assert not old.established


def test_packets_under_way_over_a_reauthentication_are_still_taken() -> None:
    net = established(options(), options())
    before = {sa.spi for sa in net.b.plane.inbound.values()}
    net.command("a", Rekey(ike="ab", reauth=True))
    net.run(3)
    assert before < {sa.spi for sa in net.b.plane.inbound.values()}
    assert policies(net, "b") == ["net", "second"], "but nothing is sent under the old ones"
    net.run(4)
    assert_joined(net, 2)


def test_the_child_of_a_reauthentication_is_sent_under_when_the_peer_has_heard_of_it() -> None:
    """
    b -> a IKE_AUTH response 1    x
    """
    net = established(options(), options(), second=False)
    (old,) = net.b.plane.outbound
    net.script = late("b -> a IKE_AUTH response 1", 1.0)
    net.command("a", Rekey(ike="ab", reauth=True))
    net.run(0.5)
    assert [sa.child_id for sa in net.b.plane.sending()] == [old]
    net.run(10)
    assert [sa.child_id for sa in net.b.plane.sending()] != [old]
    assert_joined(net)


@pytest.mark.parametrize("seed", SEEDS)
def test_a_reauthentication_while_both_ends_rekey_the_ike_sa(seed: str) -> None:
    """What the peer's rekey made may not be touched before it is clear which of the two stays."""
    net = established(options(), options(), seed=seed)
    seen = watch_holes(net, "a")
    for name in "ab":
        net.command(name, Rekey(ike="ab"))
    net.run(1.5 * DELAY)
    net.command("b", Rekey(ike="ab", reauth=True))
    net.run(60)
    assert len(ike_sas(net, "a")) == len(ike_sas(net, "b")) == 1
    assert set(map(tuple, seen)) == {("net", "second")}
    assert_joined(net, 2)


def test_a_peer_that_reauthenticates_first_is_waited_for() -> None:
    """Else each end would make one of its own, time and again: IKE_SAs without end."""
    timed = options(connection="reauth_time = 30\nrand_time = 0\nrekey_time = 0")
    net = established(timed, timed)
    net.script = late("a -> b CREATE_CHILD_SA request 2", 1.0, times=2)  # b's time comes before a is through
    counts = []
    for _ in range(80):
        net.run(5)
        counts.append(len(ike_sas(net, "a")))
    assert counts.count(1) > 40
    assert max(counts) == 2


def test_the_peer_is_through_with_its_reauthentication_before_ours_begins() -> None:
    """
    b -> a IKE_SA_INIT request 0     x
    a reauthenticates and deletes the old IKE_SA; b's new one is one too many
    """
    net = established(options(), options())
    net.script = late("b -> a IKE_SA_INIT request 0", 1.0)
    net.command("b", Rekey(ike="ab", reauth=True))
    net.run(DELAY)
    net.command("a", Rekey(ike="ab", reauth=True))
    net.run(100)
    assert len(ike_sas(net, "a")) == len(ike_sas(net, "b")) == 1
    assert_joined(net, 2)


# -- what is wanted while another IKE_SA is set up -------------------------------------------------


def test_what_is_wanted_during_a_reauthentication_that_fails_comes_up() -> None:
    """On the old IKE_SA, which stands, and at once.

    a -> b IKE_SA_INIT request 0                   x, time and again
    a -> b CREATE_CHILD_SA request 2 (second)
    b -> a CREATE_CHILD_SA response 2
    """
    net = established(options(), options(), second=False)
    net.script = lambda line, nth, data: [] if "IKE_SA_INIT" in line else [DELAY]
    net.command("a", Rekey(ike="ab", reauth=True))
    net.command("a", Initiate("ab", "second", ticket=7))
    net.run(0.5)
    assert net.ladder[:3] == [
        "a -> b IKE_SA_INIT request 0",
        "a -> b CREATE_CHILD_SA request 2",
        "b -> a CREATE_CHILD_SA response 2",
    ]
    assert net.a.outcomes[7].ok
    net.run(300)
    assert_joined(net, 2)


def test_what_is_wanted_during_a_reauthentication_comes_along() -> None:
    """The child that the old IKE_SA gets meanwhile is made on the new one before the old one goes.

    a -> b IKE_SA_INIT request 0                   x
    a -> b CREATE_CHILD_SA request 2 (second)
    """
    net = established(options(), options(), second=False)
    net.script = late("a -> b IKE_SA_INIT request 0", 0.5)
    net.command("a", Rekey(ike="ab", reauth=True))
    net.command("a", Initiate("ab", "second", ticket=7))
    net.run(10)
    assert net.ladder[1] == "a -> b CREATE_CHILD_SA request 2"
    assert net.a.outcomes[7].ok
    assert len(ike_sas(net, "a")) == len(ike_sas(net, "b")) == 1
    assert_joined(net, 2)
