"""Many runs over all processors."""

from __future__ import annotations

import os
import re
import time
from collections import Counter
from collections.abc import Iterator
from concurrent.futures import ProcessPoolExecutor
from multiprocessing import get_context

from .scenario import Result, run

CHUNK = 50  # runs handed to a process at a time
SHOWN = 20  # failing seeds of one kind that are named


def pool() -> ProcessPoolExecutor:
    """A process for each processor."""
    return ProcessPoolExecutor(os.cpu_count(), mp_context=get_context("spawn"))


def runs(first: int, count: int) -> Iterator[Result]:
    """`count` runs with the seeds from `first` on, in any number of processes."""
    with pool() as processes:
        yield from processes.map(run, range(first, first + count), chunksize=CHUNK)


def soak(first: int, count: int) -> int:
    """Run, tell how far it is and which seeds failed; gives the exit code."""
    began, told = time.monotonic(), 0.0
    failed: dict[str, list[int]] = {}
    totals: Counter[str] = Counter()
    for result in runs(first, count):
        totals.update(runs=1, messages=result.messages, packets=result.packets, lost=result.lost)
        if result.error:
            print(f"seed {result.seed}: {result.error}", flush=True)
            failed.setdefault(_kind(result.error), []).append(result.seed)
        passed = time.monotonic() - began
        if passed - told > 10:
            told = passed
            print(f"{totals['runs']} of {count} runs in {passed:.0f} s", flush=True)
    seconds = time.monotonic() - began
    print(
        f"{totals['runs']} runs in {seconds:.0f} s: {totals['messages']} IKE messages, "
        f"{totals['packets']} packets, {totals['lost']} lost where they may be; "
        f"{sum(map(len, failed.values()))} runs failed"
    )
    for kind, seeds in failed.items():
        print(f"  {len(seeds)} x {kind}: {' '.join(map(str, seeds[:SHOWN]))}")
    return bool(failed)


def _kind(error: str) -> str:
    """The error without the numbers and names that differ from run to run."""
    return re.sub(r"\b[0-9a-f_]*[0-9][0-9a-f_]*\b|\b(ab|cb|a|b|c|net|second)\b", "*", error)
