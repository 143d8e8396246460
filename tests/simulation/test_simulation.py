"""Ten thousand runs; `make soak` makes a million. A run that fails prints its seed and its ladder."""

from __future__ import annotations

from collections.abc import Iterator
from concurrent.futures import ProcessPoolExecutor

import pytest

from tests.simulation.many import CHUNK, pool
from tests.simulation.scenario import Result, run

RUNS = 10_000
PART = 500  # runs a test
SHOWN = 2  # ladders a test


@pytest.fixture(scope="module")
def processes() -> Iterator[ProcessPoolExecutor]:
    with pool() as started:
        yield started


@pytest.mark.parametrize("first", range(0, RUNS, PART))
def test_laws_hold(first: int, processes: ProcessPoolExecutor) -> None:
    results = list(processes.map(run, range(first, first + PART), chunksize=CHUNK))
    failed = [result for result in results if result.error]
    assert not failed, "\n".join(map(_report, failed[:SHOWN])) + f"\n{len(failed)} of {PART} runs failed"
    assert sum(result.messages for result in results) > 20 * PART
    assert sum(result.packets for result in results) > 50 * PART


def test_a_run_replays_exactly() -> None:
    for seed in range(20):
        assert run(seed, transcript=True) == run(seed, transcript=True)


def _report(result: Result) -> str:
    return (
        f"{result.transcript}\nseed {result.seed}: {result.error}\n"
        f"replay: python -m tests.simulation {result.seed}"
    )
