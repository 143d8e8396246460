"""A process's policy in the scheduler, set by another one, and what is said where that is not permitted."""

import os
import subprocess
import sys
from collections.abc import Iterator

import pytest

from ikepy.daemon.process.priority import ORDINARY, set_priority

SCRIPT = """
import os
from ikepy.daemon.process.capabilities import keep_only
from ikepy.daemon.process.priority import set_priority
keep_only(())
print(set_priority(os.getpid(), 1))
"""
policy = os.SCHED_RR | os.SCHED_RESET_ON_FORK


@pytest.fixture
def sleeper() -> Iterator[int]:
    with subprocess.Popen(["sleep", "60"]) as process:
        yield process.pid
        process.kill()


@pytest.mark.root
def test_before_others_and_back(sleeper: int) -> None:
    assert set_priority(sleeper, 3) is None
    assert os.sched_getscheduler(sleeper) == policy
    assert os.sched_getparam(sleeper).sched_priority == 3
    assert set_priority(sleeper, ORDINARY) is None
    assert os.sched_getscheduler(sleeper) & ~os.SCHED_RESET_ON_FORK == os.SCHED_OTHER


@pytest.mark.root
def test_who_may_not_is_told_what_it_takes() -> None:
    done = subprocess.run([sys.executable, "-c", SCRIPT], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "that needs CAP_SYS_NICE"


def test_a_process_that_has_ended_is_no_problem() -> None:
    process = subprocess.Popen(["true"])
    process.wait()
    assert set_priority(process.pid, 1) is None
