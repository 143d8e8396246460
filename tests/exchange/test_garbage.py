"""No IKE_SA leaves a reference cycle: what ends is freed at once, and searches for garbage find nothing.

A full search stops the daemon while it looks at all objects, and nobody is answered meanwhile.
"""

from __future__ import annotations

import gc
from collections import Counter
from collections.abc import Callable

import pytest

from ikepy.sa.api.commands import Initiate, Rekey, Terminate
from tests.pki import chain

from .network import ADDRESS_B, Network, Options
from .test_pubkey import MOON, SUN, memories, options

TIMES = 4


def garbage(work: Callable[[], object]) -> dict[str, int]:
    """The types of all objects that `work` leaves in cycles, and how many there are."""
    gc.collect()
    gc.disable()
    gc.set_debug(gc.DEBUG_SAVEALL)
    try:
        work()
        gc.collect()
        return dict(Counter(type(one).__qualname__ for one in gc.garbage))
    finally:
        gc.set_debug(0)
        gc.garbage.clear()
        gc.enable()


def up(net: Network, ticket: int) -> None:
    net.command("a", Initiate("ab", "net", ticket=ticket))
    net.run(1)


def down(net: Network) -> None:
    net.command("a", Terminate(ike="ab"))
    net.run(120)  # what is remembered of dead ones for a while goes too
    assert not net.a.manager.list_sas(net.now)
    assert not net.b.manager.list_sas(net.now)


def again_and_again(net: Network, between: Callable[[], None] = lambda: None) -> None:
    for ticket in range(2, 2 + TIMES):
        up(net, ticket)
        assert net.a.outcomes[ticket].ok, net.a.outcomes[ticket].text
        between()
        down(net)


def rekeyed(net: Network) -> None:
    """By either end, by both at once, and the IKE_SA set up anew."""
    for ends in ("a", "b", "ab"):
        for command in (Rekey(child="net"), Rekey(ike="ab")):
            for who in ends:
                net.command(who, command)
            net.run(5)
    net.command("a", Rekey(ike="ab", reauth=True))
    net.run(5)


SUITES = {
    "psk": '["aes128gcm16-prfsha256-x25519"]',
    "mlkem": '["aes128gcm16-prfsha256-x25519-ke1_mlkem768"]',
}


@pytest.mark.parametrize("suite", SUITES)
def test_set_ups_rekeys_and_deletions(suite: str) -> None:
    either = Options(proposals=SUITES[suite])
    net = Network(either, either)
    up(net, 1)
    down(net)
    assert garbage(lambda: again_and_again(net, lambda: rekeyed(net))) == {}


def test_set_ups_by_certificates() -> None:
    net = Network(options(MOON, SUN), options(SUN, MOON), credentials=memories(chain("ed25519")))
    up(net, 1)
    down(net)
    assert garbage(lambda: again_and_again(net)) == {}


def test_set_ups_that_fail() -> None:
    net = Network(Options(secret="another one"), Options())
    up(net, 1)
    net.run(120)

    def work() -> None:
        for ticket in range(2, 2 + TIMES):
            up(net, ticket)
            net.run(60)
            assert not net.a.outcomes[ticket].ok

    assert garbage(work) == {}


def test_a_peer_that_is_not_there() -> None:
    net = Network(Options(daemon="retransmit_tries = 1"), Options())
    net.gone = {ADDRESS_B}

    def work() -> None:
        up(net, 1)
        net.run(60)
        assert not net.a.outcomes[1].ok

    assert garbage(work) == {}
