"""CPU seconds and memory of processes, with this one as the example."""

from __future__ import annotations

import os
import subprocess
import time

from benchmarks import usage


def test_cpu_seconds_grow_with_work() -> None:
    before = usage.cpu_seconds([os.getpid()])
    end = time.process_time() + 0.1
    while time.process_time() < end:
        pass
    spent = usage.cpu_seconds([os.getpid()]) - before
    assert 0.05 <= spent < 10
    assert abs(usage.cpu_seconds([os.getpid()]) - time.process_time()) < 1


def test_a_process_that_is_gone_counts_nothing() -> None:
    with subprocess.Popen(["true"]) as process:
        process.wait()
    assert usage.cpu_seconds([process.pid]) == 0


def test_memory() -> None:
    pid = os.getpid()
    resident, peak = usage.resident(pid), usage.peak(pid)
    assert 10 < resident <= peak + 1 < 4096


def test_we_are_no_worker() -> None:
    assert not usage.is_worker(os.getpid())
