"""Real attackers against a real gateway: tunnels, their operator and new peers go on.

At ten times the rates of `benchmarks.flood`, which measures the same for longer. Where the machine has other
work, too, a new peer may have to ask twice, and an operator to wait; peers that stand must not notice.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from benchmarks.flood import RATES, UNREAD
from benchmarks.siege import Felt, Siege, longest

pytestmark = pytest.mark.root

SECONDS = 4.0
SECOND_TRY = 4.0 + 5.0  # seconds: the first retransmission and what a busy machine takes; the next is at 11.2
GROWTH = 40.0  # MiB
LOG = 200.0  # KiB


@pytest.fixture(scope="module")
def siege(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Siege]:
    with Siege("ikt-siege-", tmp_path_factory.mktemp("siege")) as bed:
        yield bed


def assert_nothing_was_felt(felt: Felt) -> None:
    assert not felt.lost, "the tunnel stands"
    assert felt.retransmits == 0, "DPD and rekeys are answered"
    for times in (felt.rekeys, felt.listing, felt.fresh, felt.near):
        most = longest(times)
        assert most is not None
        assert most < SECOND_TRY
    before, highest = felt.memory
    assert highest < before + GROWTH
    assert felt.log_octets < LOG * 1024


@pytest.mark.parametrize("sources", [1, 1000])
@pytest.mark.parametrize("kind", [kind for kind in RATES if kind != UNREAD])
def test_attack(siege: Siege, kind: str, sources: int) -> None:
    assert_nothing_was_felt(siege.attacked(kind, 10 * RATES[kind], sources, SECONDS))


def test_refused_requests_while_nobody_reads_the_log(tmp_path: Path) -> None:
    with Siege("ikt-unread-", tmp_path, unread=True) as bed:
        felt = bed.attacked(UNREAD, 10 * RATES[UNREAD], 1000, SECONDS)
    assert_nothing_was_felt(felt)
