"""Who is taken for hanging: what the kernel says of a process, and what control knows of itself."""

import os
from pathlib import Path

import pytest

from ikepy.daemon.workers.heartbeat import BEAT, PATIENCE, START, STARVED, Pulse

TICKS = os.sysconf("SC_CLK_TCK")


class Process:
    """A worker whose /proc/PID/stat a test writes; asked every BEAT, as control does."""

    def __init__(self, directory: Path) -> None:
        self._stat = directory / "stat"
        self.now = 100.0
        self.pulse = Pulse(self._stat, self.now)
        self.is_("S")

    def is_(self, state: str, cpu: float = 0.0) -> None:
        self._stat.write_text(f"7 (a ) S (b) {state} " + "0 " * 10 + f"{int(cpu * TICKS)} 0 0 0")

    def owes(self, seconds: float, share: float = 0.0, state: str = "S") -> str | None:
        """What is said after so many more seconds without an answer, in which it gets a share of a CPU."""
        verdict, begin, end = None, self.now, self.now + seconds
        while verdict is None and self.now < end:
            self.now += BEAT
            self.is_(state, (self.now - begin) * share)
            verdict = self.pulse.verdict(self.now)
        return verdict


@pytest.fixture
def process(tmp_path: Path) -> Process:
    process = Process(tmp_path)
    process.pulse.begin(process.now)
    return process


@pytest.mark.parametrize(("state", "word"), [("T", "stopped"), ("S", "sleeps"), ("t", "traced")])
def test_one_that_does_not_want_a_cpu_hangs(process: Process, state: str, word: str) -> None:
    assert process.owes(PATIENCE - BEAT, state=state) is None
    assert process.owes(BEAT, state=state) == f"has not answered for 2.0 s ({word})"


def test_one_that_gets_no_cpu_is_starved(process: Process) -> None:
    assert process.owes(STARVED - BEAT, share=0.1, state="R") is None
    assert process.owes(BEAT, state="R") is not None


def test_one_that_uses_its_cpu_and_does_not_answer_hangs(process: Process) -> None:
    assert process.owes(PATIENCE, share=0.9, state="R") == "has not answered for 2.0 s (runs in circles)"


def test_one_that_waits_for_a_disk_gets_more_time(process: Process) -> None:
    assert process.owes(2 * PATIENCE, state="D") is None


def test_one_that_answers_does_not_hang(process: Process) -> None:
    for _ in range(10):
        assert process.owes(PATIENCE - BEAT, state="S") is None
        process.pulse.answered(process.now)


def test_while_control_does_not_run_nobody_is_late(process: Process) -> None:
    process.now += 40.0
    process.pulse.excuse(40.0)
    assert process.owes(PATIENCE - BEAT) is None
    assert process.owes(BEAT) is not None


def test_without_descriptors_the_state_is_unknown(process: Process, tmp_path: Path) -> None:
    (tmp_path / "stat").unlink()
    process.now += PATIENCE + BEAT
    assert process.pulse.verdict(process.now) is None
    process.now += STARVED
    verdict = process.pulse.verdict(process.now)
    assert verdict is not None
    assert "unknown" in verdict


def test_one_that_never_gets_to_work(tmp_path: Path) -> None:
    process = Process(tmp_path)
    assert process.owes(START - BEAT) is None
    assert process.owes(BEAT) == "is not at work 60 s after its start"
