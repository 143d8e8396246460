"""What `ikepy status` says of a real strongSwan's refusals, and of what we refuse it."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

import pytest

from ikepy.control.status import Finding, ask
from ikepy.lab import pair
from ikepy.lab.strongswan import Connection
from tests.interop.bed import OURS, THEIRS, Bed

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
