"""What a configured child waits for, as the snapshot tells it."""

from __future__ import annotations

import pytest

from ikepy.config.layers import Layers
from ikepy.sa.api.commands import Acquire, Initiate, Terminate
from ikepy.sa.api.snapshot import ChildWait, Waiting

from .network import DELAY, Network, Options
from .test_actions import PACKET

KEPT = Options(child='start_action = "start"')


def wait_of(net: Network, name: str = "a") -> ChildWait:
    (found,) = net.site(name).manager.list_waits()
    assert (found.connection, found.child) == ("ab", "net")
    return found


def test_from_a_command_to_the_next() -> None:
    net = Network()
    assert wait_of(net) == ChildWait("ab", "net", Waiting.COMMAND)
    net.command("a", Initiate("ab", "net"))
    assert wait_of(net).waiting is Waiting.SET_UP
    assert wait_of(net, "b").waiting is Waiting.COMMAND
    net.run(1)
    assert wait_of(net).waiting is wait_of(net, "b").waiting is Waiting.NOTHING
    net.command("a", Terminate(ike="ab"))
    net.run(1)
    assert wait_of(net) == ChildWait("ab", "net", Waiting.COMMAND)


def test_a_packet() -> None:
    assert wait_of(Network(Options(child='start_action = "trap"'))).waiting is Waiting.PACKET


@pytest.mark.parametrize(
    "actions", ['close_action = "trap"', 'start_action = "trap"\nclose_action = "trap"\ndpd_action = "trap"']
)
def test_a_trap_that_stands_after_the_peers_delete_goes_when_it_is_uninstalled(actions: str) -> None:
    net = Network(Options(child=actions))
    site = net.site("a")
    net.command("a", Initiate("ab", "net"))
    net.run(1)
    net.command("b", Terminate(child="net"))
    net.run(1)
    assert wait_of(net).waiting is Waiting.PACKET
    uninstalled = Layers(site.config).without_trap("ab", "net")
    net.run_effects("a", site.manager.replace_config(uninstalled.merged(), net.now))
    assert wait_of(net).waiting is Waiting.COMMAND
    net.command("a", Acquire("ab", PACKET, PACKET))
    net.run(1)
    assert wait_of(net).waiting is Waiting.COMMAND


def test_the_next_try_after_failures() -> None:
    net = Network(KEPT, Options(secret="another one"))
    net.start()
    net.run(4 * DELAY)
    first = wait_of(net)
    assert first.waiting is Waiting.RETRY and first.failures == 1
    assert first.until is not None and net.now < first.until < net.now + 3
    net.run(first.until - net.now + 20 * DELAY)
    second = wait_of(net)
    assert second.waiting is Waiting.RETRY and second.failures >= 2
    assert second.until is not None and second.until > first.until


def test_an_address() -> None:
    net = Network(KEPT)
    net.a.address = None
    net.start()
    found = wait_of(net)
    assert found.waiting is Waiting.ADDRESS and found.failures == 1
