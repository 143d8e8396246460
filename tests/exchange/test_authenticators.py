"""IKE_AUTH by other methods than a pre-shared key: in rounds, and with steps that are computed beside all
else (RFC 7296 2.15, 2.16, 2.21.2)."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from ipaddress import IPv4Address

import pytest

from ikepy.sa.api.commands import Initiate, Rekey, Terminate
from ikepy.sa.api.effects import Compute, Rank
from ikepy.sa.api.path import Endpoint, Path
from ikepy.sa.auth.authenticator import Authenticator
from ikepy.sa.state.auth_round import MOST_ROUNDS

from .methods import ChallengeResponse, Signature
from .network import (
    ADDRESS_A,
    ADDRESS_B,
    DELAY,
    Network,
    Options,
    Script,
    assert_joined,
    deliver_all,
    duplicate,
    lose,
    outcome_of,
)

SIGNED, ROUNDS, SLOW_ROUNDS = Signature(), ChallengeResponse(), ChallengeResponse(computes=True)
ENDLESS = ChallengeResponse(endless=True)
METHODS = pytest.mark.parametrize("method", [SIGNED, ROUNDS, SLOW_ROUNDS], ids=["signed", "rounds", "slow"])

OTHER = """
[connections.other]
local_addrs = ["192.0.2.2"]
remote_addrs = ["192.0.2.1"]
proposals = ["aes128gcm16-prfsha256-x25519"]
[connections.other.local]
id = "gwb"
[connections.other.remote]
id = "gwx"
[connections.other.children.net]
local_ts = ["0.0.0.0/0"]
remote_ts = ["0.0.0.0/0"]
esp_proposals = ["aes128gcm16"]
"""

INIT_LADDER = ["a -> b IKE_SA_INIT request 0", "b -> a IKE_SA_INIT response 0"]


def round_of(number: int) -> list[str]:
    return [f"a -> b IKE_AUTH request {number}", f"b -> a IKE_AUTH response {number}"]


THREE = INIT_LADDER + round_of(1) + round_of(2) + round_of(3)


def begun(
    method: Authenticator,
    other: Authenticator | None = None,
    *,
    a: Options | None = None,
    b: Options | None = None,
    script: Script = deliver_all,
) -> Network:
    """a asks for a child; b has the `other` method, if there is one."""
    net = Network(a, b, methods=(method, other or method))
    net.script = script
    net.command("a", Initiate("ab", "net", ticket=1))
    return net


def connect(
    method: Authenticator,
    other: Authenticator | None = None,
    *,
    a: Options | None = None,
    b: Options | None = None,
) -> Network:
    net = begun(method, other, a=a, b=b)
    net.run(5)
    return net


def assert_nothing_left(net: Network) -> None:
    assert net.a.manager.idle
    assert net.b.manager.idle
    for site in (net.a, net.b):
        assert not site.plane.inbound
        assert not site.plane.outbound
        assert site.manager.deadline is None


# -- it works --------------------------------------------------------------------------------------


def test_signatures_take_one_round_and_are_jobs() -> None:
    net = connect(SIGNED)
    assert net.ladder == INIT_LADDER + round_of(1)
    assert net.a.outcomes[1].ok
    assert_joined(net)
    assert [(site, job.rank) for site, job in net.computed] == [
        ("a", Rank.OURS),  # it signs
        ("b", Rank.STRANGER),  # it verifies
        ("b", Rank.STRANGER),  # it signs
        ("a", Rank.OURS),  # it verifies
    ]


@pytest.mark.parametrize("method", [ROUNDS, SLOW_ROUNDS], ids=["rounds", "slow"])
def test_three_rounds(method: Authenticator) -> None:
    net = connect(method)
    assert net.ladder == THREE
    assert net.a.outcomes[1].ok
    assert_joined(net)
    (a,), (b,) = net.a.manager.list_sas(net.now), net.b.manager.list_sas(net.now)
    assert [str(one) for one in (a.local_id, a.remote_id)] == ["gwa", "gwb"]
    assert [str(one) for one in (b.local_id, b.remote_id)] == ["gwb", "gwa"]


def test_a_later_child_goes_on_with_the_message_ids() -> None:
    net = connect(ROUNDS, a=Options(connection='childless = "prefer"'))
    later = ["a -> b CREATE_CHILD_SA request 4", "b -> a CREATE_CHILD_SA response 4"]
    assert net.ladder == THREE + later
    assert_joined(net)


@METHODS
def test_what_was_asked_for_in_the_first_request_is_granted_in_the_last_response(
    method: Authenticator,
) -> None:
    """MOBIKE and several requests at once (RFC 4555 3.1, RFC 7296 2.3)."""
    net = connect(method, a=Options(daemon="window_size = 3"))
    for site in (net.a, net.b):
        (sa,) = site.manager.ike_sas
        assert sa.mobike is not None
        assert sa.window.has_room
        for _ in range(2):
            sa.window.sent((b"",), sa.path, net.now, 0.0)
            assert sa.window.has_room


def test_a_child_that_fails_leaves_the_ike_sa() -> None:
    net = connect(ROUNDS, a=Options(local_ts='["10.1.0.0/16"]'), b=Options(remote_ts='["172.16.0.0/12"]'))
    assert "TS_UNACCEPTABLE" in net.a.outcomes[1].text
    assert len(net.a.manager.list_sas(net.now)) == len(net.b.manager.list_sas(net.now)) == 1


def test_an_identity_that_was_told_holds_though_our_address_changes() -> None:
    """b is called by its address, and the second request reaches it at another one."""
    other = IPv4Address("198.51.100.2")
    caught: list[bytes] = []

    def catch(line: str, nth: int, data: bytes) -> list[float]:
        if line != round_of(2)[0]:
            return [DELAY]
        caught.append(data)
        return []

    net = Network(Options(remote_id=str(ADDRESS_B)), Options(), methods=(ROUNDS, ROUNDS))
    ab = net.b.config.connections["ab"]
    ab = ab.model_copy(update={"local": ab.local.model_copy(update={"id": None})})
    config = net.b.config.model_copy(update={"connections": {"ab": ab}})
    net.run_effects("b", net.b.manager.replace_config(config, net.now))
    net.script = catch
    net.command("a", Initiate("ab", "net", ticket=1))
    net.run(1)
    net.inject("b", Path(Endpoint(other, 4500), Endpoint(ADDRESS_A, 4500)), caught[0])
    net.run(1)
    (sa,) = net.b.manager.list_sas(net.now)
    assert str(sa.path.local.address) == str(other)
    assert str(sa.local_id) == str(ADDRESS_B)
    assert net.a.outcomes[1].ok


# -- messages that are lost, repeated, slow --------------------------------------------------------


@METHODS
@pytest.mark.parametrize("line", [*round_of(1), *round_of(2), *round_of(3)])
@pytest.mark.parametrize("disturb", [lose, duplicate], ids=["lost", "repeated"])
@pytest.mark.parametrize("seconds", [0.0, 0.02, 6.0], ids=["at once", "a moment", "long"])
def test_each_message_lost_or_repeated(
    method: Authenticator, line: str, disturb: Callable[[str], Script], seconds: float
) -> None:
    """Whatever a step takes: it is taken once, and its message is answered once."""
    net = begun(method, a=Options(daemon="half_open_timeout = 200"), script=disturb(line))
    net.thinking = lambda site, job: seconds
    net.run(120)
    assert net.a.outcomes[1].ok, net.a.outcomes[1].text
    assert_joined(net)
    jobs = len(net.computed)
    assert jobs == {SIGNED: 4, ROUNDS: 0, SLOW_ROUNDS: 12}[method]


def test_a_repeated_request_is_not_answered_while_its_step_is_computed() -> None:
    net = begun(SIGNED)
    net.thinking = lambda site, job: 6.0 if site == "b" else 0.0
    net.run(13)
    assert net.ladder[2:] == [*3 * round_of(1)[:1], round_of(1)[1]]
    assert_joined(net)


def test_the_rest_goes_on_while_a_signature_is_computed() -> None:
    """The peer is authenticated anew, which takes b long; the IKE_SA that there is serves meanwhile."""
    net = connect(SIGNED)
    jobs = held_back(net, "b")
    net.command("a", Rekey(ike="ab", reauth=True, ticket=2))
    net.run(1)
    net.command("a", Rekey(child="net", ticket=3))
    net.run(1)
    assert net.a.outcomes[3].ok
    assert len(net.a.manager.list_sas(net.now)) == 2
    while jobs:
        job = jobs.pop(0)
        net.run_effects("b", net.b.manager.complete(job.ticket, outcome_of(job), net.now))
        net.run(1)
    net.run(10)
    assert_joined(net)
    (sa,) = net.a.manager.list_sas(net.now)
    assert sa.state == "ESTABLISHED"


def held_back(net: Network, at: str) -> list[Compute]:
    """The jobs of a site from now on, which nobody does."""
    jobs: list[Compute] = []

    def think(site: str, job: Compute) -> float:
        if site != at:
            return 0.0
        jobs.append(job)
        return 1e9

    net.thinking = think
    return jobs


# -- it ends meanwhile -----------------------------------------------------------------------------


@pytest.mark.parametrize("method", [SIGNED, SLOW_ROUNDS], ids=["signed", "slow"])
@pytest.mark.parametrize("at", ["a", "b"])
@pytest.mark.parametrize("nth", range(4))
def test_a_result_for_an_ike_sa_that_is_gone_is_dropped(method: Authenticator, at: str, nth: int) -> None:
    """Whichever of a site's jobs is under way."""
    net = begun(method)
    jobs: list[Compute] = []

    def think(site: str, job: Compute) -> float:
        if site == at:
            jobs.append(job)
        return 1e9 if site == at and len(jobs) > nth else 0.0

    net.thinking = think
    net.run(1)
    if len(jobs) <= nth:
        assert_joined(net)  # a signature has two jobs an end
        return
    net.command(at, Terminate(ike="ab"))
    site = net.site(at)
    assert site.manager.idle
    assert site.manager.complete(jobs[-1].ticket, outcome_of(jobs[-1]), net.now) == []
    net.run(300)
    assert site.manager.idle
    assert not site.plane.inbound


def test_a_responder_waits_for_the_next_round_as_long_as_for_the_first() -> None:
    net = begun(ROUNDS, script=lambda line, nth, data: [] if line == round_of(2)[0] else [0.01])
    net.run(29)
    assert len(net.b.manager.list_sas(net.now)) == 1
    net.run(3)
    assert net.b.manager.idle


def test_an_initiator_waits_for_the_end_of_rounds_as_long() -> None:
    """Though each of them takes less than the peer's last try of a request."""
    patient = Options(daemon="half_open_timeout = 300")
    net = begun(ENDLESS, a=Options(), b=patient, script=lambda line, nth, data: [2.0])
    net.run(37)
    assert 1 not in net.a.outcomes
    net.run(2)
    assert net.a.manager.idle
    assert net.a.outcomes[1].text.startswith("timed out")


def test_an_endless_method_is_ended() -> None:
    net = connect(ENDLESS)
    assert not net.a.outcomes[1].ok
    rounds = sum("IKE_AUTH request" in line for line in net.ladder)
    assert rounds == MOST_ROUNDS
    assert_nothing_left(net)


def test_an_initiator_counts_rounds_too() -> None:
    net = begun(ROUNDS)
    net.run(0.045)
    (sa,) = net.a.manager.ike_sas
    assert sa.auth_round is not None and sa.auth_round.number == 1
    sa.connecting.auth_round = replace(sa.auth_round, number=MOST_ROUNDS - 1)
    net.run(5)
    assert f"not done after {MOST_ROUNDS} rounds" in net.a.outcomes[1].text
    assert_nothing_left(net)


def remove_ab(net: Network) -> None:
    """From b's configuration."""
    config = net.b.config
    left = {name: one for name, one in config.connections.items() if name != "ab"}
    config = config.model_copy(update={"connections": left})
    net.run_effects("b", net.b.manager.replace_config(config, net.now))


@pytest.mark.parametrize("seconds", [0.035, 0.055], ids=["first round", "second round"])
@pytest.mark.parametrize("computes", [False, True])
@pytest.mark.parametrize("other", ["gwx", "*"], ids=["for another one", "for anybody"])
def test_a_connection_that_is_removed_between_rounds_lets_nobody_in(
    other: str, seconds: float, computes: bool
) -> None:
    """Nor does another one, of the same addresses, by whose method and secret nothing was proven."""
    method = ChallengeResponse(computes=computes)
    net = begun(method, a=Options(), b=Options(more=OTHER.replace("gwx", other)))
    net.thinking = lambda site, job: 0.001
    net.run(seconds)
    remove_ab(net)
    net.run(5)
    assert "AUTHENTICATION_FAILED" in net.a.outcomes[1].text
    assert_nothing_left(net)


@pytest.mark.parametrize(("other", "needed"), [("gwx", 2), ("*", 3)], ids=["for another one", "for anybody"])
def test_a_connection_that_is_removed_while_a_proof_is_computed(other: str, needed: int) -> None:
    """The proof counts for nothing, as it was made by the former configuration: it is computed anew."""
    net = begun(SIGNED, a=Options(), b=Options(more=OTHER.replace("gwx", other)))
    jobs = held_back(net, "b")
    net.run(1)
    remove_ab(net)
    for job in jobs:
        net.run_effects("b", net.b.manager.complete(job.ticket, outcome_of(job), net.now))
    net.run(5)
    assert len(jobs) == needed, "twice to verify, and once to sign"
    assert net.a.outcomes[1].ok is (other == "*")


def test_a_configuration_that_changes_elsewhere_lets_rounds_go_on() -> None:
    net = begun(SLOW_ROUNDS)
    net.thinking = lambda site, job: 0.001
    net.run(0.04)
    net.replace_config("b", Options(more=OTHER))
    net.run(5)
    assert net.ladder == THREE
    assert_joined(net)
