"""IKE messages in fragments, to and from a real strongSwan (RFC 7383)."""

from __future__ import annotations

import re
from dataclasses import replace

import pytest

from tests.interop.bed import OURS, THEIRS, Bed, Side, daemon, either_side_initiates

pytestmark = [pytest.mark.root, pytest.mark.strongswan]

SIZE = 256  # octets of an IP packet
LOSS = """
table inet lossy {
    chain input {
        type filter hook input priority 0;
        udp dport 4500 numgen random mod 5 == 0 drop
    }
}
"""

# Long names make IKE_AUTH too long for such a packet, a key exchange of 256 octets CREATE_CHILD_SA.
LEFT_ID, RIGHT_ID = "left." * 20 + "example", "right." * 20 + "example"
ESP = "aes128gcm16-modp2048"
SMALL_OURS = replace(
    OURS,
    local_id=LEFT_ID,
    remote_id=RIGHT_ID,
    esp_proposals=(ESP,),
    daemon=daemon(fragment_size=SIZE),
)
SMALL_THEIRS = replace(THEIRS, local_id=RIGHT_ID, remote_id=LEFT_ID, esp_proposals=ESP)

SENT = r"splitting IKE message \(\d+ bytes\) into [2-9] fragments"
TAKEN = r"reassembled fragmented IKE message \(\d+ bytes\)"


def their_log_has(bed: Bed, pattern: str) -> bool:
    return re.search(pattern, bed.theirs.log()) is not None


@either_side_initiates
@pytest.mark.parametrize("ike", ["aes128gcm16-prfsha256-x25519", "aes256-sha256-ecp256"])
def test_small_fragments_both_ways(bed: Bed, initiator: Side, ike: str) -> None:
    """Set-up, rekeys of child and IKE_SA: the packets stay small, nothing is lost on the way."""
    ours, theirs = replace(SMALL_OURS, proposals=(ike,)), replace(SMALL_THEIRS, proposals=ike)
    bed.start(ours, theirs, fragment_size=SIZE)
    bed.up(by=initiator)
    bed.wait_for_log("strongSwan", SENT)
    bed.wait_for_log("strongSwan", TAKEN)
    bed.expect_traffic()
    before = bed.our_child["spi_in"]
    bed.theirs.rekey(child="net")
    bed.wait(
        lambda: [c["spi_in"] for c in bed.ours.children() if c["state"] == "INSTALLED"] != [before], "rekey"
    )
    bed.theirs.rekey(ike="net")
    bed.wait_for_log("ikepy", "IKE_SA rekeyed as")
    bed.wait_for_children(1)
    bed.expect_traffic()


@pytest.mark.parametrize(
    ("ours", "theirs", "sent", "taken"),
    [("no", "yes", False, False), ("yes", "no", False, False), ("accept", "yes", True, False)],
)
def test_who_may_and_will(bed: Bed, ours: str, theirs: str, sent: bool, taken: bool) -> None:
    """`sent`: strongSwan sends fragments. `taken`: we do."""
    bed.start(
        replace(SMALL_OURS, extra=f'fragmentation = "{ours}"'),
        replace(SMALL_THEIRS, options={"fragmentation": theirs}),
        fragment_size=SIZE,
    )
    bed.up(by="ikepy")
    bed.terminate("ikepy", ike="net")
    bed.wait_for_nothing()
    bed.up(by="strongSwan")
    bed.expect_traffic()
    assert their_log_has(bed, SENT) is sent
    assert their_log_has(bed, TAKEN) is taken


@either_side_initiates
def test_a_lossy_path(bed: Bed, initiator: Side) -> None:
    """Whatever fragments are lost, in the end both have the same."""
    # Both ask some 18 times in the 15 seconds that a command waits: all but never in vain.
    timeout, base, tries = 0.3, 1.1, 20
    patience = {"retransmit_timeout": timeout, "retransmit_base": base, "retransmit_tries": tries}
    bed.start(
        replace(SMALL_OURS, daemon=daemon(fragment_size=SIZE, **patience)),
        SMALL_THEIRS,
        fragment_size=SIZE,
        retransmit_timeout=timeout,
        retransmit_base=base,
        retransmit_tries=tries,
    )
    for _ in range(3):
        for namespace in (bed.pair.left, bed.pair.right):
            namespace.run("nft", "-f", "-", text=LOSS)
        bed.initiate(initiator)
        bed.wait_for_children(1)
        # charon forgets at once what it deleted, and its answer with it: no loss now.
        for namespace in (bed.pair.left, bed.pair.right):
            namespace.run("nft", "delete", "table", "inet", "lossy")
        bed.terminate(initiator, ike="net")
        bed.wait_for_nothing()
