"""ikepy.sa.state.child_sa and wanted_child: what a child is good for in each of its states."""

from __future__ import annotations

from dataclasses import replace
from ipaddress import IPv4Address

import pytest

from esp.packet.selectors import Selector
from ikepy.config.model import Child
from ikepy.crypto.secret import Secret
from ikepy.errors import PeerError
from ikepy.sa.api.effects import InstallInbound, InstallOutbound
from ikepy.sa.api.path import Endpoint, Path
from ikepy.sa.negotiation.ts_request import EVERYTHING, Pair, Selectors, TsRequest
from ikepy.sa.state.child_sa import ChildSa, ChildState, Standby, esp_suite, texts
from ikepy.sa.state.lifetime import Lifetime
from ikepy.sa.state.wanted_child import WantedChild
from ikepy.wire.constants import Encr, Esn, Integ, NotifyType, ProtocolId, TransformType
from ikepy.wire.proposal import Proposal, Transform

GCM = Transform(TransformType.ENCR, Encr.AES_GCM_16, 128)
CBC = Transform(TransformType.ENCR, Encr.AES_CBC, 128)
SHA256 = Transform(TransformType.INTEG, Integ.HMAC_SHA2_256_128)
ESN, NO_ESN = (Transform(TransformType.ESN, one) for one in (Esn.ESN, Esn.NO_ESN))
A, B = Selector.of("10.1.0.0/16"), Selector.of("10.2.0.0/16")
HOSTS = Pair(Selector.of("10.1.0.1/32"), Selector.of("10.2.0.1/32"))
PATH = Path(Endpoint(IPv4Address("192.0.2.1"), 500), Endpoint(IPv4Address("192.0.2.2"), 500))


def esp(*transforms: Transform) -> Proposal:
    return Proposal(1, ProtocolId.ESP, bytes(4), transforms)


def child() -> ChildSa:
    return ChildSa(
        child_id=7,
        config=Child(name="net", replay_window=64),
        proposal=esp(GCM, NO_ESN),
        spi_in=0x1111,
        spi_out=0x2222,
        keys_in=Secret(b"in"),
        keys_out=Secret(b"out"),
        ts_local=(A,),
        ts_remote=(B,),
        encap=True,
        installed_at=5.0,
        lifetime=Lifetime(rekey_at=10.0, expires_at=20.0),
    )


@pytest.mark.parametrize(
    ("state", "in_use", "deadlines"),
    [
        (ChildState.INSTALLED, True, (10.0, 20.0, 30.0, 40.0)),
        (ChildState.REKEYING, True, (20.0, 30.0)),
        (ChildState.REKEYED, False, (20.0, 30.0)),
        (ChildState.DELETING, False, (30.0,)),
        (ChildState.DELETED, False, (30.0,)),
    ],
)
def test_each_state(state: ChildState, in_use: bool, deadlines: tuple[float, ...]) -> None:
    one = replace(child(), state=state, remove_at=30.0, waiting=Standby(40.0, 1, first=True))
    assert (one.in_use, one.stays, one.deadlines) == (in_use, in_use, deadlines)


def test_one_that_is_replaced_or_lost_does_not_stay() -> None:
    assert not replace(child(), replaced_by=8).stays
    assert not replace(child(), lost=True).stays


def test_both_directions_are_installed_inbound_first() -> None:
    one = child()
    inbound, outbound = one.install("c", PATH, standby=True)
    one.wipe()  # the effects may be run when it is gone
    assert isinstance(inbound, InstallInbound)
    assert isinstance(outbound, InstallOutbound)
    assert (inbound.spi, inbound.keys, inbound.replay_window, inbound.esn) == (
        0x1111,
        Secret(b"in"),
        64,
        False,
    )
    assert (outbound.spi, outbound.keys, outbound.standby, outbound.esn) == (
        0x2222,
        Secret(b"out"),
        True,
        False,
    )
    for each in (inbound, outbound):
        assert (each.child_id, each.connection, each.child, each.encap, each.path) == (
            7,
            "c",
            "net",
            True,
            PATH,
        )
        assert (each.ts_local, each.ts_remote) == ((A,), (B,))


def test_extended_sequence_numbers_are_what_was_agreed() -> None:
    assert replace(child(), proposal=esp(GCM, ESN)).esn
    assert not replace(child(), proposal=esp(GCM)).esn


def test_its_replacement_is_for_all_unless_other_children_carry_the_rest() -> None:
    assert child().ts_request == EVERYTHING
    assert replace(child(), trapped=(B,)).ts_request == TsRequest(within=Selectors((A,), (B,)))


@pytest.mark.parametrize("transforms", [(GCM, SHA256), (CBC,), (SHA256,), ()])
def test_algorithms_that_do_not_go_together(transforms: tuple[Transform, ...]) -> None:
    with pytest.raises(PeerError, match="go together") as error:
        esp_suite(esp(*transforms))
    assert error.value.notify == NotifyType.NO_PROPOSAL_CHOSEN
    assert esp_suite(esp(CBC, SHA256)).name == "AES_CBC_128/HMAC_SHA2_256_128"


def test_selectors_in_the_log() -> None:
    assert texts((A, B)) == "10.1.0.0/16 10.2.0.0/16"


# -- a child that is wanted ------------------------------------------------------------------------


def test_a_wanted_child_is_met_by_name_and_traffic() -> None:
    anything, packet = WantedChild(Child(name="net")), WantedChild(Child(name="net"), [], TsRequest(HOSTS))
    assert anything.met_by(child())
    assert packet.met_by(child())
    assert not packet.met_by(replace(child(), ts_remote=(A,)))
    assert not WantedChild(Child(name="other")).met_by(child())


def test_a_part_of_selectors_that_are_configured_no_more_is_not_asked_for() -> None:
    wanted = WantedChild(Child(name="net", local_ts=["10.1.0.0/16"]), [3], TsRequest(HOSTS))
    same = Child(name="net", local_ts=["10.1.0.0/16"], rekey_time=5.0)
    wanted.reconfigure(same)
    assert (wanted.config, wanted.ts_request, wanted.tickets) == (same, TsRequest(HOSTS), [3])
    wanted.reconfigure(Child(name="net", local_ts=["10.2.0.0/16"]))
    assert (wanted.ts_request, wanted.tickets) == (EVERYTHING, [3])
