"""A secret is replaced at both ends, in either order, while IKE_SAs come and go (RFC 7296 2.15)."""

from __future__ import annotations

from dataclasses import replace

import pytest

from ikepy.sa.api.commands import Initiate, Terminate

from .network import Network, Options, assert_joined

OLD = {
    "a": Options(child='close_action = "start"', daemon="old_secret_grace = 60"),
    "b": Options(daemon="old_secret_grace = 60"),
}
NEW = {name: replace(options, secret="battery staple") for name, options in OLD.items()}
GRACE = 60.0
FORMER = "authenticated by the former secret of [secrets.ike], which is accepted for a while only"
PRESENT = "authenticated by the new secret of [secrets.ike]"
REFUSED = "[secrets.ike]: the former secret is refused from now on"


def up() -> Network:
    """An IKE_SA that a has initiated, and initiates again if b ends it."""
    net = Network(OLD["a"], OLD["b"])
    net.command("a", Initiate("ab", "net"))
    net.run(0.5)
    assert_joined(net)
    return net


def texts(net: Network, name: str) -> list[str]:
    return [line.text for line in net.site(name).logs]


def authenticate_anew(net: Network) -> bool:
    """Whether the initiator's next set-up comes about, without another try."""
    net.command("a", Terminate(ike="ab"))
    net.run(0.5)
    net.command("a", Initiate("ab", "net", ticket=7))
    net.run(0.5)
    return net.a.outcomes.pop(7).ok


def said(net: Network, name: str, text: str) -> int:
    return sum(line.startswith(text) for line in texts(net, name))


def test_the_responder_changes_first() -> None:
    net = up()
    net.replace_config("b", NEW["b"])
    assert authenticate_anew(net)
    assert said(net, "b", FORMER) == 1
    net.replace_config("a", NEW["a"])
    assert authenticate_anew(net)
    assert said(net, "b", PRESENT) == 1
    assert said(net, "b", FORMER) == 1
    assert_joined(net)


def test_the_initiator_changes_first() -> None:
    """The responder knows the former secret alone: the next try of a set-up uses that."""
    net = up()
    net.replace_config("a", NEW["a"])
    net.command("b", Terminate(ike="ab"))
    net.run(20)
    assert said(net, "a", FORMER) == 1
    assert sum("AUTHENTICATION_FAILED" in text for text in texts(net, "b")) == 1
    assert_joined(net)
    net.replace_config("b", NEW["b"])
    assert authenticate_anew(net)
    assert said(net, "a", PRESENT) == 1
    assert_joined(net)


@pytest.mark.parametrize("first", ["a", "b"])
def test_no_packet_is_sent_for_a_change(first: str) -> None:
    net = up()
    before = len(net.ladder)
    for name in (first, "ab".replace(first, "")):
        net.replace_config(name, NEW[name])
    net.run(2 * GRACE)
    assert len(net.ladder) == before


def test_after_its_time_the_former_secret_is_refused() -> None:
    net = up()
    net.replace_config("b", NEW["b"])
    net.run(GRACE - 2)
    assert authenticate_anew(net)
    net.run(2)
    assert REFUSED in texts(net, "b")
    assert not authenticate_anew(net)
    assert any("the peer's is not the one of [secrets.ike]" in text for text in texts(net, "b"))


def test_without_a_time_it_is_refused_at_once() -> None:
    net = up()
    net.replace_config("b", replace(NEW["b"], daemon="old_secret_grace = 0"))
    assert not authenticate_anew(net)


def test_a_former_secret_is_refused_once_the_time_is_taken_away() -> None:
    """As after a leak that is known of later than the change."""
    net = up()
    net.replace_config("b", NEW["b"])
    assert authenticate_anew(net)
    net.replace_config("b", replace(NEW["b"], daemon="old_secret_grace = 0"))
    net.run(0.1)
    assert said(net, "b", REFUSED) == 1
    assert not authenticate_anew(net)


def test_a_shorter_time_holds_for_what_was_replaced_before_and_a_longer_one_does_not() -> None:
    net = up()
    net.replace_config("b", NEW["b"])
    net.replace_config("b", replace(NEW["b"], daemon="old_secret_grace = 20"))
    net.replace_config("b", replace(NEW["b"], daemon="old_secret_grace = 600"))
    net.run(15)
    assert authenticate_anew(net)
    net.run(10)
    assert said(net, "b", REFUSED) == 1
    assert not authenticate_anew(net)


def test_a_secret_that_changes_twice_and_back() -> None:
    """Either former one is accepted; the one that is the present one again is no former one."""
    net = up()
    net.replace_config("b", NEW["b"])
    net.replace_config("b", replace(OLD["b"], secret="a third secret"))
    assert authenticate_anew(net)
    net.replace_config("b", OLD["b"])
    assert authenticate_anew(net)
    net.run(GRACE + 1)
    assert authenticate_anew(net)
    net.replace_config("a", NEW["a"])
    assert not authenticate_anew(net)


def test_a_secret_that_is_removed_is_refused_at_once() -> None:
    net = up()
    config = net.b.config.model_copy(update={"secrets": {}})
    net.run_effects("b", net.b.manager.replace_config(config, net.now))
    assert not authenticate_anew(net)
    assert any("no [secrets] entry fits" in text for text in texts(net, "b"))


def test_a_secret_that_changes_during_a_set_up() -> None:
    """The initiator has proven itself by the former one already; the responder answers by the same."""
    net = Network(OLD["a"], OLD["b"])
    net.command("a", Initiate("ab", "net"))
    net.run(0.025)  # its IKE_AUTH request is under way
    net.replace_config("a", NEW["a"])
    net.run(1)
    assert said(net, "a", FORMER) == 1
    assert_joined(net)
