"""MOBIKE with a real strongSwan: either end gets other addresses under a tunnel that is up (RFC 4555)."""

from __future__ import annotations

import time
from dataclasses import replace

import pytest

from ikepy.lab import pair
from ikepy.lab.netns import Namespace
from tests.interop.bed import OURS, THEIRS, Bed, Side, either_side_initiates, reaches

pytestmark = [pytest.mark.root, pytest.mark.strongswan]

OTHER = "192.0.2.3"  # in the network of both gateways


def other_address(gateway: Namespace, old: str) -> None:
    """The other address instead of the old one."""
    gateway.ip(f"addr add {OTHER}/24 dev eth0", f"addr del {old}/24 dev eth0")
    gateway.ip(f"addr replace {OTHER}/24 dev eth0")


@either_side_initiates
def test_strongswan_moves(bed: Bed, initiator: Side) -> None:
    """As the initiator it tells us where it is; as the responder, that it is gone, and we follow."""
    bed.start(
        replace(OURS, remote_addrs=(pair.RIGHT, "%any")),
        replace(THEIRS, local_addrs="%any"),
    )
    bed.up(by=initiator)
    bed.expect_traffic()
    ike = bed.our_sa["ike_id"]
    other_address(bed.pair.right, pair.RIGHT)
    bed.wait(lambda: bed.our_sa["remote"] == f"{OTHER}[4500]", "our end of the new path")
    bed.wait_for_children(1)
    assert bed.our_sa["ike_id"] == ike
    bed.expect_traffic()


@either_side_initiates
def test_we_move(bed: Bed, initiator: Side) -> None:
    """Our only address is replaced: strongSwan follows, and nothing is set up anew."""
    bed.start(
        replace(OURS, local_addrs=("%any",)),
        replace(THEIRS, remote_addrs=f"{pair.LEFT},%any"),
    )
    bed.up(by=initiator)
    before = bed.our_sa["spi_i"], bed.our_sa["spi_r"]
    other_address(bed.pair.left, pair.LEFT)
    bed.wait(lambda: bed.their_sa["remote-host"] == OTHER, "their end of the new path", 3)
    bed.wait_for_children(1)  # strongSwan's userspace ESP can't move a child: it rekeys it
    bed.expect_traffic()
    assert before == (bed.our_sa["spi_i"], bed.our_sa["spi_r"])


def test_our_uplink_goes_and_comes_back(bed: Bed) -> None:
    """Traffic within 3 s, no new set-up."""
    bed.start()
    bed.up(by="ikepy")
    before = bed.our_sa["spi_i"], bed.our_child["spi_in"]
    bed.pair.left.ip("link set eth0 down")
    time.sleep(2)
    bed.pair.left.ip("link set eth0 up")
    bed.wait(lambda: reaches(bed.pair.left_host, pair.LEFT_HOST, pair.RIGHT_HOST), "traffic", 3)
    assert before == (bed.our_sa["spi_i"], bed.our_child["spi_in"])


def test_we_move_and_strongswan_speaks_no_mobike(bed: Bed) -> None:
    """We set up anew from where we are."""
    bed.start(
        replace(OURS, local_addrs=("%any",)),
        replace(THEIRS, remote_addrs="%any", options={"mobike": "no"}),
    )
    bed.up(by="ikepy")
    before = bed.our_sa["spi_i"]
    other_address(bed.pair.left, pair.LEFT)
    bed.wait(lambda: bed.our_sa["local"] == f"{OTHER}[4500]", "a new set-up from the new address", 3)
    bed.wait_for_children(1)
    assert bed.our_sa["spi_i"] != before
    bed.expect_traffic()


@either_side_initiates
@pytest.mark.parametrize("ours", [False, True])
def test_only_one_side_speaks_it(bed: Bed, initiator: Side, ours: bool) -> None:
    theirs = {"mobike": "no" if ours else "yes"}
    bed.start(replace(OURS, mobike=ours), replace(THEIRS, options=theirs))
    bed.up(by=initiator)
    bed.expect_traffic()
