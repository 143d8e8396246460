"""Another configuration while IKE_SAs stand, are being set up, rekeyed or deleted."""

from __future__ import annotations

from dataclasses import replace

import pytest

from ikepy.sa.api.commands import Initiate, Rekey
from ikepy.sa.api.effects import Send

from .network import Network, assert_joined, lose
from .reconfigured import ANEW, DELETED, PLAIN, STARTED, WITHOUT_SECOND, child_of, only, spis, with_other
from .two_children import child_id, established, ike_sas, options, policies

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
    net.replace_config("b", replace(PLAIN, secret="wrong", daemon="old_secret_grace = 0"))
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
