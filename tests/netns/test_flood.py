"""A flood of spoofed IKE_SA_INIT keeps no peer out and costs no memory (RFC 7296 2.6)."""

from pathlib import Path

import pytest

from benchmarks.flood import flooded_pair, resident, set_up, spoof
from ikepy.lab import pair

pytestmark = pytest.mark.root

DATAGRAMS = 10_000
GROWTH = 8.0  # MiB: thirty half-open IKE_SAs are far less


def test_flood(tmp_path: Path) -> None:
    with flooded_pair("ikt-flood-", tmp_path) as (bed, left, right):
        set_up(left)
        before = resident(right)
        bed.left.inside(lambda: spoof(pair.RIGHT, DATAGRAMS))
        set_up(left)
        assert resident(right) < before + GROWTH
        assert len(right.list_sas()) <= 30 + 1, "what strangers began is bounded"
