"""What the processes of a running daemon may do, by /proc/PID/status: hardly anything."""

from __future__ import annotations

import os
import pwd
import signal
import time
from pathlib import Path

import pytest

from ikepy.daemon.process.capabilities import KEPT, Capability
from tests.netns.gateways import LEFT, RIGHT, Pair, configuration, ping
from tests.netns.namespaces import wait_until

pytestmark = pytest.mark.root

START = 'start_action = "start"'
NOBODY = pwd.getpwnam("nobody")


def status(pid: int) -> dict[str, list[str]]:
    lines = Path(f"/proc/{pid}/status").read_text().splitlines()
    return {name: words.split() for name, words in (line.split(":", 1) for line in lines)}


def capabilities(words: list[str]) -> set[int]:
    (mask,) = words
    return {number for number in range(64) if int(mask, 16) >> number & 1}


def core_limit(pid: int) -> list[str]:
    (line,) = (line for line in Path(f"/proc/{pid}/limits").read_text().splitlines() if "core file" in line)
    return line.split()[4:6]


def worker(pair: Pair) -> int:
    (pid,) = (pid for pid in pair.left.workers() if f"pid {pid}" in pair.left.log())
    return pid


@pytest.fixture
def up(pair: Pair) -> Pair:
    pair.right.start(configuration(RIGHT, LEFT))
    pair.left.start(configuration(LEFT, RIGHT, child=START), before="ulimit -c unlimited")
    wait_until(pair.left.children, "the child is installed")
    assert ping(pair.left.namespace, LEFT, RIGHT)
    return pair


def test_a_worker_is_nobody_and_may_do_nothing(up: Pair) -> None:
    pid = worker(up)
    found = status(pid)
    assert found["Uid"] == [str(NOBODY.pw_uid)] * 4
    assert found["Gid"] == [str(NOBODY.pw_gid)] * 4
    assert found["Groups"] == []
    for name in ("CapInh", "CapPrm", "CapEff", "CapBnd", "CapAmb"):
        assert capabilities(found[name]) == set(), name
    assert found["NoNewPrivs"] == ["1"]
    assert core_limit(pid) == ["0", "0"]
    assert (
        Path(f"/proc/{pid}/environ").stat().st_uid == 0
    )  # not dumpable: nobody's other processes see nothing


def test_control_keeps_only_what_it_needs(up: Pair) -> None:
    assert up.left.process is not None
    found = status(up.left.process.pid)
    for name in ("CapPrm", "CapEff", "CapBnd"):
        assert capabilities(found[name]) <= {*KEPT, Capability.DAC_READ_SEARCH}, name
    assert capabilities(found["CapInh"]) == set()
    assert found["NoNewPrivs"] == ["1"]
    assert core_limit(up.left.process.pid) == ["0", "0"]


def test_a_worker_that_dies_or_hangs_is_replaced_by_one_that_is_nobody_too(up: Pair) -> None:
    for number in (signal.SIGKILL, signal.SIGSTOP):
        old = worker(up)
        time.sleep(1.0)  # a worker that dies at once is replaced a second later only
        os.kill(old, number)
        wait_until(lambda old=old: old not in up.left.workers(), "the old one is gone")  # type: ignore[misc]
        wait_until(lambda: ping(up.left.namespace, LEFT, RIGHT, count=1), "traffic again", timeout=10)
        assert status(worker(up))["Uid"] == [str(NOBODY.pw_uid)] * 4


def test_workers_of_the_daemons_own_user(pair: Pair) -> None:
    pair.right.start(configuration(RIGHT, LEFT))
    pair.left.start('[daemon]\nworker_user = ""\n' + configuration(LEFT, RIGHT, child=START))
    wait_until(pair.left.children, "the child is installed")
    assert ping(pair.left.namespace, LEFT, RIGHT)
    found = status(worker(pair))
    assert found["Uid"] == ["0"] * 4
    assert capabilities(found["CapEff"]) == capabilities(found["CapBnd"]) == set()


def test_a_user_that_there_is_not(pair: Pair) -> None:
    process = pair.left.launch('[daemon]\nworker_user = "nosuchuser"\n' + configuration(LEFT, RIGHT))
    assert process.wait(10) == 1
    assert "daemon.worker_user: there is no user 'nosuchuser' here: name one" in pair.left.log()


def test_a_worker_ends_with_its_daemon(up: Pair) -> None:
    pid = worker(up)
    up.left.kill()
    wait_until(lambda: not Path(f"/proc/{pid}").exists(), "the worker is gone")


@pytest.mark.parametrize("source", ["environment", "file", "text"])
def test_a_secret_is_in_no_processs_arguments_environment_and_log(
    pair: Pair, tmp_path: Path, source: str
) -> None:
    secret = "Zq8vN3xTfWm7cYhLzU0b2"
    (tmp_path / "psk").write_text(secret)
    text = configuration(LEFT, RIGHT, child=START).replace('secret = "s3cr3t"', "SECRET")
    given = {
        "environment": 'secret_env = "TEST_PSK"',
        "file": f'secret_file = "{tmp_path / "psk"}"',
        "text": f'secret = "{secret}"',
    }
    before = f"export TEST_PSK={secret}" if source == "environment" else ""
    pair.right.start(configuration(RIGHT, LEFT).replace("s3cr3t", secret))
    pair.left.start('[daemon]\nlog_level = "debug"\n' + text.replace("SECRET", given[source]), before=before)
    wait_until(pair.left.children, "the child is installed")
    assert pair.left.process is not None
    for pid in (pair.left.process.pid, *pair.left.workers()):
        assert secret.encode() not in Path(f"/proc/{pid}/cmdline").read_bytes()
        assert secret.encode() not in Path(f"/proc/{pid}/environ").read_bytes()
    log = pair.left.log()
    assert secret not in log
    assert secret.encode().hex() not in log


def test_a_process_that_crashes_leaves_no_core(up: Pair, tmp_path: Path) -> None:
    assert up.left.process is not None
    pid = up.left.process.pid
    os.kill(pid, signal.SIGABRT)
    _, ended = os.waitpid(pid, 0)
    assert os.WTERMSIG(ended) == signal.SIGABRT
    assert not os.WCOREDUMP(ended)
    assert not [*tmp_path.rglob("core*")]
