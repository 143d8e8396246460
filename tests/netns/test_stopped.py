"""A worker or a daemon that stands still (SIGSTOP): who notices, and how soon."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time

import pytest

from tests.netns.gateways import LEFT, RIGHT, Gateway, Pair, configuration, has_carrier, ping
from tests.netns.namespaces import wait_until

pytestmark = pytest.mark.root

START = 'start_action = "start"'


@pytest.fixture
def up(pair: Pair) -> Pair:
    pair.right.start(configuration(RIGHT, LEFT))
    pair.left.start(configuration(LEFT, RIGHT, child=START))
    wait_until(pair.left.children, "the child is installed")
    return pair


def ikepy(gateway: Gateway, *arguments: str) -> tuple[int, str, float]:
    """Exit status, what it says, and the seconds that it took."""
    begin = time.monotonic()
    command = [sys.executable, "-m", "ikepy", *arguments, "--socket", str(gateway.socket)]
    done = subprocess.run(command, capture_output=True, text=True, timeout=30, check=False)
    return done.returncode, done.stdout + done.stderr, time.monotonic() - begin


def test_a_worker_that_stands_still_is_replaced(up: Pair) -> None:
    left = up.left.namespace
    (old,) = up.left.children()
    (pid,) = (pid for pid in up.left.workers() if f"pid {pid}" in up.left.log())
    assert ping(left, LEFT, RIGHT)
    os.kill(pid, signal.SIGSTOP)
    wait_until(lambda: "has not answered for" in up.left.log(), "the worker's silence is noticed", timeout=10)

    def replaced() -> bool:
        return any(child["spi_in"] != old["spi_in"] for child in up.left.children())

    wait_until(replaced, "a new child", timeout=10)
    assert has_carrier(left)
    assert ping(left, LEFT, RIGHT)
    assert pid not in up.left.workers()
    assert old["spi_in"] not in {child["spi_in"] for child in up.left.children()}


def test_a_machine_that_stood_still_loses_no_worker(up: Pair) -> None:
    (old,) = up.left.children()
    workers = up.left.workers()
    assert up.left.process is not None
    everybody = [up.left.process.pid, *workers]
    for pid in everybody:
        os.kill(pid, signal.SIGSTOP)
    time.sleep(5)
    for pid in everybody:
        os.kill(pid, signal.SIGCONT)
    assert ping(up.left.namespace, LEFT, RIGHT)
    time.sleep(3)
    assert up.left.workers() == workers
    assert [child["spi_in"] for child in up.left.children()] == [old["spi_in"]]


@pytest.mark.parametrize(
    "command",
    [("list-sas",), ("initiate", "--child", "net"), ("terminate", "--ike", "tunnel"), ("counters",)],
)
def test_a_daemon_that_stands_still_is_told_within_five_seconds(pair: Pair, command: tuple[str, ...]) -> None:
    pair.left.start(configuration(LEFT, RIGHT))
    assert pair.left.process is not None
    pair.left.process.send_signal(signal.SIGSTOP)
    try:
        status, text, seconds = ikepy(pair.left, *command)
    finally:
        pair.left.process.send_signal(signal.SIGCONT)
    assert status == 1
    assert "does not answer: no sign of life for 4 s" in text
    assert seconds < 12  # of which 4 are waited, the rest is the interpreter's start on a busy machine


def test_an_outcome_that_takes_its_time_is_waited_for(pair: Pair) -> None:
    """Nobody is there to answer, but the daemon shows that it is at work."""
    pair.left.start(configuration(LEFT, RIGHT))
    status, text, seconds = ikepy(pair.left, "initiate", "--child", "net", "--timeout", "6")
    assert status == 1
    assert "not established after 6000ms" in text
    assert seconds >= 6
