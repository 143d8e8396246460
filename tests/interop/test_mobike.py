"""MOBIKE with a real strongSwan, which gets other addresses under a tunnel that is up (RFC 4555)."""

from __future__ import annotations

from dataclasses import replace

import pytest

from ikepy.lab import pair
from tests.interop.bed import OURS, THEIRS, Bed, Side, either_side_initiates

pytestmark = [pytest.mark.root, pytest.mark.strongswan]

OTHER = "192.0.2.3"  # in the network of both gateways


@either_side_initiates
def test_strongswan_moves(bed: Bed, initiator: Side) -> None:
    """As the initiator it tells us where it is; as the responder, that it is gone, and we follow."""
    bed.start(
        replace(OURS, remote_addrs=(pair.RIGHT, "%any"), mobike=True),
        replace(THEIRS, local_addrs="%any", options={"mobike": "yes"}),
    )
    bed.up(by=initiator)
    bed.expect_traffic()
    ike = bed.our_sa["ike_id"]
    bed.pair.right.ip(f"addr add {OTHER}/24 dev eth0", f"addr del {pair.RIGHT}/24 dev eth0")
    bed.pair.right.ip(f"addr replace {OTHER}/24 dev eth0")
    bed.wait(lambda: bed.our_sa["remote"] == f"{OTHER}[4500]", "our end of the new path")
    bed.wait_for_children(1)
    assert bed.our_sa["ike_id"] == ike
    bed.expect_traffic()


@either_side_initiates
@pytest.mark.parametrize("ours", [False, True])
def test_only_one_side_speaks_it(bed: Bed, initiator: Side, ours: bool) -> None:
    theirs = {"mobike": "no" if ours else "yes"}
    bed.start(replace(OURS, mobike=ours), replace(THEIRS, options=theirs))
    bed.up(by=initiator)
    bed.expect_traffic()
