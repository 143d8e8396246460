"""Another configuration while IKE_SAs stand, are being set up, rekeyed or deleted."""

from __future__ import annotations

from dataclasses import replace

import pytest

from ikepy.sa.api.commands import ChildrenLost, Initiate, Rekey
from ikepy.sa.api.effects import Compute, Send
from ikepy.sa.state.child_sa import ChildSa
from ikepy.sa.state.ike_sa import IkeSa

from .network import Network, Options, assert_joined, lose
from .two_children import child_id, established, ike_sas, late, options, policies

PLAIN = options()
ENCAP = options(connection="encap = true")
DELETED = ["a -> b INFORMATIONAL request 3", "b -> a INFORMATIONAL response 3"]
ANEW = [
    "a -> b IKE_SA_INIT request 0",
    "b -> a IKE_SA_INIT response 0",
    "a -> b IKE_AUTH request 1",
    "b -> a IKE_AUTH response 1",
]
STARTED = options(child='rekey_time = 0\nstart_action = "start"')
IMPATIENT = replace(STARTED, daemon="retransmit_timeout = 1\nretransmit_tries = 0")
TRIED = 1.5  # seconds after which a try without an answer is over, and the next one is not due
WITHOUT_SECOND = replace(PLAIN, more="")
# Another connection between the same two hosts, with identities of its own.
OTHER = """
[connections.{name}]
local_addrs = ["{local}"]
remote_addrs = ["{remote}"]
proposals = ["aes128gcm16-prfsha256-x25519"]
[connections.{name}.local]
id = "{own}"
[connections.{name}.remote]
id = "{peer}"
[connections.{name}.children.net]
local_ts = ["10.77.0.0/16"]
remote_ts = ["10.78.0.0/16"]
esp_proposals = ["aes128gcm16"]
{child}
"""


def with_other(site: str, child: str = "rekey_time = 0", base: Options = WITHOUT_SECOND) -> Options:
    local, remote = ("192.0.2.1", "192.0.2.2") if site == "a" else ("192.0.2.2", "192.0.2.1")
    own, peer = ("gwa2", "gwb2") if site == "a" else ("gwb2", "gwa2")
    text = OTHER.format(name="other", local=local, remote=remote, own=own, peer=peer, child=child)
    if site == "b":
        text = text.replace("10.77.", "10.76.").replace("10.78.", "10.77.").replace("10.76.", "10.78.")
    return replace(base, more=base.more + text)


def only(net: Network, name: str = "a") -> IkeSa:
    (sa,) = ike_sas(net, name)
    return sa


def child_of(net: Network, child: str, name: str = "a") -> ChildSa:
    return only(net, name).children[child_id(net, name, child)]


def spis(net: Network, name: str = "a") -> list[int]:
    return sorted(sa.spi for sa in net.site(name).plane.inbound.values())


def sent(net: Network, name: str) -> list[str]:
    return [line for line in net.ladder if line.startswith(name)]


# -- nothing, or in place --------------------------------------------------------------------------


def test_the_same_configuration_once_more_does_nothing() -> None:
    net = established(PLAIN, PLAIN)
    before = spis(net), only(net).connection, net.a.config
    assert not net.replace_config("a", options())
    net.run(100)
    assert not net.ladder
    assert (spis(net), only(net).connection, net.a.config) == before


def test_a_connection_that_does_not_change_goes_on_beside_one_that_goes() -> None:
    net = Network(with_other("a"), with_other("b"))
    net.command("a", Initiate("ab", "net"))
    net.command("a", Initiate("other", "net"))
    net.run(1)
    assert_joined(net, 2)
    kept = next(sa for sa in ike_sas(net, "a") if sa.connection.name == "ab")
    before = net.a.plane.inbound[next(iter(kept.children))]
    net.ladder.clear()
    net.replace_config("a", WITHOUT_SECOND)
    net.run(100)
    assert net.ladder == ["a -> b INFORMATIONAL request 2", "b -> a INFORMATIONAL response 2"]
    assert ike_sas(net, "a") == [kept]
    assert list(net.a.plane.inbound.values()) == [before]
    assert_joined(net)
    net.command("a", Rekey(ike="ab", child="net"))
    net.run(10)
    assert_joined(net)


def test_liveness_checks_begin_by_their_new_interval() -> None:
    net = established(PLAIN, PLAIN)
    assert not [
        one for one in net.replace_config("a", options(connection="dpd_delay = 30")) if isinstance(one, Send)
    ]
    net.run(20)
    assert not net.ladder
    net.run(15)
    assert net.ladder == DELETED  # an empty request looks the same
    assert_joined(net, 2)


def test_a_shorter_lifetime_is_kept_from_now_on_and_not_at_once() -> None:
    net = established(PLAIN, PLAIN)
    net.run(1000)
    net.replace_config("a", options(child="rekey_time = 100", second="rekey_time = 0"))
    net.run(0.1)
    assert not net.ladder
    old = spis(net)
    net.run(110)
    assert len(set(old) & set(spis(net))) == 1  # the other child never is
    assert_joined(net, 2)


def test_a_longer_lifetime_puts_a_rekey_off() -> None:
    short = options(child="rekey_time = 100\nrand_time = 0", second="rekey_time = 100\nrand_time = 0")
    net = established(short, PLAIN)
    net.replace_config("a", options(child="rekey_time = 0\nlife_time = 0", second="rekey_time = 900"))
    net.run(400)
    assert not net.ladder
    assert child_of(net, "net").lifetime.expires_at is None
    net.run(600)
    assert net.ladder
    assert_joined(net, 2)


def test_an_ike_sa_has_its_new_lifetimes() -> None:
    net = established(PLAIN, PLAIN)
    net.run(500)
    net.replace_config("a", options(connection="rekey_time = 300\nover_time = 60\nreauth_time = 2000"))
    sa = only(net)
    assert sa.lifetime.rekey_at is not None
    assert sa.lifetime.expires_at is not None
    assert sa.reauth_at is not None
    assert net.now <= sa.lifetime.rekey_at <= net.now + 300
    assert sa.lifetime.rekey_at < sa.lifetime.expires_at
    assert net.now < sa.reauth_at <= net.now + 1500
    net.run(400)
    assert only(net) is not sa
    assert_joined(net, 2)


def test_many_sas_whose_lifetime_gets_shorter_are_not_rekeyed_at_once() -> None:
    net = established(PLAIN, PLAIN)
    net.run(5000)
    due = []
    for number in range(60):
        net.replace_config("a", options(child=f"rekey_time = {1000 + number}"))
        at = child_of(net, "net").lifetime.rekey_at
        assert at is not None
        due.append(at - net.now)
    assert 0 <= min(due) < 200
    assert 800 < max(due) <= 1060
    assert sum(100 * n <= at < 100 * n + 100 for at in due for n in (0,)) < 20


def test_a_limit_in_bytes_counts_from_the_sas_beginning() -> None:
    net = established(PLAIN, PLAIN)
    net.replace_config("a", options(child="rekey_time = 0\nrekey_bytes = 1000\nrand_bytes = 0"))
    assert not net.ladder
    (number,) = [i for i, sa in net.a.plane.inbound.items() if sa.child == "net"]
    net.run_effects("a", net.a.manager.usage(number, 999, 1, net.now))
    assert not net.ladder
    net.run_effects("a", net.a.manager.usage(number, 1000, 1, net.now))
    net.run(10)
    assert net.ladder[0] == "a -> b CREATE_CHILD_SA request 3"
    assert_joined(net, 2)


def test_what_an_sa_has_from_its_installation_comes_by_a_rekey() -> None:
    net = established(PLAIN, PLAIN)
    second = net.a.plane.inbound[child_id(net, "a", "second")]
    net.replace_config("a", options(child="rekey_time = 0\nreplay_window = 64"))
    net.run(10)
    assert net.ladder[:2] == ["a -> b CREATE_CHILD_SA request 3", "b -> a CREATE_CHILD_SA response 3"]
    assert_joined(net, 2)
    installed = {sa.child: sa for sa in net.a.plane.inbound.values()}
    assert installed["net"].replay_window == 64
    assert installed["second"] is second


def test_settings_of_the_daemon_are_the_new_ones() -> None:
    net = established(replace(PLAIN, daemon="retransmit_timeout = 4"), PLAIN)
    net.replace_config("a", replace(PLAIN, daemon="retransmit_timeout = 1\nretransmit_tries = 2"))
    net.script = lambda line, nth, data: []
    net.command("a", Rekey(child="net"))
    net.run(3)
    assert len(net.ladder) == 3
    net.run(4)
    assert not ike_sas(net, "a")


# -- connections -----------------------------------------------------------------------------------


def test_a_removed_connection_is_deleted_at_the_peer_and_does_not_come_again() -> None:
    again = options(child='rekey_time = 0\nclose_action = "start"\ndpd_action = "start"')
    net = established(with_other("a", base=again), PLAIN, second=False)
    net.replace_config("a", with_other("a", base=replace(again, more="")))
    net.ladder.clear()
    net.a.config = with_other("a").config("a")
    effects = net.a.manager.replace_config(
        net.a.config.model_copy(update={"connections": {"other": net.a.config.connections["other"]}}), net.now
    )
    net.run_effects("a", effects)
    net.run(300)
    assert net.ladder == ["a -> b INFORMATIONAL request 2", "b -> a INFORMATIONAL response 2"]
    assert not ike_sas(net, "a")
    assert not ike_sas(net, "b")
    assert_joined(net, 0)
    assert not net.a.manager.retrying


def test_an_added_connection_is_started() -> None:
    net = established(WITHOUT_SECOND, with_other("b"), second=False)
    net.replace_config("a", with_other("a", 'start_action = "start"'))
    net.run(1)
    assert net.ladder == ANEW
    assert_joined(net, 2)


def test_an_added_connection_waits_for_its_peer() -> None:
    net = established(WITHOUT_SECOND, WITHOUT_SECOND, second=False)
    net.replace_config("b", with_other("b"))
    net.replace_config("a", with_other("a"))
    net.run(10)
    assert not net.ladder
    net.command("a", Initiate("other", "net"))
    net.run(1)
    assert_joined(net, 2)


@pytest.mark.parametrize("start", [True, False])
def test_a_replaced_connection_is_set_up_anew_if_it_is_to_be_up(start: bool) -> None:
    before = STARTED if start else PLAIN
    net = established(before, PLAIN)
    old = only(net)
    net.replace_config("a", replace(before, connection="mobike = false"))
    net.run(5)
    assert old not in ike_sas(net, "a")
    assert sorted(net.ladder) == sorted([*DELETED, *ANEW] if start else DELETED)
    assert policies(net, "a") == (["net"] if start else [])
    assert_joined(net, int(start))
    assert "another configuration replaces it (mobike)" in " ".join(log.text for log in net.a.logs)


def test_both_ends_are_replaced_one_after_the_other() -> None:
    ours = replace(STARTED, connection="mobike = false")
    net = established(STARTED, PLAIN)
    net.replace_config("b", replace(ours, child="rekey_time = 0"))
    net.run(0.005)
    net.replace_config("a", ours)
    net.run(30)
    assert policies(net, "a") == ["net"]
    assert_joined(net)


def test_a_peer_that_is_silent_holds_up_nothing() -> None:
    net = established(STARTED, PLAIN)
    net.script = lose("a -> b INFORMATIONAL request 3", times=99)
    net.replace_config("a", replace(STARTED, connection="mobike = false"))
    net.run(1)
    assert set(ANEW) <= set(net.ladder)
    net.run(400)
    (sa,) = ike_sas(net, "a")
    assert sa.established
    assert not sa.connection.mobike


def test_only_what_is_replaced_sends() -> None:
    net = Network(with_other("a", 'start_action = "start"', STARTED), with_other("b"))
    net.start()
    net.run(5)
    assert_joined(net, 2)
    net.ladder.clear()
    other = next(sa for sa in ike_sas(net, "a") if sa.connection.name == "other")
    net.replace_config(
        "a", with_other("a", 'start_action = "start"', replace(STARTED, connection="encap = true"))
    )
    net.run(10)
    assert other in ike_sas(net, "a")
    assert len(net.ladder) == len(ANEW) + 2
    assert_joined(net, 2)


def test_a_changed_secret_counts_from_the_next_authentication_on() -> None:
    net = established(PLAIN, PLAIN)
    for name in "ab":
        assert not net.replace_config(name, replace(PLAIN, secret="battery staple"))
    net.run(10)
    assert not net.ladder
    net.command("a", Rekey(ike="ab", reauth=True))
    net.run(15)
    assert_joined(net, 2)
    net.replace_config("b", replace(PLAIN, secret="wrong"))
    net.command("a", Rekey(ike="ab", reauth=True))
    net.run(5)
    assert any("AUTHENTICATION_FAILED" in text for text in net.a.errors())
    assert_joined(net, 2)  # what stood stands


# -- children --------------------------------------------------------------------------------------


def test_a_removed_child_is_deleted() -> None:
    net = established(options(second='close_action = "start"'), PLAIN)
    sa, kept = only(net), net.a.plane.inbound[child_id(net, "a", "net")]
    net.replace_config("a", WITHOUT_SECOND)
    net.run(100)
    assert net.ladder == DELETED
    assert only(net) is sa
    assert list(net.a.plane.inbound.values()) == [kept]
    assert_joined(net)


@pytest.mark.parametrize("start", [True, False])
def test_an_added_child_is_started(start: bool) -> None:
    net = established(WITHOUT_SECOND, PLAIN, second=False)
    net.replace_config("a", options(second='start_action = "start"' if start else ""))
    net.run(10)
    assert policies(net, "a") == (["net", "second"] if start else ["net"])
    assert len(net.ladder) == 2 * start
    assert_joined(net, 1 + start)


def test_a_child_that_is_to_be_up_now_is_started() -> None:
    net = established(PLAIN, PLAIN, second=False)
    net.replace_config("a", options(second='start_action = "start"'))
    net.run(10)
    assert policies(net, "a") == ["net", "second"]
    net.ladder.clear()
    net.replace_config("a", PLAIN)
    net.run(10)
    assert not net.ladder
    assert_joined(net, 2)


def test_a_replaced_child_is_deleted_and_asked_for_anew() -> None:
    mirror = options(second='start_action = "start"')
    wider = replace(mirror, more=mirror.more.replace("10.9.0.0/24", "10.9.0.0/16"))
    net = established(mirror, PLAIN)
    kept = net.a.plane.inbound[child_id(net, "a", "net")]
    net.replace_config("b", replace(wider, more=wider.more.replace('start_action = "start"', "")))
    net.replace_config("a", wider)
    net.run(30)
    assert kept in net.a.plane.inbound.values()
    assert {str(sa.ts_local[0]) for sa in net.a.plane.inbound.values()} == {"10.1.0.0/24", "10.9.0.0/16"}
    assert_joined(net, 2)


# -- in the middle of something --------------------------------------------------------------------


def test_lifetimes_change_while_the_child_is_rekeyed() -> None:
    net = established(PLAIN, PLAIN)
    net.command("a", Rekey(child="net"))
    net.run(0.005)
    net.replace_config("a", options(child="rekey_time = 500\nrand_time = 0"))
    net.run(10)
    assert_joined(net, 2)
    child = child_of(net, "net")
    assert child.config is only(net).connection.children["net"]
    assert child.lifetime.rekey_at == pytest.approx(child.installed_at + 500)


@pytest.mark.parametrize("pause", [0.005, 0.015, 0.025])
def test_a_child_is_removed_while_it_is_rekeyed(pause: float) -> None:
    net = established(PLAIN, PLAIN)
    net.command("a", Rekey(child="second"))
    net.run(pause)
    net.replace_config("a", WITHOUT_SECOND)
    net.run(30)
    assert policies(net, "a") == policies(net, "b") == ["net"]
    assert_joined(net)


@pytest.mark.parametrize("pause", [0.0, 0.005, 0.015])
def test_a_child_is_removed_while_it_is_created(pause: float) -> None:
    net = established(PLAIN, PLAIN, second=False)
    net.command("a", Initiate("ab", "second", ticket=7))
    net.run(pause)
    net.replace_config("a", WITHOUT_SECOND)
    net.run(30)
    assert policies(net, "a") == policies(net, "b") == ["net"]
    assert 7 in net.a.outcomes
    assert_joined(net)


def test_a_child_that_waits_for_its_turn_is_asked_for_as_it_is_now() -> None:
    net = established(PLAIN, PLAIN, second=False)
    net.script = late("b -> a CREATE_CHILD_SA response 2", 0.5)
    net.command("a", Rekey(child="net"))
    net.command("a", Initiate("ab", "second"))
    net.replace_config("a", options(second="replay_window = 64"))
    net.run(10)
    (second,) = [sa for sa in net.a.plane.inbound.values() if sa.child == "second"]
    assert second.replay_window == 64
    assert_joined(net, 2)
    assert len([line for line in net.ladder if "CREATE_CHILD_SA request" in line]) == 2


@pytest.mark.parametrize("pause", [0.0, 0.005, 0.015, 0.025, 0.035])
@pytest.mark.parametrize("change", ["removed", "replaced", "in place", "child removed"])
def test_a_configuration_changes_during_a_set_up(pause: float, change: str) -> None:
    before = with_other("a", "", STARTED)
    net = Network(before, with_other("b", "", PLAIN))
    net.start()
    net.run(pause)
    config = net.a.config
    if change == "removed":
        config = config.model_copy(update={"connections": {"other": config.connections["other"]}})
        net.run_effects("a", net.a.manager.replace_config(config, net.now))
    else:
        words = {"replaced": "mobike = false", "in place": "dpd_delay = 50"}
        more = "" if change == "child removed" else before.more
        text = before.more.replace("[connections.ab.children.second]", "[connections.ab.children.third]")
        child = 'start_action = "none"' if change == "child removed" else before.child
        net.replace_config(
            "a", replace(before, connection=words.get(change, ""), more=more or text, child=child)
        )
    net.run(600)
    expected = 0 if change == "removed" else 1
    if change == "child removed":
        assert policies(net, "a") == ["net"]  # it is configured, though it would not be started now
    else:
        assert len([sa for sa in ike_sas(net, "a") if sa.established]) == expected
        assert_joined(net, expected)


def test_the_only_child_of_a_set_up_is_removed() -> None:
    net = Network(PLAIN, PLAIN)
    net.command("a", Initiate("ab", "second", ticket=3))
    net.run(0.005)
    net.replace_config("a", WITHOUT_SECOND)
    net.run(100)
    assert not ike_sas(net, "a")
    assert not net.a.outcomes[3].ok
    assert_joined(net, 0)


@pytest.mark.parametrize("pause", [0.005, 0.015, 0.025])
def test_a_connection_is_removed_while_its_ike_sa_is_rekeyed(pause: float) -> None:
    net = established(with_other("a"), with_other("b"), second=False)
    for name in "ab":
        net.command(name, Rekey(ike="ab"))
        net.run(pause / 5)
    net.run(pause)
    config = net.a.config
    config = config.model_copy(update={"connections": {"other": config.connections["other"]}})
    net.run_effects("a", net.a.manager.replace_config(config, net.now))
    net.run(300)
    assert not ike_sas(net, "a")
    assert not ike_sas(net, "b")
    assert_joined(net, 0)


def test_what_is_about_to_end_with_its_connection_is_not_reauthenticated() -> None:
    """A delete that waits for the answer of another request leaves time for commands."""
    net = established(with_other("a"), with_other("b"), second=False)
    net.command("a", Rekey(ike="ab", child="net"))
    config = net.a.config
    config = config.model_copy(update={"connections": {"other": config.connections["other"]}})
    net.run_effects("a", net.a.manager.replace_config(config, net.now))
    net.command("a", Rekey(ike="ab", reauth=True, ticket=9))
    assert not net.a.outcomes[9].ok
    assert "deleted already" in net.a.outcomes[9].text
    net.run(300)
    assert not ike_sas(net, "a")
    assert_joined(net, 0)


@pytest.mark.parametrize("connection", ["", "dpd_delay = 5", 'childless = "never"'])
def test_a_peer_that_is_half_open_here_authenticates_by_the_new_configuration(connection: str) -> None:
    net = Network(replace(PLAIN, secret="battery staple"), PLAIN)
    net.command("a", Initiate("ab", "net"))
    net.run(0.015)
    (half_open,) = ike_sas(net, "b")
    net.replace_config("b", replace(PLAIN, secret="battery staple", connection=connection))
    net.run(2)
    assert half_open.established
    assert half_open.connection is net.b.manager.config.connections["ab"]
    assert_joined(net)


@pytest.mark.parametrize("connection", ["encap = true", "mobike = false"])
def test_a_peer_that_is_half_open_here_on_other_terms_is_told_to_begin_anew(connection: str) -> None:
    net = Network(replace(STARTED, child='rekey_time = 0\nclose_action = "start"'), PLAIN)
    net.command("a", Initiate("ab", "net"))
    net.run(0.015)
    net.replace_config("b", replace(PLAIN, connection=connection))
    net.run(30)
    assert net.ladder == [*ANEW, "b -> a INFORMATIONAL request 0", "a -> b INFORMATIONAL response 0", *ANEW]
    assert only(net, "b").connection is net.b.manager.config.connections["ab"]
    assert_joined(net)


def test_a_peer_whose_connection_goes_while_it_is_half_open_is_refused() -> None:
    net = Network(PLAIN, with_other("b"))
    net.command("a", Initiate("ab", "net"))
    net.run(0.015)
    assert only(net, "b").connection.name == "ab"
    assert net.a.manager.has_ike_sa("ab")
    assert not net.b.manager.has_ike_sa("ab")  # it may be a stranger's
    config = net.b.config
    config = config.model_copy(update={"connections": {"other": config.connections["other"]}})
    net.run_effects("b", net.b.manager.replace_config(config, net.now))
    net.run(2)
    assert any("AUTHENTICATION_FAILED" in text for text in net.a.errors())
    assert_joined(net, 0)


def test_tries_of_what_is_configured_no_more_come_to_an_end() -> None:
    net = Network(with_other("a", "", IMPATIENT), PLAIN)
    net.script = lambda line, nth, data: []
    net.start()
    net.run(TRIED)
    assert net.a.manager.retrying
    config = net.a.config
    config = config.model_copy(update={"connections": {"other": config.connections["other"]}})
    net.run_effects("a", net.a.manager.replace_config(config, net.now))
    net.ladder.clear()
    net.run(1000)
    assert not net.ladder
    assert not net.a.manager.retrying


def test_tries_end_where_nothing_is_to_be_up_any_more() -> None:
    net = Network(IMPATIENT, PLAIN)
    net.script = lambda line, nth, data: []
    net.start()
    net.run(TRIED)
    net.replace_config("a", replace(IMPATIENT, child=PLAIN.child))
    net.ladder.clear()
    net.run(1000)
    assert not net.ladder


def test_a_try_that_is_due_is_of_the_connection_as_it_is_now() -> None:
    net = Network(IMPATIENT, PLAIN)
    net.script = lambda line, nth, data: []
    net.start()
    net.run(TRIED)
    assert net.a.manager.retrying
    net.replace_config("a", replace(IMPATIENT, connection="dpd_delay = 50"))
    net.script = lambda line, nth, data: [0.01]
    net.run(200)
    assert only(net).connection.dpd_delay == 50
    assert_joined(net)


def test_a_slow_key_exchange_ends_by_the_new_configuration() -> None:
    net = Network(STARTED, PLAIN)

    def slowly(site: str, job: Compute) -> float:
        return 0.5

    net.thinking = slowly
    net.start()
    net.run(0.02)
    net.replace_config("b", replace(PLAIN, connection="dpd_delay = 50"))
    net.replace_config("a", replace(STARTED, connection="dpd_delay = 60"))
    net.run(20)
    assert only(net).connection.dpd_delay == 60
    assert only(net, "b").connection.dpd_delay == 50
    assert_joined(net)


def test_cookies_are_asked_for_by_the_new_limit() -> None:
    net = Network(PLAIN, PLAIN)
    net.replace_config("b", replace(PLAIN, daemon="cookie_threshold = 1"))
    net.command("a", Initiate("ab", "net"))
    net.run(0.015)
    net.replace_config("a", with_other("a"))
    net.command("a", Initiate("other", "net"))
    net.run(1)
    requests = [line for line in sent(net, "a") if "IKE_SA_INIT" in line]
    assert len(requests) == 3


def test_a_child_is_replaced_while_one_in_place_of_a_lost_one_comes_up() -> None:
    mirror = options(child='rekey_time = 0\nstart_action = "start"')
    net = established(mirror, PLAIN, second=False)
    net.command("a", ChildrenLost((child_id(net, "a", "net"),)))
    net.run(0.005)
    net.replace_config("a", replace(mirror, esp_proposals='["aes128gcm16", "aes256gcm16"]'))
    net.run(30)
    assert len(only(net).connection.children["net"].esp_proposals) == 2
    assert_joined(net)


@pytest.mark.parametrize("pause", [0.0, 0.005, 0.015, 0.025])
def test_a_child_is_replaced_while_it_is_rekeyed(pause: float) -> None:
    mirror = options(child='rekey_time = 0\nstart_action = "start"')
    net = established(mirror, PLAIN, second=False)
    net.command("a", Rekey(child="net"))
    net.run(pause)
    net.replace_config("a", replace(mirror, esp_proposals='["aes128gcm16", "aes256gcm16"]'))
    net.run(30)
    (child,) = only(net).children.values()
    assert len(child.config.esp_proposals) == 2
    assert_joined(net)
