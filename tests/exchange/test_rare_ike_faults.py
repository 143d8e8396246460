"""Schedules of IKE_SAs that the simulation found: a policy had no child, or two (RFC 7296 2.8, 2.25).

Every test begins with its ladder; "x" is what is late or lost.
"""

from __future__ import annotations

from dataclasses import replace

import pytest

from ikepy.sa.api.commands import Rekey, Terminate
from ikepy.sa.message import fragments
from ikepy.sa.tasks.ike_rekey import IkeRekey
from ikepy.wire.constants import ExchangeType, HeaderFlag
from ikepy.wire.message import IkeHeader
from ikepy.wire.payloads import Payload

from .network import ADDRESS_A, DELAY, Network, assert_joined
from .test_established import ike_sa
from .test_mobike import SECOND_A, children_at, has, path, set_up
from .two_children import AGAIN, NONCE, SEEDS, established, ike_sas, late, options, policies

# -- nonsense from the peer -----------------------------------------------------------------------


def rekey_with_nonsense(net: Network, kind: str, nonsense: list[Payload]) -> None:
    """Both ends rekey; a hears nonsense where b's response should be, or in b's next request."""
    net.script = lambda line, nth, data: [] if line == "b -> a CREATE_CHILD_SA response 3" else [DELAY]
    old_a, old_b = ike_sa(net, "a"), ike_sa(net, "b")
    for name in "ab":
        net.command(name, Rekey(ike="ab"))
    net.run(1.5 * DELAY)
    flags, message_id = (HeaderFlag.RESPONSE, 3) if kind == "response" else (HeaderFlag(0), 1)
    header = IkeHeader(old_a.spi_i, old_a.spi_r, ExchangeType.CREATE_CHILD_SA, flags, message_id)
    (data,) = fragments.seal(header, nonsense, old_b.keys.cipher_out, old_b.registry.entropy.random, None)
    net.inject("a", old_a.path, data)
    net.run(200)


def test_nonsense_instead_of_the_ike_sa_that_was_to_stay() -> None:
    """For b ours stays, which a can't have: what `close_action` names is set up anew.

    a -> b CREATE_CHILD_SA request 3 (IKE_SA)
    b -> a CREATE_CHILD_SA request 0 (IKE_SA)
    b -> a CREATE_CHILD_SA response 3             x; nonsense instead
    a -> b CREATE_CHILD_SA response 0
    b -> a INFORMATIONAL request 0 (D)            of what b's rekey made
    a -> b INFORMATIONAL response 0
    a -> b IKE_SA_INIT request 0
    ...
    """
    net = established(options("rekey_time = 0\n" + AGAIN, "rekey_time = 0\n" + AGAIN), options(), seed="two")
    rekey_with_nonsense(net, "response", [NONCE])
    assert net.ladder[3:7] == [
        "a -> b CREATE_CHILD_SA response 0",
        "b -> a INFORMATIONAL request 0",
        "a -> b INFORMATIONAL response 0",
        "a -> b IKE_SA_INIT request 0",
    ]
    assert len(ike_sas(net, "a")) == len(ike_sas(net, "b")) == 1
    assert_joined(net, 2)


@pytest.mark.parametrize("kind", ["response", "request"])
@pytest.mark.parametrize("nonsense", [[NONCE], [NONCE, NONCE]], ids=["incomplete", "malformed"])
def test_nonsense_while_both_ends_rekey_the_ike_sa(kind: str, nonsense: list[Payload]) -> None:
    """The IKE_SA of the peer's rekey is the one that stays, as if ours had been refused (2.8.2, 2.21.3).

    a -> b CREATE_CHILD_SA request 3 (IKE_SA)
    b -> a CREATE_CHILD_SA request 0 (IKE_SA)
    b -> a CREATE_CHILD_SA response 3             x; nonsense instead, there or in b's next request
    a -> b CREATE_CHILD_SA response 0
    a -> b CREATE_CHILD_SA response 1             INVALID_SYNTAX, if it was a request
    b -> a INFORMATIONAL request 1 (D)
    a -> b INFORMATIONAL response 1
    """
    net = established(options(), options(), seed="one")
    rekey_with_nonsense(net, kind, nonsense)
    refused = ["a -> b CREATE_CHILD_SA response 1"] if kind == "request" else []
    assert list(dict.fromkeys(net.ladder)) == [
        "a -> b CREATE_CHILD_SA request 3",
        "b -> a CREATE_CHILD_SA request 0",
        "b -> a CREATE_CHILD_SA response 3",
        "a -> b CREATE_CHILD_SA response 0",
        *refused,
        "b -> a INFORMATIONAL request 1",
        "a -> b INFORMATIONAL response 1",
    ]
    (a,), (b,) = ike_sas(net, "a"), ike_sas(net, "b")
    assert (a.spi_i, a.initiator) == (b.spi_i, False)
    assert_joined(net, 2)


# -- moving ----------------------------------------------------------------------------------------


@pytest.mark.parametrize("lost", ["b -> a INFORMATIONAL request 0", "b -> a INFORMATIONAL response 2"])
def test_the_ike_sa_is_rekeyed_while_a_path_is_checked(lost: str) -> None:
    """The children follow on the new IKE_SA.

    a -> b INFORMATIONAL request 2 (UPDATE_SA_ADDRESSES)
    b -> a INFORMATIONAL response 2                        x
    b -> a INFORMATIONAL request 0 (COOKIE2)               or x
    {a|b} CREATE_CHILD_SA (IKE_SA)
    """
    net = set_up()
    net.script = late(lost, 0.5)
    has(net, "a", SECOND_A, gone=[ADDRESS_A])
    net.run(1.5 * DELAY)
    net.command("a" if "request" in lost else "b", Rekey(ike="ab"))
    net.run(30)
    (a,), (b,) = ike_sas(net, "a"), ike_sas(net, "b")
    assert (a.path.local.address, b.path.remote.address) == (SECOND_A, SECOND_A)
    assert children_at(net, "a") == a.path
    assert children_at(net, "b") == path(b.path.local.address, SECOND_A)
    assert_joined(net)


# -- a rekey while two others cross ---------------------------------------------------------------


@pytest.mark.parametrize("seed", SEEDS)
@pytest.mark.parametrize("sender", ["a", "b"])
def test_an_ike_sa_whose_stay_is_open_is_rekeyed(sender: str, seed: str) -> None:
    """The children come along whichever of the three stays.

    a -> b CREATE_CHILD_SA request (IKE_SA), b -> a CREATE_CHILD_SA request (IKE_SA), one of them late
    then the end which knows of both rekeys the one that the other has made
    """
    net = established(options(), options(), seed=seed)
    other = "b" if sender == "a" else "a"
    net.script = lambda line, nth, data: (
        [0.5] if line.startswith(f"{sender} -> ") and "CREATE_CHILD_SA" in line and not nth else [DELAY]
    )
    for name in "ab":
        net.command(name, Rekey(ike="ab"))
    net.run(3 * DELAY)
    for name in (sender, other):
        manager = net.site(name).manager
        fresh = manager.ike_sas[-1]
        fresh.enqueue(IkeRekey())
        net.run_effects(name, manager.proceed(fresh, net.now))
    net.run(200)
    assert len(ike_sas(net, "a")) == len(ike_sas(net, "b")) == 1, "\n".join(net.ladder)
    assert_joined(net, 2, "\n".join(net.ladder))


# -- what is told ----------------------------------------------------------------------------------


def test_the_peers_rekey_of_the_ike_sa_is_over_before_ours_is_answered() -> None:
    """Who asked is told that it is done, as it is.

    a -> b CREATE_CHILD_SA request 2      x
    b -> a CREATE_CHILD_SA request 0
    a -> b CREATE_CHILD_SA response 0
    b -> a INFORMATIONAL request 1 (D)
    a -> b INFORMATIONAL response 1
    """
    net = established(options(), options(), second=False)
    net.script = late("a -> b CREATE_CHILD_SA request 2", 1.0)
    net.command("a", Rekey(ike="ab", ticket=7))
    net.command("b", Rekey(ike="ab"))
    net.run(10)
    assert net.ladder[:5] == [
        "a -> b CREATE_CHILD_SA request 2",
        "b -> a CREATE_CHILD_SA request 0",
        "a -> b CREATE_CHILD_SA response 0",
        "b -> a INFORMATIONAL request 1",
        "a -> b INFORMATIONAL response 1",
    ]
    assert net.site("a").outcomes[7].ok
    assert_joined(net)


# -- loss until the end -----------------------------------------------------------------------------


@pytest.mark.parametrize("seed", SEEDS)
def test_our_rekey_of_the_ike_sa_gets_through_never_and_the_peers_late(seed: str) -> None:
    """b gives the old IKE_SA up; the new one, which it made for a, gets the children, as it does at a.

    b -> a CREATE_CHILD_SA request 0              x, always
    a -> b CREATE_CHILD_SA request 2
    b -> a CREATE_CHILD_SA response 2             x, until b has given up
    """
    net = established(options(), options(), second=False, seed=seed)
    (old,) = (one.ike_id for one in ike_sas(net, "b"))

    def script(sent: str, nth: int, data: bytes) -> list[float]:
        lost = sent == "b -> a CREATE_CHILD_SA response 2" and net.b.manager.find(old) is not None
        return [] if lost or sent == "b -> a CREATE_CHILD_SA request 0" else [DELAY]

    net.script = script
    net.command("b", Rekey(ike="ab"))
    net.run(100)
    net.command("a", Rekey(ike="ab"))
    net.run(400)
    assert net.b.manager.find(old) is None
    assert_joined(net)


# -- giving up -------------------------------------------------------------------------------------


@pytest.mark.parametrize("gone", [False, True])
def test_our_rekey_of_the_ike_sa_stays_unanswered_after_the_peers(gone: bool) -> None:
    """The children are where b has them; and if b is gone, that shows there.

    a -> b CREATE_CHILD_SA request 2      x, time and again
    b -> a CREATE_CHILD_SA request 0
    a -> b CREATE_CHILD_SA response 0
    b -> a INFORMATIONAL request 1 (D)    x, time and again
    a -> b INFORMATIONAL request 0        on the IKE_SA of b's rekey
    """
    net = established(options(), options(), second=False)
    lost = ["a -> b CREATE_CHILD_SA request 2", "b -> a INFORMATIONAL request 1"]
    if gone:
        lost += ["a -> b INFORMATIONAL request 0"]
    net.script = lambda line, nth, data: [] if line in lost else [DELAY]
    net.command("a", Rekey(ike="ab", ticket=7))
    net.command("b", Rekey(ike="ab"))
    net.run(170)
    assert [line for n, line in enumerate(net.ladder) if line not in net.ladder[:n]] == [
        "a -> b CREATE_CHILD_SA request 2",
        "b -> a CREATE_CHILD_SA request 0",
        "a -> b CREATE_CHILD_SA response 0",
        "b -> a INFORMATIONAL request 1",
        "a -> b INFORMATIONAL request 0",
        *([] if gone else ["b -> a INFORMATIONAL response 0"]),
    ]
    assert net.a.outcomes[7].ok
    assert_joined(net)
    net.run(170)
    assert policies(net, "a") == ([] if gone else ["net"])


# -- an end by force while rekeys cross ------------------------------------------------------------


@pytest.mark.parametrize("by_number", [False, True])
def test_an_ike_sa_that_both_ends_rekey_is_ended_by_force(by_number: bool) -> None:
    """What b's rekey made goes with it: else it would stand without the children that b has on it.

    a -> b CREATE_CHILD_SA request 2 (IKE_SA)      x
    b -> a CREATE_CHILD_SA request 0 (IKE_SA)
    a -> b CREATE_CHILD_SA response 0
    b -> a INFORMATIONAL request 1 (D)             x
    """
    net = established(options(), options(), second=False)
    net.script = lambda line, nth, data: (
        [] if line in ("a -> b CREATE_CHILD_SA request 2", "b -> a INFORMATIONAL request 1") else [DELAY]
    )
    net.command("a", Rekey(ike="ab"))
    net.command("b", Rekey(ike="ab"))
    net.run(5 * DELAY)
    assert net.ladder == [
        "a -> b CREATE_CHILD_SA request 2",
        "b -> a CREATE_CHILD_SA request 0",
        "a -> b CREATE_CHILD_SA response 0",
        "b -> a INFORMATIONAL request 1",
    ]
    old, new = ike_sas(net, "a")
    assert old.children and not new.children
    which = Terminate(ike_id=old.ike_id) if by_number else Terminate(ike="ab")
    net.command("a", replace(which, force=True, ticket=7))
    assert net.a.outcomes[7].ok
    assert not ike_sas(net, "a")
    assert not net.a.plane.outbound
