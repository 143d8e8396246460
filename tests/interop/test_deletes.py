"""Deletes from either side, and the ends of both daemons, with a real strongSwan."""

from __future__ import annotations

import pytest

from tests.interop.bed import OURS, SIDES, Bed, Side, either_side_initiates

pytestmark = [pytest.mark.root, pytest.mark.strongswan]


@either_side_initiates
def test_child(bed: Bed, initiator: Side) -> None:
    """The IKE_SA stays, and carries a new child; either side may be the one that deletes."""
    bed.start()
    bed.up(by=initiator)
    ike = bed.our_sa["ike_id"]
    for deleter in SIDES:
        assert bed.has_carrier
        bed.expect_traffic()
        bed.terminate(deleter, child="net")
        bed.wait_for_children(0)
        bed.wait(lambda: not bed.has_carrier, "loss of carrier")
        bed.expect_no_traffic()
        bed.up(by=deleter)
    assert bed.our_sa["ike_id"] == ike
    bed.expect_traffic()


@either_side_initiates
def test_ike_sa(bed: Bed, initiator: Side) -> None:
    """It takes its child with it, and a new one can follow; either side may be the one that deletes."""
    bed.start()
    for deleter in SIDES:
        bed.up(by=initiator)
        bed.expect_traffic()
        bed.terminate(deleter, ike="net")
        bed.wait_for_nothing()
        bed.wait(lambda: not bed.has_carrier, "loss of carrier")


@either_side_initiates
def test_our_end_deletes_at_the_peer(bed: Bed, initiator: Side) -> None:
    """SIGTERM: within 5 s ikepy and its device are gone, and strongSwan has nothing left."""
    bed.start()
    bed.up(by=initiator)
    bed.expect_traffic()
    assert bed.ours.stop(keep_files=True, patience=5.0)
    assert not bed.theirs.list_sas()
    assert OURS.device not in bed.pair.left.run("ip", "link")


@either_side_initiates
def test_their_end_deletes_here(bed: Bed, initiator: Side) -> None:
    bed.start()
    bed.up(by=initiator)
    bed.expect_traffic()
    bed.theirs.stop(keep_files=True)
    bed.wait(lambda: not bed.ours.list_sas(), "end of our SA")
    bed.wait(lambda: not bed.has_carrier, "loss of carrier")
