"""Children whose life is over though nothing replaced them: both ends make them again."""

from __future__ import annotations

from dataclasses import replace

import pytest

from ikepy.lab import pair
from tests.interop.bed import OURS, THEIRS, Bed, Side, either_side_initiates, reaches

pytestmark = [pytest.mark.root, pytest.mark.strongswan]


@either_side_initiates
def test_our_child_expires(bed: Bed, initiator: Side) -> None:
    """It comes again, though no action is configured."""
    bed.start(replace(OURS, child_extra="rekey_time = 0\nlife_time = 2"))
    bed.up(by=initiator)
    bed.wait_for_log("ikepy", "CHILD_SA net #2 expired")
    bed.wait_for_log("ikepy", "CHILD_SA net #3 installed")
    # It lives as short: whoever asks at the wrong moment finds none.
    bed.wait(lambda: reaches(bed.pair.left_host, pair.LEFT_HOST, pair.RIGHT_HOST), "way through the third")


@either_side_initiates
def test_their_child_expires(bed: Bed, initiator: Side) -> None:
    """What the row of `end_actions` says of charon, by charon itself: no action is configured."""
    theirs = replace(THEIRS, child_options={"rekey_time": "0", "life_time": "3s"})
    bed.start(OURS, theirs)
    bed.up(by=initiator)
    bed.wait_for_log("strongSwan", "scheduling CHILD_SA recreate after hard expire")
    bed.wait_for_children(1)
    bed.expect_traffic()
