"""Another configuration in the middle of set-ups, rekeys, deletes and tries."""

from __future__ import annotations

from dataclasses import replace

import pytest

from ikepy.sa.api.commands import ChildrenLost, Initiate, LocalAddressesChanged, Rekey, Terminate
from ikepy.sa.api.effects import Compute

from .network import ADDRESS_A, DELAY, Network, assert_joined, deliver_all
from .reconfigured import (
    ANEW,
    IMPATIENT,
    PLAIN,
    STARTED,
    TRIED,
    WITHOUT_SECOND,
    child_of,
    only,
    sent,
    with_other,
)
from .test_mobike import SECOND_A
from .two_children import child_id, established, ike_sas, late, options, policies


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


@pytest.mark.parametrize("then", ["address gone", "no answer", "refused", "redirected"])
def test_the_only_child_is_removed_during_ike_auth_that_comes_to_nothing(then: str) -> None:
    """The IKE_SA itself stays configured, but has nothing left to be set up again for."""
    a = replace(
        PLAIN,
        connection='mobike = false\nkeyingtries = 0\nredirect = "follow"',
        local_addrs=f'["{ADDRESS_A}", "{SECOND_A}"]',
        daemon="retransmit_timeout = 1\nretransmit_tries = 1",
    )
    b = replace(PLAIN, connection=f'redirect_to = "{SECOND_A}"' if then == "redirected" else "")
    net = Network(a, replace(b, secret="another") if then == "refused" else b)
    net.script = lambda line, nth, data: [] if then == "no answer" and "AUTH response" in line else [DELAY]
    net.command("a", Initiate("ab", "second", ticket=3))
    net.run(2.5 * DELAY)
    assert net.ladder[-1] == "a -> b IKE_AUTH request 1"
    net.ladder.clear()
    net.replace_config("a", replace(a, more=""))
    if then == "address gone":
        net.gone.add(ADDRESS_A)
        net.a.address = SECOND_A
        net.command("a", LocalAddressesChanged((SECOND_A,)))
    net.run(200)
    assert not any("IKE_SA_INIT" in line for line in sent(net, "a"))
    assert not net.a.manager.retrying
    assert not ike_sas(net, "a")
    assert not net.a.outcomes[3].ok


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


def test_a_lost_child_that_waits_for_its_turn_is_replaced_by_one_of_the_new_configuration() -> None:
    """The delete of the outdated child must not follow to the one that takes its place."""
    mirror = options(child='rekey_time = 0\nstart_action = "start"')
    net = established(mirror, PLAIN)
    net.command("a", Rekey(child="second"))
    net.command("a", ChildrenLost((child_id(net, "a", "net"),)))
    net.replace_config("a", replace(mirror, esp_proposals='["aes128gcm16", "aes256gcm16"]'))
    net.run(30)
    assert policies(net, "a") == policies(net, "b") == ["net", "second"]
    assert len(child_of(net, "net").config.esp_proposals) == 2
    assert_joined(net, 2)


def test_a_lost_child_is_replaced_that_was_not_configured_for_a_while() -> None:
    """Its replacement's turn came meanwhile, its deletion's did not."""
    net = established(PLAIN, PLAIN)
    net.command("a", Rekey(child="net"))
    net.command("a", ChildrenLost((child_id(net, "a", "second"),)))
    net.command("a", Rekey(ike="ab"))
    net.replace_config("a", WITHOUT_SECOND)
    net.run(0.025)
    net.replace_config("a", PLAIN)
    net.run(60)
    assert policies(net, "a") == policies(net, "b") == ["net", "second"]
    assert not child_of(net, "second").lost
    assert_joined(net, 2)


@pytest.mark.parametrize("pause", [0.005, 0.015, 0.025, 0.035, 0.045, 0.055, 0.065])
def test_a_configuration_is_taken_back_while_a_lost_child_is_replaced_on_its_terms(pause: float) -> None:
    """Also while the lost child is being deleted: that is not the end of the one in its place."""
    mirror = options(child='rekey_time = 0\nstart_action = "start"')
    net = established(mirror, PLAIN)
    net.command("a", Rekey(child="second"))
    net.command("a", ChildrenLost((child_id(net, "a", "net"),)))
    net.replace_config("a", replace(mirror, esp_proposals='["aes128gcm16", "aes256gcm16"]'))
    net.run(pause)
    net.replace_config("a", mirror)
    net.run(60)
    child = child_of(net, "net")
    assert not child.lost
    assert child.config is only(net).connection.children["net"]
    assert_joined(net, 2)


@pytest.mark.parametrize("lost", [False, True])
@pytest.mark.parametrize("times", [2, 3])
def test_a_configuration_is_taken_back_before_the_child_is_deleted(times: int, lost: bool) -> None:
    mirror = options(child='rekey_time = 0\nstart_action = "start"')
    other = replace(mirror, esp_proposals='["aes128gcm16", "aes256gcm16"]')
    net = established(mirror, PLAIN)
    before = child_of(net, "net").child_id
    if lost:
        net.command("a", ChildrenLost((before,)))
    net.command("a", Rekey(child="second"))
    for number in range(times):
        net.replace_config("a", mirror if number % 2 else other)
    net.run(30)
    assert policies(net, "a") == policies(net, "b") == ["net", "second"]
    child = child_of(net, "net")
    assert len(child.config.esp_proposals) == (1 if times == 2 else 2)
    assert (child.child_id == before) == (times == 2 and not lost)
    assert_joined(net, 2)


def test_a_reauthentication_that_fails_is_tried_again_if_the_old_ike_sa_goes_as_well() -> None:
    net = established(IMPATIENT, PLAIN, second=False)
    lost = ("a -> b IKE_AUTH request 1", "a -> b CREATE_CHILD_SA request 2")
    net.script = lambda sent, nth, data: [] if sent in lost and nth == 0 else [DELAY]
    net.command("a", Rekey(ike="ab", reauth=True))
    net.run(0.03)
    net.command("a", Rekey(child="net"))  # the delete of the old one waits for its answer
    net.run(0.01)
    net.replace_config("a", replace(IMPATIENT, proposals='["aes256gcm16-prfsha256-x25519"]'))
    net.replace_config("a", IMPATIENT)
    net.run(60)
    assert policies(net, "a") == ["net"]
    assert_joined(net)


def test_who_waits_for_a_child_that_is_removed_is_told_though_another_is_to_be_replaced() -> None:
    """The replacement of the lost one goes with that, and tells nobody anything."""
    net = established(PLAIN, PLAIN)
    net.script = lambda line, nth, data: [] if line.startswith("b -> a INFORMATIONAL response") else [DELAY]
    net.command("a", Terminate(child="second", ticket=5))
    net.run(0.2)
    net.command("a", Initiate("ab", "second", ticket=7))
    net.command("b", Initiate("ab", "second"))
    net.run(0.2)
    newer = max(only(net).children)
    net.replace_config("a", WITHOUT_SECOND)
    net.command("a", ChildrenLost((newer,)))
    net.script = deliver_all
    net.run(30)
    assert policies(net, "a") == policies(net, "b") == ["net"]
    assert net.a.outcomes[5].ok
    assert not net.a.outcomes[7].ok


def test_a_set_up_whose_only_child_is_removed_and_then_terminated_ends_at_once() -> None:
    """By the removal alone it may not: the peer may have established it."""
    net = Network(options(), options())
    net.script = lambda line, nth, data: [] if line.startswith("b -> a IKE_AUTH response") else [DELAY]
    net.command("a", Initiate("ab", "second", ticket=7))
    net.run(1)
    net.replace_config("a", WITHOUT_SECOND)
    assert ike_sas(net, "a")
    net.command("a", Terminate(child="second", ticket=8))
    assert not ike_sas(net, "a")
    assert net.a.outcomes.keys() == {7, 8}
