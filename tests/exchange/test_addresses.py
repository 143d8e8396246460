"""Our addresses change where MOBIKE does not help: no peer that speaks it, no IKE_SA yet, none to use."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import pytest

from ikepy.sa.api.commands import Initiate, LocalAddressesChanged, Terminate
from ikepy.sa.api.path import Address

from .network import ADDRESS_A, ADDRESS_B, Network, assert_joined, deliver_all
from .test_established import established, ike_sa
from .test_mobike import FIXED, ROAMING, SECOND_A, THIRD_A

WITHOUT = replace(ROAMING, connection="mobike = false")
SET_UP = [
    "a -> b IKE_SA_INIT request 0",
    "b -> a IKE_SA_INIT response 0",
    "a -> b IKE_AUTH request 1",
    "b -> a IKE_AUTH response 1",
]
LIVENESS = ["a -> b INFORMATIONAL request 2", "b -> a INFORMATIONAL response 2"]


def has(
    net: Network, *addresses: Address, route: Address | None, gone: Sequence[Address] = (ADDRESS_A,)
) -> None:
    """Site a has these addresses now, and would send from `route`."""
    net.gone |= set(gone)
    net.a.address = route
    net.command("a", LocalAddressesChanged(addresses))


def test_without_mobike_it_is_set_up_anew_from_the_new_address() -> None:
    net = established(WITHOUT, FIXED)
    old = ike_sa(net, "a").spi_i
    has(net, SECOND_A, route=SECOND_A)
    net.run(1)
    assert net.ladder == SET_UP, "INITIAL_CONTACT ends the old one at the peer"
    for name in ("a", "b"):
        assert len(net.site(name).manager.list_sas(net.now)) == 1
    assert ike_sa(net, "a").spi_i != old
    assert ike_sa(net, "a").path.local.address == SECOND_A
    assert_joined(net)


def test_the_route_comes_after_the_address() -> None:
    net = established(WITHOUT, FIXED)
    has(net, SECOND_A, route=None)
    net.run(1)
    assert not net.ladder
    has(net, SECOND_A, route=SECOND_A)
    net.run(1)
    assert net.ladder == SET_UP
    assert_joined(net)


def test_the_address_comes_back() -> None:
    net = established(WITHOUT, FIXED)
    has(net, ADDRESS_A, route=ADDRESS_A, gone=[])
    has(net, route=None)
    net.run(5)
    assert not net.ladder
    net.gone.clear()
    has(net, ADDRESS_A, route=ADDRESS_A, gone=[])
    net.run(1)
    assert net.ladder == LIVENESS, "is the peer still there?"
    assert_joined(net)


def test_one_that_is_being_deleted_is_not_set_up_anew() -> None:
    net = established(WITHOUT, FIXED)
    net.gone.add(ADDRESS_A)
    net.command("a", Terminate(ike="ab", ticket=9))
    has(net, SECOND_A, route=SECOND_A)
    net.run(200)
    assert net.a.manager.idle


@pytest.mark.parametrize("lost", [SET_UP[0], SET_UP[3]])
def test_the_address_goes_while_the_ike_sa_is_set_up(lost: str) -> None:
    net = Network(ROAMING, FIXED)
    net.script = lambda line, nth, data: [] if line == lost else [0.01]
    net.command("a", Initiate("ab", "net"))
    net.run(1)
    net.script = deliver_all
    has(net, SECOND_A, route=SECOND_A)
    net.run(1)
    assert ike_sa(net, "a").path.local.address == SECOND_A
    assert_joined(net)


def test_a_set_up_without_an_address_waits_for_one() -> None:
    net = Network(ROAMING, FIXED)
    net.a.address = None
    net.command("a", Initiate("ab", "net"))
    net.command("a", Initiate("ab", "net", ticket=1))
    assert not net.a.outcomes[1].ok, "whoever waits is told"
    net.run(100)
    has(net, ADDRESS_A, route=ADDRESS_A, gone=[])
    net.run(1)
    assert net.ladder[:4] == SET_UP
    assert_joined(net)


def test_a_set_up_that_waits_for_its_next_try_has_it_soon() -> None:
    options = replace(
        ROAMING, connection="keyingtries = 0", daemon="retransmit_timeout = 1\nretransmit_tries = 1"
    )
    net = Network(options, FIXED)
    net.gone = {ADDRESS_A}
    net.command("a", Initiate("ab", "net"))
    net.run(400)
    net.gone.clear()
    net.ladder.clear()
    has(net, SECOND_A, route=SECOND_A)
    net.run(2)
    assert net.ladder[:4] == SET_UP
    assert_joined(net)


def test_an_address_that_no_peer_is_told_of_stays_in_use() -> None:
    net = established(ROAMING, FIXED)
    net.command("a", LocalAddressesChanged((SECOND_A, THIRD_A), others=(ADDRESS_A,)))
    net.run(1)
    a, b = ike_sa(net, "a"), ike_sa(net, "b")
    assert a.path.local.address == ADDRESS_A
    assert b.path.remote.address == ADDRESS_A
    assert b.mobike is not None
    assert b.mobike.remote == (SECOND_A, THIRD_A)
    net.ladder.clear()
    net.command("a", LocalAddressesChanged((SECOND_A, THIRD_A), others=(ADDRESS_A, ADDRESS_B)))
    net.run(1)
    assert not net.ladder
