"""A child that the peer sets up beside one for the same traffic: when it is sent under (RFC 7296 2.8)."""

from __future__ import annotations

import pytest

from ikepy.sa.api.commands import ChildrenLost, Initiate, Rekey, Terminate
from ikepy.sa.api.ends import ChildRemoval
from ikepy.sa.takeover import codec
from tests.exchange.test_takeover import states

from .network import DELAY, Network, Options
from .test_established import established, ike_sa

STAYS = Options(connection="rekey_time = 0", child="rekey_time = 0")


def second_life(b: Options = STAYS) -> Network:
    """a is up with b, loses its memory, and comes up again without INITIAL_CONTACT."""
    net = established(Options(connection='unique = "never"', child="rekey_time = 0"), b)
    net.a.restart()
    net.ladder.clear()
    net.command("a", Initiate("ab", "net", ticket=2))
    net.run(1)
    assert net.a.outcomes[2].ok
    return net


def reaches(net: Network) -> bool:
    """Whether a has what b sends."""
    newest = max(net.b.plane.sending(), key=lambda one: one.child_id)
    return newest.spi in {one.spi for one in net.a.plane.inbound.values()}


def test_a_peer_that_waits_for_our_packets_gets_them() -> None:
    """Its answer to a liveness check shows that it has our response."""
    net = second_life()
    assert not reaches(net), "it may not have our response yet"
    net.run(12)
    assert reaches(net)
    assert net.ladder[4:6] == ["b -> a INFORMATIONAL request 0", "a -> b INFORMATIONAL response 0"]
    assert not net.b.errors()


def test_what_the_peer_has_lost_is_given_up() -> None:
    net = second_life()
    net.run(200)
    assert reaches(net) and len(net.b.manager.list_sas(net.now)) == 1


def test_nothing_is_sent_under_it_while_the_peer_has_no_response() -> None:
    net = established(Options(connection='unique = "never"', child="rekey_time = 0"), STAYS)
    net.a.restart()
    net.script = lambda line, nth, data: [] if line.startswith("b -> a IKE_AUTH response") else [DELAY]
    net.command("a", Initiate("ab", "net", ticket=2))
    net.run(100)
    assert not reaches(net) and len(net.b.plane.standby) == 1


def test_a_reauthentication_asks_for_nothing() -> None:
    """The other child goes in time."""
    net = established(Options(connection="reauth_time = 20\nrekey_time = 0", child="rekey_time = 0"), STAYS)
    net.run(60)
    assert reaches(net)
    assert not [
        line for line in net.ladder if line.startswith("b -> a INFORMATIONAL request") and "[]" in line
    ]


def another_child(net: Network) -> None:
    """a has lost its child, tells nothing, and asks for another one on the IKE_SA that stands."""
    sa = ike_sa(net, "a")
    (child,) = sa.children
    net.run_effects("a", sa.remove_child(child, ChildRemoval.DELETED))
    net.command("a", Initiate("ab", "net", ticket=3))
    net.run(1)
    assert net.a.outcomes[3].ok


@pytest.mark.parametrize("asks", [True, False])
def test_a_further_child_on_the_same_ike_sa(asks: bool) -> None:
    """A further request of the peer's shows that it has our response; else it is waited for longer."""
    liveness = "dpd_delay = 20" if asks else ""
    net = established(Options(connection=f"rekey_time = 0\n{liveness}", child="rekey_time = 0"), STAYS)
    another_child(net)
    net.run(60)
    assert reaches(net) == asks
    net.run(150)
    assert reaches(net)


def test_a_rekey_of_the_ike_sa_shows_it_too() -> None:
    net = established(STAYS, STAYS)
    another_child(net)
    net.command("a", Rekey(ike="ab", ticket=4))
    net.run(12)
    assert reaches(net)


def worker_dies(net: Network) -> None:
    """b's worker, with all SAs."""
    plane = net.b.plane
    lost = tuple(plane.inbound)
    for table in (plane.inbound, plane.outbound, plane.standby):
        table.clear()
    net.command("b", ChildrenLost(lost))


def test_beside_a_child_that_no_worker_has_any_more_it_does_not_wait() -> None:
    """The peer restarts while we ask it for another one."""
    net = established(STAYS, STAYS)
    net.script = lambda line, nth, data: [] if line.startswith("b -> a CREATE_CHILD_SA") else [DELAY]
    worker_dies(net)
    net.run(20)
    net.a.restart()
    net.script = lambda line, nth, data: [DELAY]
    net.command("a", Initiate("ab", "net", ticket=2))
    net.run(1)
    assert net.a.outcomes[2].ok and reaches(net)


@pytest.mark.parametrize("before", [True, False])
def test_a_worker_dies_around_a_reauthentication(before: bool) -> None:
    """Just before the new child is there, or just after; what we ask the peer for is lost once."""
    net = established(STAYS, STAYS)
    met: list[str] = []

    def script(line: str, nth: int, data: bytes) -> list[float]:
        end = "a -> b IKE_AUTH request" if before else "b -> a IKE_AUTH response"
        if line.startswith(end) and not met:
            met.append(line)
            worker_dies(net)
        return [] if line == "b -> a CREATE_CHILD_SA request 0" and nth == 0 else [DELAY]

    net.script = script
    net.command("a", Rekey(ike="ab", reauth=True, ticket=4))
    net.run(30)
    assert net.a.outcomes[4].ok and reaches(net)


def test_it_goes_on_in_another_process() -> None:
    net = second_life()
    newest = net.b.manager.list_sas(net.now)[-1].ike_id
    value = net.b.manager.export(newest, states(net.b.plane), net.now)
    (child,) = codec.decode(codec.encode(value)).children
    assert child.waiting is not None and child.waiting.first and 0 < child.waiting.look_in <= 5


def test_a_child_is_deleted_on_the_ike_sa_that_was_just_rekeyed() -> None:
    """By a peer that takes our rekey of the IKE_SA while its DELETE is under way (RFC 7296 2.25.2). Ours
    would refuse it: the DELETE is that of another run, which has the same keys."""
    deletes: list[bytes] = []

    def of_another_run(line: str, nth: int, data: bytes) -> list[float]:
        deletes.append(data)
        return []

    other = established(STAYS, STAYS)
    other.script = of_another_run
    other.command("a", Terminate(ike="ab", child="net", ticket=5))
    net = established(STAYS, STAYS)
    net.script = lambda line, nth, data: [] if line.startswith("b -> a INFORMATIONAL") else [DELAY]
    net.command("b", Rekey(ike="ab", ticket=6))
    net.run(1)
    old, new = net.b.manager.list_sas(net.now)
    assert new.children and not old.children
    net.inject("b", old.path, deletes[0])
    assert [child for sa in net.b.manager.list_sas(net.now) for child in sa.children] == []
    assert not net.b.plane.outbound
