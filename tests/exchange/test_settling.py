"""IKE rekeys that cross, and ours stays: the old IKE_SA is deleted behind what the peer deletes (2.25.2).

    a -> b CREATE_CHILD_SA request 2 (IKE_SA)
    b -> a CREATE_CHILD_SA request 0 (IKE_SA)
    a -> b CREATE_CHILD_SA response 0
    b -> a CREATE_CHILD_SA response 2
    b -> a INFORMATIONAL request 0 (D)        of what b's rekey made
    a -> b INFORMATIONAL response 0
    a -> b INFORMATIONAL request 3 (D)        of the old one
    b -> a INFORMATIONAL response 3

A delete that overtook a's response would make b forget its rekey, and the IKE_SA that this made stay with a.
"""

from __future__ import annotations

import pytest

from ikepy.sa.tasks.ike_rekey import SETTLING, IkeRekey

from .network import DELAY, Network, assert_joined
from .test_established import do
from .two_children import SEEDS, established, ike_sas, late, options


def crossed(seed: str) -> tuple[Network, str, str]:
    """Both ends have asked; the winner, by the nonces, and the loser."""
    probe = both_ask(seed)
    probe.run(10)
    lost = [name for name in "ab" if any("both ends rekeyed" in log.text for log in probe.site(name).logs)]
    (loser,) = lost
    return both_ask(seed), "a" if loser == "b" else "b", loser


def both_ask(seed: str) -> Network:
    net = established(options(), options(), second=False, seed=seed)
    for name in "ab":
        do(net, name, IkeRekey())
    return net


@pytest.mark.parametrize("seed", SEEDS)
def test_the_delete_comes_behind_the_peers(seed: str) -> None:
    net, winner, loser = crossed(seed)
    net.run(0.5)
    deletes = [line for line in net.ladder if "INFORMATIONAL request" in line]
    assert [line[0] for line in deletes] == [loser, winner]
    assert len(ike_sas(net, "a")) == len(ike_sas(net, "b")) == 1
    assert_joined(net)


@pytest.mark.parametrize("seed", SEEDS)
def test_it_waits_for_a_second_at_most(seed: str) -> None:
    """The peer's delete is late: ours comes nevertheless, and both are gone in the end."""
    net, winner, loser = crossed(seed)
    net.script = late(f"{loser} -> {winner} INFORMATIONAL request 0", 3.0)
    net.run(2 * DELAY)
    begin = net.now
    ours = f"{winner} -> {loser} INFORMATIONAL request"
    net.run(SETTLING - 0.1)
    assert not any(line.startswith(ours) for line in net.ladder)
    net.run(0.2)
    assert any(line.startswith(ours) for line in net.ladder)
    assert net.now - begin < 1.2
    net.run(10)
    assert len(ike_sas(net, "a")) == len(ike_sas(net, "b")) == 1
    assert_joined(net)


@pytest.mark.parametrize("seed", SEEDS)
def test_a_peer_that_was_faster_is_not_waited_for(seed: str) -> None:
    """Its delete comes before its response: there is nothing to wait for."""
    net, winner, loser = crossed(seed)
    net.script = late(f"{loser} -> {winner} CREATE_CHILD_SA response {2 if winner == 'a' else 0}", 0.5)
    net.run(0.55)
    assert any(line.startswith(f"{winner} -> {loser} INFORMATIONAL request") for line in net.ladder)
    net.run(1)
    assert len(ike_sas(net, "a")) == len(ike_sas(net, "b")) == 1
    assert_joined(net)
