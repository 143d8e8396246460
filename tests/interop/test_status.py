"""What `ikepy status` says of a real strongSwan's refusals, and of what we refuse it."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator
from dataclasses import replace

import pytest

from ikepy.control.status import Finding, ask
from ikepy.lab import pair
from ikepy.lab.netns import LabError
from ikepy.lab.strongswan import Connection, StrongSwan
from tests.interop.bed import (
    LEFT_NET_2,
    OURS,
    RIGHT_NET_2,
    THEIRS,
    Bed,
    our_child,
    reaches,
    with_children,
)

pytestmark = [pytest.mark.root, pytest.mark.strongswan]

OTHER_SUITE = replace(THEIRS, proposals="aes256-sha384-modp3072")
OTHER_SECRET = replace(THEIRS, secret="another")
OTHER_NETWORKS = replace(THEIRS, local_ts="10.9.0.0/24", remote_ts="10.8.0.0/24")
OTHER_CIPHER = replace(THEIRS, esp_proposals="aes256-sha256")


def findings(bed: Bed) -> Iterator[Finding]:
    for tunnel in ask(bed.ours.socket)["tunnels"]:
        yield from tunnel["findings"]
        for child in tunnel["children"]:
            yield from child["findings"]


@pytest.mark.parametrize(
    ("theirs", "code", "their_side"),
    [
        (OTHER_SUITE, "ike-proposals", "AES_CBC_256/HMAC_SHA2_384_192/PRF_HMAC_SHA2_384/MODP_3072"),
        (OTHER_SECRET, "authentication", None),
        (OTHER_NETWORKS, "selectors", "10.8.0.0/24 === 10.9.0.0/24"),
        (OTHER_CIPHER, "child-proposals", "AES_CBC_256/HMAC_SHA2_256_128/NO_ESN"),
    ],
    ids=["suite", "secret", "networks", "cipher"],
)
def test_a_refusal(bed: Bed, theirs: Connection, code: str, their_side: str | None) -> None:
    """The end that refuses knows both sides, the one that is refused its own."""
    bed.start(replace(OURS, local_ts=(pair.LEFT_NET,), remote_ts=(pair.RIGHT_NET,)), theirs)
    bed.refused("ikepy")
    (finding,) = findings(bed)
    assert finding["code"] == code
    assert "theirs" not in finding
    bed.refused("strongSwan")
    told = list(findings(bed))
    assert [one["code"] for one in told] == [code, code], "ours, and what we refused"
    if their_side is None:
        assert any("its secret is another one than ours" in one["why"] for one in told)
    else:
        assert [their_side] in [one.get("theirs") for one in told]


def printed(bed: Bed) -> str:
    """What the command prints."""
    command = (sys.executable, "-m", "ikepy", "status", "--socket", str(bed.ours.socket))
    return subprocess.run(command, capture_output=True, text=True, timeout=20, check=True).stdout


def found(bed: Bed, code: str, words: str = "") -> Finding:
    """The finding with these words, once it is there."""
    there: list[Finding] = []

    def is_there() -> bool:
        there[:] = (one for one in findings(bed) if one["code"] == code and words in one["what"])
        return bool(there)

    bed.wait(is_there, f"{code}: {words}")
    return there[0]


def test_a_rekey_that_a_strongswan_refuses(bed: Bed) -> None:
    """It wants a group for its children, and took the first one without."""
    bed.start(OURS, replace(THEIRS, esp_proposals="aes128gcm16-x25519"))
    bed.up(by="ikepy")
    with pytest.raises(LabError, match="NO_PROPOSAL_CHOSEN"):
        bed.ours.rekey(child="net")
    told = found(bed, "pfs")
    assert "the peer refused it, NO_PROPOSAL_CHOSEN" in told["what"]
    assert "Our proposals have no key exchange" in told["why"]
    assert told["do"].startswith("Give connections.net.children.net.esp_proposals the group")
    assert told["ours"] == ["AES_GCM_16_128/NO_ESN"]
    bed.expect_traffic()


def test_ike_sas_pile_up(bed: Bed) -> None:
    """strongSwan takes a new IKE_SA for each child that it begins, and no end tells the other to replace."""
    bed.theirs = StrongSwan(bed.pair.right, bed.theirs.run_directory, options={"reuse_ikesa": "no"})
    bed.theirs.start(replace(THEIRS, options={"unique": "never"}))
    bed.start_ours(OURS)
    for _ in range(3):
        bed.initiate("strongSwan")
    told = found(bed, "several-ike-sas")
    assert told["what"].startswith("There are 3 IKE_SAs with gwb, all begun by the peer, the oldest")
    assert "takes one for each child" in told["why"]
    assert 'connections.net.unique = "replace" (it is "no")' in told["do"]
    assert "There are 3 IKE_SAs with gwb" in printed(bed)


def test_packets_outside_the_selectors_come_in(bed: Bed) -> None:
    """strongSwan has given two children one reqid, so that it sends both one's packets under one's SA."""
    keys = {"local_ts": RIGHT_NET_2, "remote_ts": LEFT_NET_2, "esp_proposals": "aes128gcm16", "reqid": "7"}
    ours = replace(OURS, local_ts=(pair.LEFT_NET,), remote_ts=(pair.RIGHT_NET,))
    bed.start(
        replace(ours, child_extra=our_child("net2", LEFT_NET_2, RIGHT_NET_2)),
        with_children(replace(THEIRS, child_options={"reqid": "7"}), {"net2": keys}),
    )
    bed.up("ikepy", "net")
    bed.up("ikepy", "net2", children=2)
    for _ in range(2):
        assert not reaches(bed.pair.right_host, pair.RIGHT_HOST, pair.LEFT_HOST)
    told = found(bed, "outside-selectors-in", "2 packets")
    assert told["what"] == (
        "2 packets of the peer were dropped: outside the selectors of net2, the last one "
        f"{pair.RIGHT_HOST} -> {pair.LEFT_HOST}, protocol 1."
    )
    assert "net permits it: the peer sends it under the SA of net2" in told["why"]
    assert told["do"] == "Mend the peer's configuration of the two children."
    assert told["ours"] == [f"{LEFT_NET_2} === {RIGHT_NET_2}"]
    assert "outside the selectors of net2" in printed(bed)
