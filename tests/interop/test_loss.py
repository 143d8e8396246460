"""Every other IKE message gets lost, both ways: retransmission and cached replies with a real strongSwan."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace

import pytest

from tests.interop.bed import OURS, SIDES, Bed, Side, daemon, either_side_initiates
from tests.interop.test_rekeys import rekey_child, rekey_ike

pytestmark = [
    pytest.mark.root,
    pytest.mark.strongswan,
    pytest.mark.skipif(shutil.which("nft") is None, reason="needs Debian's nftables"),
]

# ESP is let through: its first word is no non-ESP marker.
_LOSS = """\
table inet loss {
    chain input {
        type filter hook input priority filter; policy accept;
        udp dport 500 numgen inc mod 2 0 counter drop
        udp dport 4500 udp length > 12 @th,64,32 0 numgen inc mod 2 0 counter drop
    }
}
"""
PERSISTENT = replace(OURS, daemon=daemon(retransmit_timeout=0.06, retransmit_base=1.2, retransmit_tries=12))


@contextmanager
def lossy(bed: Bed) -> Iterator[None]:
    """Every other IKE message that comes in on either side is dropped, beginning with the next."""
    for gateway in (bed.pair.left, bed.pair.right):
        gateway.run("nft", "-f", "-", text=_LOSS)
    yield
    for gateway in (bed.pair.left, bed.pair.right):
        gateway.run("nft", "flush", "ruleset")


@either_side_initiates
def test_set_up_and_delete(bed: Bed, initiator: Side) -> None:
    bed.start(PERSISTENT, retransmit_timeout=0.06, retransmit_tries=8)
    with lossy(bed):
        bed.up(by=initiator)
        for deleter in SIDES:
            bed.expect_traffic()
            bed.terminate(deleter, child="net")
            bed.wait_for_children(0)
            bed.up(by=deleter)
        bed.expect_traffic()
    bed.wait_for_log("ikepy", r"retransmit \d+ of request")
    bed.wait_for_log("strongSwan", r"retransmit \d+ of request")


@either_side_initiates
def test_rekeys(bed: Bed, initiator: Side) -> None:
    """A repeated CREATE_CHILD_SA makes no second SA, and no packet is lost."""
    bed.start(PERSISTENT, retransmit_timeout=0.06, retransmit_tries=8)
    bed.up(by=initiator)
    with lossy(bed), bed.flow() as flow:
        rekey_child(bed)
        rekey_ike(bed)
        rekey_child(bed)
        flow.wait_for(20)
    bed.wait_for_children(1)
    bed.expect_traffic()


@either_side_initiates
def test_reply_that_never_comes(bed: Bed, initiator: Side) -> None:
    """Everything is lost on one side's way in: the one who asks gives up, with a word to its user."""
    bed.start(
        replace(OURS, daemon=daemon(retransmit_timeout=0.1, retransmit_base=1, retransmit_tries=2)),
        retransmit_timeout=0.1,
        retransmit_tries=2,
    )
    asker = bed.pair.left if initiator == "ikepy" else bed.pair.right
    asker.run("nft", "-f", "-", text=_LOSS.replace("numgen inc mod 2 0 ", ""))
    bed.refused(initiator)
    bed.wait_for_log(initiator, "giving up")
