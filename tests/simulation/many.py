"""Many runs over all processors."""

from __future__ import annotations

import gc
import os
import re
import time
from collections.abc import Iterator
from concurrent.futures import ProcessPoolExecutor, as_completed
from dataclasses import dataclass, field
from multiprocessing import get_context

from .scenario import Result, run

PART = 100  # runs handed to a process at a time
AHEAD = 4  # parts a process that wait for it
SHOWN = 20  # failing seeds of one kind that are named
EVERY = 10.0  # seconds between two lines of progress


@dataclass(slots=True)
class Part:
    """What came of some runs, whose seeds follow each other."""

    runs: int = 0
    messages: int = 0
    packets: int = 0
    lost: int = 0
    taken_over: int = 0
    failed: list[Result] = field(default_factory=list)

    def add(self, other: Part) -> None:
        self.runs += other.runs
        self.messages += other.messages
        self.packets += other.packets
        self.lost += other.lost
        self.taken_over += other.taken_over
        self.failed += other.failed


def part(first: int, count: int) -> Part:
    """`count` runs with the seeds from `first` on, in this process."""
    total = Part()
    gc.freeze()  # modules and configurations stay
    gc.disable()  # a run makes few cycles, and looking for them takes an eighth of its time
    for seed in range(first, first + count):
        result = run(seed)
        failed = [result] if result.error else []
        total.add(Part(1, result.messages, result.packets, result.lost, result.taken_over, failed))
    gc.enable()
    gc.collect()
    return total


def pool(jobs: int | None = None) -> ProcessPoolExecutor:
    """A process for each processor, or as many as are wished."""
    return ProcessPoolExecutor(jobs or os.cpu_count(), mp_context=get_context("spawn"))


def parts(first: int, count: int, jobs: int | None) -> Iterator[Part]:
    """`count` runs in any number of processes, as they get done."""
    jobs = jobs or os.cpu_count() or 1
    end = first + count
    with pool(jobs) as processes:
        waiting = set()
        for begin in range(first, end, PART):
            waiting.add(processes.submit(part, begin, min(PART, end - begin)))
            while len(waiting) >= jobs * AHEAD:
                done = next(as_completed(waiting))
                waiting.remove(done)
                yield done.result()
        for done in as_completed(waiting):
            yield done.result()


def soak(first: int, count: int, jobs: int | None = None) -> int:
    """Run, tell how far it is and which seeds failed; gives the exit code."""
    began, told = time.monotonic(), 0.0
    total = Part()
    kinds: dict[str, list[int]] = {}
    for done in parts(first, count, jobs):
        total.add(done)
        for result in done.failed:
            seeds = kinds.setdefault(_kind(result.error), [])
            seeds.append(result.seed)
            if len(seeds) <= SHOWN:
                print(f"seed {result.seed}: {result.error}", flush=True)
        passed = time.monotonic() - began
        if passed - told >= EVERY:
            told = passed
            print(_progress(total.runs, count, passed), flush=True)
    seconds = time.monotonic() - began
    print(
        f"{total.runs} runs in {seconds:.0f} s, {total.runs / seconds:.0f} a second, seeds from {first} on: "
        f"{total.messages} IKE messages, {total.packets} packets, {total.lost} lost where they may be; "
        f"{len(total.failed)} runs failed"
    )
    for kind, seeds in kinds.items():
        print(f"  {len(seeds)} x {kind}: {' '.join(map(str, sorted(seeds)[:SHOWN]))}")
    return bool(total.failed)


def _progress(runs: int, count: int, seconds: float) -> str:
    rate = runs / seconds
    left = (count - runs) / rate
    return f"{runs} of {count} runs in {seconds:.0f} s, {rate:.0f} a second, {left / 60:.0f} minutes to go"


def _kind(error: str) -> str:
    """The error without the numbers and names that differ from run to run."""
    return re.sub(r"\b[0-9a-f_]*[0-9][0-9a-f_]*\b|\b(ab|cb|a|b|c|net|second)\b", "*", error)
