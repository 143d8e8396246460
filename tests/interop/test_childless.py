"""Childless IKE_SAs (RFC 6023) and volume limits with a real strongSwan."""

from __future__ import annotations

from contextlib import suppress
from dataclasses import replace

import pytest

from ikepy.lab import pair
from ikepy.lab.netns import LabError
from tests.interop.bed import OURS, THEIRS, Bed, Side, either_side_initiates, ping

pytestmark = [pytest.mark.root, pytest.mark.strongswan]


@either_side_initiates
@pytest.mark.parametrize(
    ("begins", "answers"), [("force", "force"), ("force", "allow"), ("never", "allow"), ("never", "never")]
)
def test_policies(bed: Bed, initiator: Side, begins: str, answers: str) -> None:
    """The first child comes after IKE_AUTH with "force", by it with "never"."""
    ours, theirs = (begins, answers) if initiator == "ikepy" else (answers, begins)
    bed.start(replace(OURS, extra=f'childless = "{ours}"'), replace(THEIRS, options={"childless": theirs}))
    bed.up(by=initiator)
    bed.expect_traffic()


@pytest.mark.parametrize("limit", ["rekey_bytes = 20000", "rekey_packets = 30"])
@either_side_initiates
def test_we_rekey_by_volume(bed: Bed, initiator: Side, limit: str) -> None:
    bed.start(replace(OURS, child_extra=f"{limit}\nrand_bytes = 0\nrand_packets = 0"), THEIRS)
    bed.up(by=initiator)
    before = bed.our_child["spi_in"]
    for _ in range(20):
        ping(bed.pair.left_host, pair.LEFT_HOST, pair.RIGHT_HOST, size=1200)
        ping(bed.pair.right_host, pair.RIGHT_HOST, pair.LEFT_HOST, size=1200)
    bed.wait(lambda: before not in {c["spi_in"] for c in bed.ours.children()}, "a fresh child")
    bed.wait_for_children(1)
    bed.expect_traffic()


@pytest.mark.parametrize("key", ["life_bytes", "life_packets"])
def test_a_child_that_has_carried_enough_goes(bed: Bed, key: str) -> None:
    """The limit ends it, where nothing rekeys it before."""
    value = 20000 if key == "life_bytes" else 30
    bed.start(replace(OURS, child_extra=f"{key} = {value}"), THEIRS)
    bed.up(by="strongSwan")

    def gone() -> bool:
        with suppress(LabError):  # the last one may go with the child
            ping(bed.pair.left_host, pair.LEFT_HOST, pair.RIGHT_HOST, size=1200, patience=0.3)
        return not bed.ours.children() and not bed.theirs.children()

    bed.wait(gone, "no child at either end")
    bed.wait_for_log("ikepy", "expired")
