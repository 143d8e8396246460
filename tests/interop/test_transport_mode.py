"""Transport mode with a real strongSwan: both agree on it, then its userspace ESP has no such mode."""

from __future__ import annotations

from dataclasses import replace

import pytest

from ikepy.lab import pair
from tests.interop.bed import OURS, THEIRS, Bed, Side, either_side_initiates

pytestmark = [pytest.mark.root, pytest.mark.strongswan]

GRE = ("0.0.0.0/0[gre]",)


@either_side_initiates
def test_it_is_agreed_on(bed: Bed, initiator: Side) -> None:
    bed.start(
        replace(OURS, local_ts=GRE, remote_ts=GRE, child_extra='mode = "transport"'),
        replace(
            THEIRS,
            local_ts=f"{pair.RIGHT}/32[gre]",
            remote_ts=f"{pair.LEFT}/32[gre]",
            child_options={"mode": "transport"},
        ),
    )
    bed.refused(initiator)
    if initiator == "ikepy":
        bed.wait_for_log("strongSwan", "found matching child config")
    else:
        bed.wait_for_log("strongSwan", "received USE_TRANSPORT_MODE notify")
        bed.wait_for_log("ikepy", "CHILD_SA net #1 installed")
    bed.wait_for_log("strongSwan", "IPsec SA: unsupported mode")
    bed.wait(lambda: not bed.ours.children() and not bed.theirs.children(), "end of the child")
