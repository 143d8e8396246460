"""Key exchanges that are computed beside all else: what happens meanwhile, and what follows."""

from __future__ import annotations

import itertools
from collections.abc import Callable
from dataclasses import replace

import pytest

from ikepy.errors import PeerError
from ikepy.sa.api.commands import Initiate, Rekey, Shutdown, Terminate
from ikepy.sa.api.effects import Compute, Rank, Send
from ikepy.wire.constants import NotifyType
from ikepy.wire.message import decode_message
from ikepy.wire.payloads import NotifyPayload
from tests.key_exchanges import all_slow

from .network import (
    ADDRESS_A,
    ADDRESS_B,
    DELAY,
    Network,
    Options,
    assert_joined,
    describe,
    duplicate,
    outcome_of,
)
from .test_collisions import (
    OPTIONS,
    act,
    disturbances,
    expected_children,
    nth_of,
)
from .test_established import ike_sa

SLOW = Options(
    proposals='["aes128gcm16-prfsha256-modp3072"]',
    esp_proposals='["aes128gcm16-modp3072"]',
    child="rekey_time = 0",
    connection="rekey_time = 0\n",
)
LINGER = 6.0  # seconds until a child that was replaced is forgotten
LONG = 6.0  # seconds: longer than the first retransmission takes
INIT, AUTH, CREATE = "IKE_SA_INIT", "IKE_AUTH", "CREATE_CHILD_SA"


def taking(seconds: float, at: str = "ab") -> Callable[[str, Compute], float]:
    return lambda site, job: seconds if site in at else 0.0


def held_back(net: Network, at: str) -> list[Compute]:
    """The jobs of a site from now on, which are done when the test says so."""
    jobs: list[Compute] = []

    def think(site: str, job: Compute) -> float:
        if site != at:
            return 0.0
        jobs.append(job)
        return 1e9

    net.thinking = think
    return jobs


def done(net: Network, at: str, job: Compute) -> list[Send]:
    """Tell a site what it waits for; what it sends at once."""
    effects = net.site(at).manager.complete(job.ticket, outcome_of(job), net.now)
    net.run_effects(at, effects)
    return [effect for effect in effects if isinstance(effect, Send)]


def begun(options: Options = SLOW) -> Network:
    net = Network(options)
    net.command("a", Initiate("ab", "net", ticket=1))
    return net


def up(options: Options = SLOW) -> Network:
    net = begun(options)
    net.run(1)
    assert_joined(net)
    net.ladder.clear()
    net.computed.clear()
    return net


def test_who_computes_what() -> None:
    """Strangers' jobs can be told from those of peers, and from ours."""
    net = begun()
    net.run(1)
    assert [(site, job.rank) for site, job in net.computed] == [
        ("a", Rank.OURS),
        ("b", Rank.STRANGER),
        ("a", Rank.OURS),
    ]
    net.computed.clear()
    for command in (Rekey(child="net"), Rekey(ike="ab")):
        net.command("a", command)
        net.run(LINGER)
    assert [(site, job.rank) for site, job in net.computed] == 2 * [
        ("a", Rank.ESTABLISHED),
        ("b", Rank.ESTABLISHED),
        ("a", Rank.ESTABLISHED),
    ]
    assert all(0.001 < job.seconds < 0.01 for _, job in net.computed)
    assert {(site, job.owner) for site, job in net.computed} == {("a", ADDRESS_B), ("b", ADDRESS_A)}
    assert_joined(net)


def test_quick_groups_are_computed_at_once() -> None:
    net = up(Options(esp_proposals='["aes128gcm16-x25519"]'))
    for command in (Rekey(child="net"), Rekey(ike="ab")):
        net.command("a", command)
        net.run(LINGER)
    assert_joined(net)
    assert not net.computed


@pytest.mark.parametrize("at", ["a", "b", "ab"])
def test_everything_takes_its_time(at: str) -> None:
    """Set-up, a second child, rekeys from both ends, delete: later, but the same."""
    net = Network(replace(SLOW, **SECOND))
    net.thinking = taking(0.5, at)
    net.command("a", Initiate("ab", "net", ticket=1))
    net.run(5)
    net.command("a", Initiate("ab", "second", ticket=2))
    net.run(5)
    assert_joined(net, 2)
    for ticket, (name, command) in enumerate(
        itertools.product("ab", (Rekey(child="net"), Rekey(ike="ab"))), 3
    ):
        net.command(name, replace(command, ticket=ticket))
        net.run(15)
        assert net.site(name).outcomes[ticket].ok
    assert_joined(net, 2)
    net.command("a", Terminate(ike="ab", ticket=9))
    net.run(5)
    assert net.a.manager.idle
    assert net.b.manager.idle
    assert not any(" request 0" in line for line in net.ladder if net.ladder.count(line) > 2)


SECOND: dict[str, str] = {
    "local_ts": '["10.1.0.0/24"]',
    "remote_ts": '["10.1.0.0/24"]',
    "more": """
[connections.ab.children.second]
local_ts = ["10.9.0.0/24"]
remote_ts = ["10.9.0.0/24"]
esp_proposals = ["aes128gcm16-modp3072"]
""",
}


# -- what is repeated meanwhile --------------------------------------------------------------------


def test_a_repeated_ike_sa_init_starts_nothing_and_is_answered_once() -> None:
    net = begun()
    net.thinking = taking(LONG, "b")
    net.run(LONG + 1)
    assert net.ladder[:4] == [
        f"a -> b {INIT} request 0",
        f"a -> b {INIT} request 0",
        f"b -> a {INIT} response 0",
        f"a -> b {AUTH} request 1",
    ]
    assert [site for site, _ in net.computed] == ["a", "b", "a"]
    assert_joined(net)


@pytest.mark.parametrize("command", [Rekey(child="net"), Rekey(ike="ab")], ids=["child", "IKE_SA"])
def test_a_repeated_rekey_starts_nothing_and_is_answered_once(command: Rekey) -> None:
    net = up()
    net.thinking = taking(LONG, "b")
    net.command("a", command)
    net.run(2 * LONG)
    assert net.ladder[:3] == [
        f"a -> b {CREATE} request 2",
        f"a -> b {CREATE} request 2",
        f"b -> a {CREATE} response 2",
    ]
    assert [site for site, _ in net.computed] == ["a", "b", "a"]
    assert_joined(net)


def test_a_response_that_is_worked_on_is_not_asked_for_again() -> None:
    """Nor does its copy start anything, though this takes longer than all retransmissions together."""
    net = up()
    net.thinking = taking(1000.0, "a")
    net.script = duplicate(f"b -> a {CREATE} response 2")
    net.command("a", Rekey(child="net"))
    net.run(999)
    assert not net.ladder  # not even the request is there
    net.run(1010)
    assert net.ladder[:2] == [f"a -> b {CREATE} request 2", f"b -> a {CREATE} response 2"]
    assert len(net.ladder) == 4, "and the delete of the old child"
    assert [site for site, _ in net.computed] == ["a", "b", "a"]
    assert_joined(net)


def test_a_repeated_ike_sa_init_response() -> None:
    net = begun()
    net.thinking = taking(3.0, "a")
    net.script = duplicate(f"b -> a {INIT} response 0")
    net.run(10)
    assert [site for site, _ in net.computed] == ["a", "b", "a"]
    assert_joined(net)


# -- what ends meanwhile ---------------------------------------------------------------------------


@pytest.mark.parametrize("at", ["a", "b"])
def test_an_ike_sa_that_ended_is_not_told(at: str) -> None:
    net = up()
    jobs = held_back(net, at)
    net.command("a", Rekey(child="net"))
    net.run(1)
    net.command(at, Terminate(ike="ab", force=True))
    assert net.site(at).manager.idle
    (job,) = jobs
    assert net.site(at).manager.complete(job.ticket, outcome_of(job), net.now) == []
    assert net.site(at).manager.complete(job.ticket, outcome_of(job), net.now) == []
    assert not net.site(at).plane.inbound


def test_a_half_open_one_goes_in_its_time() -> None:
    net = begun()
    jobs = held_back(net, "b")
    net.run(50)
    assert len(jobs) == 2, "the first has timed out, and a asks still"
    for job in jobs[:-1]:
        assert not done(net, "b", job)
    assert len(net.b.manager.list_sas(net.now)) == 1


def test_the_end_of_the_daemon() -> None:
    net = begun()
    jobs = held_back(net, "b")
    net.run(1)
    net.command("b", Shutdown())
    assert net.b.manager.idle
    assert not done(net, "b", jobs[0])


def test_a_set_up_that_is_ended_before_it_began() -> None:
    net = Network(SLOW)
    jobs = held_back(net, "a")
    net.command("a", Initiate("ab", "net", ticket=1))
    net.command("a", Terminate(ike="ab", ticket=2))
    assert not net.a.outcomes[1].ok
    assert not done(net, "a", jobs[0])
    assert not net.ladder


# -- what goes on meanwhile ------------------------------------------------------------------------


def test_the_responder_does_other_things_meanwhile() -> None:
    """It deletes another child, and looks whether the peer lives."""
    net = up(replace(SLOW, **SECOND, connection="rekey_time = 0\ndpd_delay = 20\n"))
    net.command("a", Initiate("ab", "second"))
    net.run(1)
    jobs = held_back(net, "b")
    net.command("a", Rekey(child="net"))
    net.run(0.1)
    net.command("b", Terminate(child="second", ticket=5))
    net.run(1)
    assert net.b.outcomes[5].ok
    net.run(1)
    done(net, "b", jobs[0])
    net.run(LINGER)
    assert_joined(net)


def test_the_child_is_gone_when_its_rekey_can_be_answered() -> None:
    """As if the delete had been first: the peer is told, and nothing is installed."""
    net = up()
    jobs = held_back(net, "b")
    net.command("a", Rekey(child="net"))
    net.run(0.1)
    net.command("b", Terminate(child="net"))
    net.run(0.5)
    assert not net.b.plane.inbound
    done(net, "b", jobs[0])
    assert not net.b.plane.inbound
    net.thinking = taking(0.0)
    net.run(60)
    assert_joined(net, len(net.a.plane.inbound))
    assert [i.state for i in net.a.manager.list_sas(net.now)] == ["ESTABLISHED"]


def test_the_ike_sa_is_being_deleted_when_its_rekey_can_be_answered() -> None:
    net = up()
    jobs = held_back(net, "b")
    net.command("a", Rekey(ike="ab"))
    net.run(0.1)
    net.script = lambda line, nth, data: [1.0]
    net.command("b", Terminate(ike="ab"))
    (answer,) = done(net, "b", jobs[0])
    assert CREATE in describe("b", answer.data)
    assert len(net.b.manager.list_sas(net.now)) == 1, "no IKE_SA was made"
    net.script = lambda line, nth, data: [DELAY]
    net.run(60)
    assert net.b.manager.idle


@pytest.mark.parametrize("thinkers", ["a", "b", "ab"])
@pytest.mark.parametrize("seconds", [0.5, LONG])
@pytest.mark.parametrize(
    ("first", "second"),
    [("child rekey", "child rekey"), ("IKE rekey", "IKE rekey"), ("child rekey", "IKE rekey"),
     ("IKE rekey", "child rekey"), ("child create", "IKE rekey"), ("child delete", "child rekey"),
     ("IKE delete", "IKE rekey"), ("child create", "child create")],
    ids=lambda value: str(value),
)  # fmt: skip
def test_crossing(first: str, second: str, seconds: float, thinkers: str) -> None:
    """Both ends act at once, and either or both think: afterwards they agree, whatever is lost or late."""
    options = replace(
        OPTIONS, esp_proposals='["aes128gcm16-x25519"]', more=OPTIONS.more.replace("gcm16", "gcm16-x25519")
    )
    for seed, (sender, kind, delays) in itertools.product(("one", "two"), disturbances()[:5]):
        net = Network(options, seed=seed)
        with all_slow():
            net.command("a", Initiate("ab", "net"))
            net.run(1)
            net.thinking = taking(seconds, thinkers)
            net.script = nth_of(sender, kind, delays)
            act(net, "a", first)
            act(net, "b", second)
            net.run(200)
        note = f"{kind} of {sender}: {delays}\n" + "\n".join(net.ladder)
        a, b = net.a.manager.list_sas(net.now), net.b.manager.list_sas(net.now)
        assert {(i.spi_i, i.spi_r) for i in a} == {(i.spi_i, i.spi_r) for i in b}, note
        assert_joined(net, expected_children(first, second), note)


# -- results that are none -------------------------------------------------------------------------


def test_a_value_that_only_the_computation_finds_bad() -> None:
    """A stranger hears of it, and nothing is left of its IKE_SA."""
    net = begun()
    jobs = held_back(net, "b")
    net.run(0.1)
    bad = PeerError(NotifyType.INVALID_SYNTAX, "of small order", fatal=True)
    effects = net.b.manager.complete(jobs[0].ticket, bad, net.now)
    (answer,) = [effect for effect in effects if isinstance(effect, Send)]
    (notify,) = decode_message(answer.data).payloads
    assert isinstance(notify, NotifyPayload)
    assert notify.notify == NotifyType.INVALID_SYNTAX
    assert net.b.manager.idle


def test_no_room_for_a_strangers_job() -> None:
    """It is not answered, and served when it asks again."""
    net = begun()
    jobs = held_back(net, "b")
    net.run(0.1)
    full = PeerError(NotifyType.TEMPORARY_FAILURE, "too many wait")
    effects = net.b.manager.complete(jobs[0].ticket, full, net.now)
    assert not [effect for effect in effects if isinstance(effect, Send)]
    assert net.b.manager.idle
    net.thinking = taking(0.1)
    net.run(10)
    assert_joined(net)


def test_a_fault_in_a_job_is_raised_where_it_is_told() -> None:
    net = up()
    jobs = held_back(net, "b")
    net.command("a", Rekey(child="net"))
    net.run(0.1)
    with pytest.raises(ZeroDivisionError):
        net.b.manager.complete(jobs[0].ticket, ZeroDivisionError("a bug"), net.now)
    assert net.b.manager.ticking == ike_sa(net, "b").ike_id
