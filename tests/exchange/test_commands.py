"""What users ask for: every command ends with one outcome that says what became of it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import pytest

from ikepy.config.identity import Identity
from ikepy.errors import PeerError
from ikepy.sa.api.commands import Command, Initiate, Rekey, Terminate
from ikepy.sa.api.effects import Effect, Level, Outcome, TargetOutcome
from ikepy.sa.api.ends import End
from ikepy.sa.lifecycle.criteria import ByCriteria
from ikepy.sa.lifecycle.reauthentication import Reauthentication
from ikepy.sa.setup.connector import Connector
from ikepy.sa.state.ike_sa import IkeSa
from ikepy.sa.state.task import Task, TaskKind
from ikepy.sa.tasks.delete import DeleteIke
from ikepy.sa.tasks.liveness import Liveness
from ikepy.wire.constants import ExchangeType, NotifyType
from ikepy.wire.payloads import Payload

from .network import Network, Options, assert_joined, deliver_all
from .reconfigured import with_other

MANY = 1100  # commands: more than may wait on one IKE_SA


def up() -> Network:
    net = Network()
    net.command("a", Initiate("ab", "net"))
    net.run(5)
    assert_joined(net)
    return net


@pytest.mark.parametrize("command", [Rekey(ike="ab"), Terminate(ike="ab"), Terminate(child="net")])
def test_more_commands_than_may_wait(command: Rekey | Terminate) -> None:
    """The peer is silent. What is too much is refused with what to do, and changes nothing."""
    net = up()
    net.script = lambda line, nth, data: []
    for ticket in range(1, MANY + 1):
        net.command("a", replace(command, ticket=ticket))
    refused = net.a.outcomes.copy()
    assert 70 < len(refused) < 80
    assert set(refused) == set(range(MANY + 1 - len(refused), MANY + 1)), "those that came last"
    for outcome in refused.values():
        assert not outcome.ok
        assert "nothing is done: 1025 commands wait for their turn on IKE_SA #1" in outcome.text
        assert "ikepy terminate --ike-id 1 --force" in outcome.text
    net.command("a", Terminate(ike_id=1, force=True, ticket=MANY + 1))
    assert net.a.outcomes.keys() == set(range(1, MANY + 2))
    assert net.a.outcomes[MANY + 1].ok
    assert net.a.manager.idle


def test_commands_that_wait_are_done_when_the_peer_is_there_again() -> None:
    net = up()
    net.script = lambda line, nth, data: []
    for ticket in range(1, MANY + 1):
        net.command("a", Rekey(ike="ab", ticket=ticket))
    net.script = deliver_all
    net.run(60)
    assert net.a.outcomes.keys() == set(range(1, MANY + 1))
    assert_joined(net)


def test_many_tasks_that_the_peer_was_too_busy_for() -> None:
    """They were counted when they came: to have their turn at last is no fault of anybody's."""
    net = up()
    (sa,) = net.a.manager.ike_sas
    for _ in range(2 * MANY):
        sa.tasks.postpone(Liveness(), 0, net.now)
    net.command("a", Rekey(ike="ab", ticket=1))
    assert not net.a.outcomes[1].ok, "those that are put off count too"
    net.run(1)
    assert_joined(net)


def test_what_is_up_already_is_told_with_its_age_and_spis() -> None:
    net = up()
    (child,) = net.a.manager.list_sas(net.now)[0].children
    net.run(30)
    net.command("a", Initiate("ab", "net", ticket=1))
    outcome = net.a.outcomes[1]
    assert outcome.ok
    assert outcome.text == (
        "CHILD_SA net #1 is up already, installed 35s ago, "
        f"SPIs: in {child.spi_in:08x}, out {child.spi_out:08x}"
    )


@pytest.mark.parametrize(
    ("command", "text"),
    [
        (Terminate(ike="ab"), "nothing matches: no IKE_SA ab is up"),
        (Terminate(ike_id=7), "nothing matches: no IKE_SA #7 is up"),
        (Terminate(ike="ab", child="net"), "nothing matches: no CHILD_SA net of ab is up"),
        (Terminate(child_id=9), "nothing matches: no CHILD_SA #9 is up"),
        (Rekey(ike="ab"), "nothing matches: no IKE_SA ab is up"),
        (Rekey(child="net"), "nothing matches: no CHILD_SA net is up"),
    ],
)
def test_what_does_not_match_is_named(command: Rekey | Terminate, text: str) -> None:
    net = Network()
    net.command("a", replace(command, ticket=1))
    assert (net.a.outcomes[1].ok, net.a.outcomes[1].text) == (False, text)


def test_what_is_being_replaced_is_not_replaced_at_once_again() -> None:
    net = up()
    net.script = lambda line, nth, data: []
    net.command("a", Rekey(child="net"))
    net.command("a", Rekey(child="net", ticket=2))
    assert net.a.outcomes[2].text == "CHILD_SA #1 is being set up, replaced or deleted already"


def test_children_that_were_replaced_before_are_not_told_as_ended() -> None:
    """They wait for late packets only: what a user ends is the one that stands."""
    net = up()
    net.command("a", Rekey(child="net", ticket=1))
    net.run(1)
    assert net.a.outcomes[1].ok
    before = {name: len(net.site(name).logs) for name in "ab"}
    net.command("a", Terminate(ike="ab", ticket=2))
    net.run(1)
    for name in "ab":
        texts = [log.text for log in net.site(name).logs[before[name] :] if log.level is not Level.DEBUG]
        assert [text for text in texts if "removed" in text] == ["CHILD_SA net #2 removed (with its IKE_SA)"]
        assert len([text for text in texts if "ended" in text]) == 1


@pytest.mark.parametrize("command", [Terminate(ike="ab"), Terminate(ike="ab", force=True)])
def test_the_identities_of_one_that_is_being_set_up(command: Command) -> None:
    """The initiator's are as configured; the responder does not know yet whom the peer means."""
    net = Network(Options(), Options())
    net.script = lambda line, nth, data: [] if "IKE_AUTH" in line else [0.01]
    net.command("a", Initiate("ab", "net"))
    net.run(1)
    (ours,) = net.a.manager.list_sas(net.now)
    (theirs,) = net.b.manager.list_sas(net.now)
    identities = Identity.parse("gwa"), Identity.parse("gwb")
    assert (ours.state, ours.local_id, ours.remote_id) == ("CONNECTING", *identities)
    assert (theirs.state, theirs.local_id, theirs.remote_id) == ("CONNECTING", None, None)
    net.command("a", command)
    assert net.a.manager.idle


@pytest.mark.parametrize("command", [Rekey(ike="ab", ticket=7), Terminate(ike="ab", ticket=7)])
def test_one_that_ends_by_what_was_begun_on_another(command: Rekey | Terminate) -> None:
    """The outcome comes all the same."""
    net = Network()
    for name in "ab":
        net.command(name, Initiate("ab", "net"))
    net.run(2)
    first, second = net.a.manager.ike_sas

    def settle(sa: IkeSa, effects: list[Effect], now: float) -> list[Effect]:
        return [*effects, *second.kill(End.REFUSED, "no use without the first")]

    set_ups = Connector(first.registry, lambda connection, hint: "no way", settle)
    asked = ByCriteria(first.registry, set_ups, Reauthentication(first.registry, set_ups, settle), settle)
    effects = (
        asked.rekey(command, net.now) if isinstance(command, Rekey) else asked.terminate(command, net.now)
    )
    assert not [effect for effect in effects if isinstance(effect, Outcome)], "the first one is at work"
    effects = [*first.kill(End.REFUSED, "no use, either"), *net.a.manager.proceed(first, net.now)]
    (outcome,) = [effect for effect in effects if isinstance(effect, Outcome)]
    gone = TargetOutcome(
        f"IKE_SA #{second.ike_id}", isinstance(command, Terminate), f"IKE_SA #{second.ike_id} is gone"
    )
    assert len(outcome.targets) == 2 and outcome.targets[0] == gone
    assert outcome.ok == isinstance(command, Terminate)


class Unsendable(Task[IkeSa]):
    """Its request can't be made, as where there is no secret for the peer."""

    kind = TaskKind.LIVENESS
    exchange = ExchangeType.INFORMATIONAL

    def request(self, sa: IkeSa, now: float) -> list[Payload] | None:
        raise PeerError(NotifyType.AUTHENTICATION_FAILED, "there is no secret")

    def response(self, sa: IkeSa, payloads: Sequence[Payload], now: float) -> list[Effect]:
        raise AssertionError("nothing was asked")


def test_one_that_ends_when_another_has_its_turn_is_gone_for_good() -> None:
    """With its children, and with an outcome for whoever waits."""
    net = Network()
    for name in "ab":
        net.command(name, Initiate("ab", "net"))
    net.run(2)
    first, second = net.a.manager.ike_sas
    (spi,) = [child.spi_in for child in second.children.values()]
    second.enqueue(Unsendable())
    second.enqueue(DeleteIke([7]))
    second.registry.changed_sas.append(second)
    net.run_effects("a", net.a.manager.proceed(first, net.now))
    assert net.a.manager.ike_sas == [first]
    assert spi not in net.a.plane.inbound
    assert 7 in net.a.outcomes


# Several targets: two connections, whose children have one name


def both_up() -> Network:
    net = Network(with_other("a"), with_other("b"))
    for connection in ("ab", "other"):
        net.command("a", Initiate(connection, "net"))
        net.run(2)
    assert len(net.a.manager.ike_sas) == 2
    return net


@pytest.mark.parametrize(
    ("command", "what", "done"),
    [
        (Rekey(child="net", ticket=1), "CHILD_SA", "rekeyed"),
        (Terminate(child="net", ticket=1), "CHILD_SA", "deleted"),
        (Terminate(child="net", ticket=1, force=True), "CHILD_SA", "deleted"),
    ],
)
def test_what_came_of_each_target(command: Rekey | Terminate, what: str, done: str) -> None:
    net = both_up()
    net.command("a", command)
    net.run(5)
    outcome = net.a.outcomes[1]
    assert outcome.ok
    assert len(outcome.targets) == 2 == len({one.target for one in outcome.targets})
    assert all(one.ok and one.target.startswith(f"{what} #") for one in outcome.targets)
    assert all(done in one.text for one in outcome.targets), outcome
    assert outcome.text == "; ".join(f"{one.target}: {one.text}" for one in outcome.targets)


@pytest.mark.parametrize("lost", ["ab", "other"])
def test_one_target_of_several_fails(lost: str) -> None:
    """Whichever it is: the outcome waits for the last one, and is a failure that says which."""
    net = both_up()
    net.command("b", Terminate(ike=lost, force=True))  # without a word to a
    (gone,) = [sa for sa in net.a.manager.ike_sas if sa.connection.name == lost]
    target = f"CHILD_SA #{next(iter(gone.children))}"
    net.command("a", Rekey(child="net", ticket=1))
    net.run(5)
    assert not net.a.outcomes, "one is rekeyed, the other one has no answer"
    net.run(600)
    outcome = net.a.outcomes[1]
    assert not outcome.ok
    assert outcome.text.startswith(f"1 of 2 failed: {target}: ")
    assert sorted(one.ok for one in outcome.targets) == [False, True]
    assert [one.target for one in outcome.targets if not one.ok] == [target]


def test_a_reauthentication_has_its_outcome_when_the_new_ike_sa_is_up() -> None:
    net = up()
    net.command("a", Rekey(ike="ab", reauth=True, ticket=5))
    assert 5 not in net.a.outcomes, "it has only begun"
    net.command("a", Rekey(ike="ab", reauth=True, ticket=6))
    assert not net.a.outcomes[6].ok and "is being reauthenticated already" in net.a.outcomes[6].text
    net.run(10)
    assert net.a.outcomes[5].ok, net.a.outcomes[5]
    (sa,) = net.a.manager.list_sas(net.now)
    assert sa.ike_id > 1
    assert_joined(net)


def test_a_reauthentication_that_comes_to_nothing_is_told_so() -> None:
    net = up()
    net.script = lambda line, nth, data: [] if "IKE_SA_INIT" in line else deliver_all(line, nth, data)
    net.command("a", Rekey(ike="ab", reauth=True, ticket=5))
    net.run(200)
    assert not net.a.outcomes[5].ok
    assert "does not answer" in net.a.outcomes[5].text
    assert len(net.a.manager.list_sas(net.now)) >= 1, "the old one stays"
