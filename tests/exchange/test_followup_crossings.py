"""Requests of two ends that cross, where each rekey goes on in IKE_FOLLOWUP_KE (RFC 9370 2.2.4).

As in `test_crossings`, of which this takes the actions and what both ends must agree on in the end.
"""

from __future__ import annotations

import itertools
from collections.abc import Callable

import pytest

from ikepy.sa.api.effects import Compute
from tests.key_exchanges import all_slow

from .network import DELAY, Network
from .test_crossings import ACTIONS, PAIRS, SEEDS, act, assert_agreed, established, options, slow

WITH_KEM = options("x25519-ke1_mlkem768", "-x25519-ke1_mlkem768")


def crossing(seed: str) -> Network:
    return established(WITH_KEM, WITH_KEM, seed)


@pytest.mark.parametrize("seed", SEEDS[:2])
@pytest.mark.parametrize(("first", "second"), PAIRS, ids=str)
def test_two_that_cross(first: str, second: str, seed: str) -> None:
    for (one, other), sender, kind in itertools.product(
        sorted({(first, second), (second, first)}), "ab", ("request", "response")
    ):
        net = crossing(seed)
        net.script = slow(sender, kind)
        act(net, "a", one)
        act(net, "b", other)
        net.run(200)
        assert_agreed(net, (one, other), f"a: {one}, b: {other}, {sender}'s {kind}s slow")


@pytest.mark.parametrize("seed", SEEDS[:2])
@pytest.mark.parametrize("later", ["a", "b"])
@pytest.mark.parametrize("both", ["child rekey", "child create", "IKE rekey"])
def test_the_later_one_comes_at_any_moment(both: str, later: str, seed: str) -> None:
    """Before, between and after the exchanges of the earlier one."""
    earlier = "b" if later == "a" else "a"
    for halves, sender, kind in itertools.product(range(1, 16), "ab", ("request", "response", "")):
        net = crossing(seed)
        if kind:
            net.script = slow(sender, kind)
        act(net, earlier, both)
        net.run(halves * DELAY / 2)
        act(net, later, both)
        net.run(200)
        assert_agreed(net, (both,), f"{later} {halves / 2} delays later, {sender}'s {kind}s slow")


@pytest.mark.parametrize("seed", SEEDS[2:3])
@pytest.mark.parametrize("third", [action for action in ACTIONS if action != "child lost"])
@pytest.mark.parametrize("both", ["child rekey", "IKE rekey"])
def test_a_third_on_top_of_two_rekeys_that_cross(both: str, third: str, seed: str) -> None:
    for name, sender, kind, moment in itertools.product("ab", "ab", ("request", "response"), (1.5, 3.5, 6.5)):
        net = crossing(seed)
        net.script = slow(sender, kind)
        for site in "ab":
            act(net, site, both)
        net.run(moment * DELAY)
        act(net, name, third)
        net.run(200)
        note = f"{name}: {third} after {moment} delays, {sender}'s {kind}s slow"
        assert_agreed(net, (both, third), note)


def slow_at(site: str, nth: int) -> Callable[[str, Compute], float]:
    """One of a site's jobs takes long."""
    jobs = itertools.count()
    return lambda name, job: 20 * DELAY if name == site and next(jobs) == nth else 0.0


@pytest.mark.parametrize("later", [0, 0.5, 1.5, 2.5, 3.5, 4.5])
@pytest.mark.parametrize("thinker", ["a", "b"])
def test_one_end_computes_for_long(thinker: str, later: float) -> None:
    """A rekey that is midway when the peer's has replaced the IKE_SA ends with it."""
    for nth, sender, kind in itertools.product(range(8), "ab", ("request", "response", "")):
        with all_slow():
            net = crossing("thinker")
            net.thinking = slow_at(thinker, nth)
            if kind:
                net.script = slow(sender, kind)
            act(net, "a", "IKE rekey")
            net.run(later * DELAY)
            act(net, "b", "IKE rekey")
            net.run(200)
        note = f"b {later} delays later, {sender}'s {kind}s slow, {thinker} takes long for job {nth}"
        assert_agreed(net, ("IKE rekey",), note)


@pytest.mark.parametrize("seed", SEEDS[:3])
@pytest.mark.parametrize("name", ["a", "b"])
@pytest.mark.parametrize("third", ["child delete", "child lost"])
def test_a_delete_waits_until_the_peer_has_rekeyed_the_ike_sa(third: str, name: str, seed: str) -> None:
    """The end whose own rekey has lost wants to delete a child. The peer's rekey would be refused for it, and
    after that there would be the old IKE_SA, or none at all (RFC 7296 2.25.2)."""
    peer = "b" if name == "a" else "a"

    def script(line: str, nth: int, data: bytes) -> list[float]:
        followup = line.startswith(f"{peer} -> {name} IKE_FOLLOWUP_KE request")
        return [(6 if followup else 20 if " INFORMATIONAL response" in line else 1) * DELAY]

    for halves in range(12):
        net = crossing(seed)
        (before,) = net.a.manager.ike_sas
        net.script = script
        act(net, name, "IKE rekey")
        act(net, name, third)
        net.run(halves * DELAY / 2)
        act(net, peer, "IKE rekey")
        net.run(200)
        note = f"{name}: {third}, {peer} {halves / 2} delays later"
        assert_agreed(net, ("IKE rekey", third), note)
        assert net.a.manager.ike_sas[0].spi_i != before.spi_i, note


@pytest.mark.parametrize("third", ["child delete", "child create", "child rekey"])
def test_the_ike_sa_is_deleted_at_once_while_a_task_of_a_child_waits_for_its_rekey(third: str) -> None:
    net = crossing("one")
    net.script = lambda line, nth, data: [] if "IKE_FOLLOWUP_KE request" in line else [DELAY]
    act(net, "b", "IKE rekey")
    net.run(2 * DELAY)
    act(net, "a", third)
    act(net, "a", "IKE delete")
    net.run(4 * DELAY)
    assert not net.a.manager.ike_sas
