"""Requests of two ends that cross, in either order of arrival and with either winner, and a third on top.

Both ends begin in the same instant. The slow one's request, or response, takes five times as long. In the
second half a third request comes while it is not clear which of the two stays (RFC 7296 2.8.1, 2.8.2, 2.25).
"""

from __future__ import annotations

import itertools
from contextlib import nullcontext

import pytest

from ikepy.sa.api.commands import ChildrenLost, Initiate, Rekey, Terminate
from ikepy.sa.api.effects import Compute
from ikepy.sa.tasks.liveness import Liveness
from tests.key_exchanges import all_slow

from .network import DELAY, Network, Options, Script, assert_joined, deliver_all

SECOND = """
[connections.ab.children.second]
local_ts = ["10.9.0.0/24"]
remote_ts = ["10.9.0.0/24"]
esp_proposals = {esp}
rekey_time = 0
"""
SEEDS = ["one", "two", "three", "four"]  # nonces of which either end's are the lowest


def options(ike: str = "x25519", esp: str = "", daemon: str = "") -> Options:
    proposals = f'["aes128gcm16{esp}"]'
    return Options(
        proposals=f'["aes128gcm16-prfsha256-{ike}"]',
        esp_proposals=proposals,
        local_ts='["10.1.0.0/24"]',
        remote_ts='["10.1.0.0/24"]',
        connection="rekey_time = 0",
        child="rekey_time = 0",
        more=SECOND.format(esp=proposals),
        daemon=daemon,
    )


def established(a: Options, b: Options, seed: str) -> Network:
    net = Network(a, b, seed=seed)
    net.command("a", Initiate("ab", "net"))
    net.run(1)
    net.ladder.clear()
    return net


def slow(sender: str, kind: str) -> Script:
    """One end's requests, or responses, take longer."""
    return lambda line, nth, data: (
        [5 * DELAY] if line.startswith(f"{sender} -> ") and f" {kind} " in line else [DELAY]
    )


def check_liveness(net: Network, name: str) -> None:
    """Begin a liveness check now, which else the clock or an unprotected INVALID_SPI begins."""
    manager = net.site(name).manager
    for sa in manager.ike_sas:
        if sa.established:
            sa.enqueue(Liveness())
            net.run_effects(name, manager.proceed(sa, net.now))


def act(net: Network, name: str, action: str) -> None:
    match action:
        case "child rekey":
            net.command(name, Rekey(child="net"))
        case "IKE rekey":
            net.command(name, Rekey(ike="ab"))
        case "liveness":
            check_liveness(net, name)
        case "child create":
            net.command(name, Initiate("ab", "second"))
        case "child delete":
            net.command(name, Terminate(child="net"))
        case "IKE delete":
            net.command(name, Terminate(ike="ab"))
        case "reauthentication":
            net.command(name, Rekey(ike="ab", reauth=True))
        case "child lost":
            net.command(name, ChildrenLost(tuple(net.site(name).plane.inbound)))


ACTIONS = [
    "child rekey",
    "child create",
    "child delete",
    "child lost",
    "IKE rekey",
    "IKE delete",
    "reauthentication",
    "liveness",
]
PAIRS = list(itertools.combinations_with_replacement(ACTIONS, 2))


def assert_agreed(net: Network, actions: tuple[str, ...], note: str) -> None:
    """One IKE_SA and one child a policy, the same at both ends; nothing waits."""
    a, b = net.a.manager.ike_sas, net.b.manager.ike_sas
    note = f"{note}\n" + "\n".join(net.ladder)
    assert {(sa.spi_i, sa.spi_r) for sa in a} == {(sa.spi_i, sa.spi_r) for sa in b}, note
    # Whoever deletes an IKE_SA means those that stand: one that is being set up comes nevertheless.
    least, most = (0, 1) if "IKE delete" in actions else (1, 1)
    assert least <= len(a) <= most, note
    assert all(sa.quiet for sa in (*a, *b)), note
    for sas in (a, b):  # what `admission` counts by
        assert sum(len(sa.children) for sa in sas) == (sas[0].registry.count_children("ab") if sas else 0), (
            note
        )
    policies = sorted(out.child for out in net.a.plane.outbound.values())
    assert len(set(policies)) == len(policies), note
    assert_joined(net, len(policies), note)
    if "IKE delete" not in actions:
        remade = "child lost" in actions or "reauthentication" in actions  # perhaps after the delete
        if "child delete" not in actions or not remade:
            assert ("net" in policies) == ("child delete" not in actions), note
        assert ("second" in policies) == ("child create" in actions), note
    assert not net.a.plane.standby | net.b.plane.standby, note


@pytest.mark.parametrize("seed", SEEDS)
@pytest.mark.parametrize(("first", "second"), PAIRS, ids=str)
def test_two_that_cross(first: str, second: str, seed: str) -> None:
    for (one, other), sender, kind in itertools.product(
        {(first, second), (second, first)}, "ab", ("request", "response")
    ):
        net = established(options(), options(), seed)
        net.script = slow(sender, kind)
        act(net, "a", one)
        act(net, "b", other)
        net.run(200)
        assert_agreed(net, (one, other), f"a: {one}, b: {other}, {sender}'s {kind}s slow")


@pytest.mark.parametrize("seed", SEEDS)
@pytest.mark.parametrize("third", [action for action in ACTIONS if action != "child lost"])
@pytest.mark.parametrize("both", ["child rekey", "IKE rekey"])
def test_a_third_on_top_of_two_rekeys_that_cross(both: str, third: str, seed: str) -> None:
    """The third request comes when each end has the other's, or one has the other's response too."""
    for name, sender, kind, moment in itertools.product(
        "ab", "ab", ("request", "response"), (0.5, 1.5, 2.5, 5.5, 6.5)
    ):
        net = established(options(), options(), seed)
        net.script = slow(sender, kind)
        for site in "ab":
            act(net, site, both)
        net.run(moment * DELAY)
        act(net, name, third)
        net.run(200)
        note = f"{name}: {third} after {moment} delays, {sender}'s {kind}s slow"
        assert_agreed(net, (both, third), note)


GUESSES = {
    "a": (options("x25519-ecp256", "-x25519-ecp256"), options("ecp256", "-ecp256")),
    "b": (options("ecp256", "-ecp256"), options("x25519-ecp256", "-x25519-ecp256")),
}


@pytest.mark.parametrize("seed", SEEDS)
@pytest.mark.parametrize("wrong", ["a", "b"])
@pytest.mark.parametrize(("first", "second"), PAIRS, ids=str)
def test_two_that_cross_and_one_end_guesses_the_group_wrong(
    first: str, second: str, wrong: str, seed: str
) -> None:
    """INVALID_KE_PAYLOAD makes that end's request come a second time, later than the other's."""
    for one, other in {(first, second), (second, first)}:
        net = established(*GUESSES[wrong], seed)
        act(net, "a", one)
        act(net, "b", other)
        net.run(200)
        assert_agreed(net, (one, other), f"a: {one}, b: {other}, {wrong} guesses wrong")


@pytest.mark.parametrize("seed", SEEDS)
@pytest.mark.parametrize("other", ["child create", "child rekey", "child delete", "child lost"])
@pytest.mark.parametrize("who", ["a", "b"])
def test_a_rekey_that_is_refused_for_a_while_comes_nevertheless(who: str, other: str, seed: str) -> None:
    """TEMPORARY_FAILURE is waited out (RFC 7296 2.25): the IKE_SA is another one in the end."""
    net = established(options(), options(), seed)
    (before,) = net.a.manager.ike_sas
    act(net, who, "IKE rekey")
    act(net, "b" if who == "a" else "a", other)
    net.run(200)
    assert_agreed(net, ("IKE rekey", other), who)
    assert net.a.manager.ike_sas[0].spi_i != before.spi_i


@pytest.mark.parametrize("seed", SEEDS)
@pytest.mark.parametrize(("first", "other"), [("a", "b"), ("b", "a")])
@pytest.mark.parametrize(
    ("ike", "esp"), [("x25519-ke1_mlkem768", "-x25519-ke1_mlkem768"), ("x25519", "-x25519")]
)
def test_a_child_that_the_peer_may_have_discarded_is_not_sent_under(
    ike: str, esp: str, first: str, other: str, seed: str
) -> None:
    """Both ends create it at once. That of the first to ask takes longer, by an additional key exchange that
    is lost, or as the other end computes; if it is redundant, it was never installed there (RFC 7296 2.8.1).
    Its DELETE does not wait behind what gets no answer."""
    answered: list[str] = []
    asked: list[str] = []

    def script(line: str, nth: int, data: bytes) -> list[float]:
        if line.startswith(f"{first} -> {other} IKE_FOLLOWUP_KE request"):
            return [] if net.now < begin + 1 else [DELAY]
        if line.startswith(f"{other} -> {first} CREATE_CHILD_SA response"):
            answered.append(line)
            return [DELAY] if line == answered[0] else []
        return [DELAY]

    def thinking(site: str, job: Compute) -> float:
        asked.append(site)
        return 3.0 if site == other and asked.count(other) == 1 else 0.0

    with all_slow() if "mlkem" not in ike else nullcontext():
        net = established(options(ike, esp), options(ike, esp), seed)
        net.script, net.thinking, begin = script, thinking, net.now
        act(net, first, "child create")
        net.run(0.5)
        act(net, other, "child create")
        net.run(0.4)
        act(net, first, "child rekey")
        check_for_a_while(net, first, other)
    assert len(answered) > 2, "the rekey gets no answer"


@pytest.mark.parametrize("seed", SEEDS)
@pytest.mark.parametrize(("first", "other"), [("a", "b"), ("b", "a")])
@pytest.mark.parametrize("daemon", ["", "window_size = 4"])
def test_a_child_that_the_peer_has_discarded_is_told_of_before_all_else(
    daemon: str, first: str, other: str, seed: str
) -> None:
    """The first to ask is heard only when the other end's own child is up, so that only one of them knows of
    a collision (RFC 7296 2.8.1). What it asks for next tells that it has the response: its DELETE is that."""
    asked: list[str] = []  # by message ID
    unanswered: list[str] = []

    def script(line: str, nth: int, data: bytes) -> list[float]:
        if line.startswith(f"{first} -> {other} CREATE_CHILD_SA request") and net.now < begin + 1:
            asked.append(line.split()[5])
            return []
        if line.startswith(f"{other} -> {first} CREATE_CHILD_SA response") and line.split()[5] != asked[0]:
            unanswered.append(line)
            return []
        return [DELAY]

    both = options(daemon=daemon)
    net = established(both, both, seed)
    net.script, begin = script, net.now
    act(net, first, "child create")
    act(net, other, "child create")
    net.run(1)
    act(net, first, "child rekey")
    check_for_a_while(net, first, other)
    assert len(unanswered) > 1, "the rekey gets no answer"
    known = {one.spi for one in net.site(first).plane.inbound.values()}
    made = {one.spi for one in net.site(other).plane.outbound.values() if one.child == "second"}
    assert made <= known, "its DELETE waits for that answer"


def check_for_a_while(net: Network, receiver: str, sender: str) -> None:
    """What one end sends under, the other one has."""
    for _ in range(30):
        net.run(1)
        has = {one.spi for one in net.site(receiver).plane.inbound.values()}
        assert {one.spi for one in net.site(sender).plane.sending()} <= has


@pytest.mark.parametrize("action", ["child create", "child rekey"])
def test_no_child_comes_up_on_an_ike_sa_that_we_delete(action: str) -> None:
    """The peer's additional key exchange crosses our DELETE: it may have ended the IKE_SA by then, and would
    get what we send under the newest child (RFC 7296 2.25.2)."""
    both = options("x25519-ke1_mlkem768", "-x25519-ke1_mlkem768")
    net = established(both, both, "one")
    begin, before = net.now, set(net.b.plane.outbound)

    def script(line: str, nth: int, data: bytes) -> list[float]:
        early = line.startswith("a -> b IKE_FOLLOWUP_KE request") and net.now < begin + 0.5
        return [] if early or line.startswith("b -> a INFORMATIONAL request") else [DELAY]

    net.script = script
    act(net, "a", action)
    net.run(0.3)
    net.command("b", Terminate(ike="ab"))
    net.run(6)
    assert any(line.startswith("b -> a IKE_FOLLOWUP_KE response") for line in net.ladder)
    assert set(net.b.plane.outbound) == before
    assert set(net.a.plane.outbound) == before
    net.script = deliver_all
    net.run(30)
    assert not net.a.plane.outbound and not net.b.plane.outbound
