"""Ports that the kernel chose for us: strongSwan, as the responder, takes them from wherever we come."""

from __future__ import annotations

from dataclasses import replace

import pytest

from ikepy.lab import pair
from tests.interop.bed import OURS, THEIRS, Bed, daemon
from tests.interop.nat import PUBLIC, BehindNat
from tests.interop.test_mobike import OTHER, other_address
from tests.interop.test_paths import OURS_INSIDE, THEIRS_OUTSIDE

pytestmark = [pytest.mark.root, pytest.mark.strongswan]

CHOSEN = daemon(port=0, port_nat_t=0)


def own_port(bed: Bed) -> int:
    return int(bed.our_sa["local"].rpartition("[")[2].rstrip("]"))


@pytest.mark.parametrize("remote_port", [500, 4500])
def test_set_up_rekeys_and_traffic(bed: Bed, remote_port: int) -> None:
    """Begun at port 500 or at the one for NATs, from where both go on (RFC 7296 2.23)."""
    bed.start(replace(OURS, daemon=CHOSEN, extra=f"remote_port = {remote_port}"))
    bed.up(by="ikepy")
    assert own_port(bed) not in (500, 4500)
    assert bed.our_sa["remote"] == f"{pair.RIGHT}[4500]"
    assert bed.their_sa["remote-port"] == str(own_port(bed))
    bed.expect_traffic()
    bed.theirs.rekey(child="net")
    bed.wait_for_log("ikepy", "CHILD_SA net #1 rekeyed as")
    bed.theirs.rekey(ike="net")
    bed.wait_for_log("ikepy", "IKE_SA rekeyed as")
    bed.wait_for_children(1)
    bed.expect_traffic()


def test_our_move_keeps_the_port(bed: Bed) -> None:
    """MOBIKE, from a socket at the new address with the same number."""
    bed.start(
        replace(OURS, daemon=CHOSEN, local_addrs=("%any",)),
        replace(THEIRS, remote_addrs=f"{pair.LEFT},%any"),
    )
    bed.up(by="ikepy")
    before = own_port(bed)
    other_address(bed.pair.left, pair.LEFT)
    bed.wait(lambda: bed.their_sa["remote-host"] == OTHER, "their end of the new path", 3)
    bed.wait_for_children(1)
    assert own_port(bed) == before
    assert bed.their_sa["remote-port"] == str(before)
    bed.expect_traffic()


def test_behind_nat(behind_nat: BehindNat) -> None:
    bed, _ = behind_nat("ikepy")
    bed.start(replace(OURS_INSIDE, daemon=CHOSEN), THEIRS_OUTSIDE)
    bed.up(by="ikepy")
    assert bed.our_sa["nat_local"] and bed.their_sa["remote-host"] == PUBLIC
    bed.expect_traffic()
