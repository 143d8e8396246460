"""A job that raises what nobody foresaw, as a library may: its IKE_SA alone ends, and whoever waits is told.

The machine lets it through, with its traceback, and says whose it was (`IkeManager.ticking`); the daemon's
edge then ends that IKE_SA (`EffectsRunner`), which is done here by hand.
"""

from __future__ import annotations

from dataclasses import replace

import pytest

from ikepy.errors import LocalMisuse
from ikepy.sa.api.commands import Command, Initiate, Rekey, Terminate
from ikepy.sa.api.effects import Compute
from ikepy.sa.api.ends import End
from ikepy.sa.api.events import IkeDown, IkeSetUpFailed

from .methods import Signature
from .network import Network, Options, assert_joined
from .test_authenticators import assert_nothing_left
from .test_computing import SLOW, done, held_back, taking, up
from .test_established import ike_sa

SET_UP = Initiate("ab", "net", ticket=1)
ONCE = Options(connection="keyingtries = 1\ndpd_delay = 10\n")
LONG = 400.0  # seconds: longer than all retransmissions, and than any half-open IKE_SA lives
EACH_FAULT = pytest.mark.parametrize(
    "fault",
    [ValueError("of a library"), MemoryError(), LocalMisuse("ours"), RuntimeError("PanicException()")],
    ids=lambda fault: type(fault).__name__,
)


def stumble(net: Network, at: str, job: Compute, fault: Exception) -> None:
    """The job raises `fault`, and the daemon's edge has caught it."""
    manager = net.site(at).manager
    with pytest.raises(type(fault)) as raised:
        manager.complete(job.ticket, fault, net.now)
    assert raised.value is fault
    assert manager.ticking is not None
    net.command(at, Terminate(ike_id=manager.ticking, force=True, fault=True))


def stopped(net: Network, command: Command, at: str, number: int) -> Compute:
    """Give a the command, and run until this site waits for its job of this number, from 0."""
    jobs = held_back(net, at)
    net.command("a", command)
    for nth in range(number + 1):
        net.run(1)
        assert len(jobs) == nth + 1
        if nth < number:
            done(net, at, jobs[nth])
    return jobs[number]


@EACH_FAULT
@pytest.mark.parametrize("number", [0, 1], ids=["first", "second"])
@pytest.mark.parametrize("at", ["a", "b"])
def test_in_authentication(at: str, number: int, fault: Exception) -> None:
    """a signs, then verifies; b the other way round. The other end finds that nobody answers."""
    net = Network(ONCE, ONCE, methods=(Signature(), Signature()))
    stumble(net, at, stopped(net, SET_UP, at, number), fault)
    site = net.site(at)
    assert site.manager.idle
    (failed,) = [event for event in site.events if isinstance(event, IkeSetUpFailed)]
    assert failed.end is End.FAULT
    assert End.FAULT.value in failed.text
    assert at == "b" or not net.a.outcomes[1].ok
    net.run(LONG)
    assert not net.a.outcomes[1].ok
    assert_nothing_left(net)


@pytest.mark.parametrize("number", [0, 1], ids=["first", "second"])
@pytest.mark.parametrize("at", ["a", "b"])
def test_the_next_try_goes_through(at: str, number: int) -> None:
    always = Options(connection="keyingtries = 0\n")
    net = Network(always, always, methods=(Signature(), Signature()))
    stumble(net, at, stopped(net, SET_UP, at, number), ValueError("of a library"))
    net.thinking = taking(0.0)
    net.run(LONG)
    assert_joined(net)


@pytest.mark.parametrize(("at", "number"), [("a", 0), ("a", 1), ("b", 0)])
def test_in_the_first_key_exchange(at: str, number: int) -> None:
    net = Network(Options(proposals=SLOW.proposals, connection="keyingtries = 1\n"))
    stumble(net, at, stopped(net, SET_UP, at, number), ValueError("of a library"))
    assert net.site(at).manager.idle
    assert at == "b" or not net.a.outcomes[1].ok
    net.thinking = taking(0.0)
    net.run(LONG)
    if at == "a":
        assert_nothing_left(net)
    else:
        assert_joined(net)  # a asked again


@pytest.mark.parametrize(
    "command", [Rekey(child="net", ticket=2), Rekey(ike="ab", ticket=2)], ids=["child", "IKE_SA"]
)
@pytest.mark.parametrize(("at", "number"), [("a", 0), ("a", 1), ("b", 0)])
def test_in_a_rekey(at: str, number: int, command: Command) -> None:
    net = up(replace(SLOW, connection=f"{SLOW.connection}dpd_delay = 10\n"))
    before = ike_sa(net, at).ike_id
    stumble(net, at, stopped(net, command, at, number), ValueError("of a library"))
    assert not net.site(at).manager.ike_sas
    assert not net.site(at).plane.inbound
    (down,) = [event for event in net.site(at).events if isinstance(event, IkeDown)]
    assert (down.sa.ike_id, down.end) == (before, End.FAULT)
    assert at == "b" or not net.a.outcomes[2].ok
    net.thinking = taking(0.0)
    net.run(LONG)
    assert 2 in net.a.outcomes
    assert_joined(net, len(net.a.plane.inbound))
