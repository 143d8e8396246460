"""Ctrl-C while `ikepy` is still starting: it ends at once, by the signal, and shows no traceback."""

import os
import signal
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from tests.unit.config.example import EXAMPLE

# Python runs this before anything of ours; the signal comes when a module is about to be imported.
INTERRUPT = """
import os, signal, sys
WHERE = os.environ["INTERRUPT_AT"]
class Finder:
    def find_spec(self, name, path=None, target=None):
        if name == WHERE:
            os.kill(os.getpid(), int(os.environ["SIGNAL"]))
sys.meta_path.insert(0, Finder())
"""
NOWHERE = EXAMPLE.replace("192.0.2.1", "203.0.113.77")  # no address of ours: were it run, nothing is opened
MOMENTS = [
    "ikepy.cli",
    "click",
    "ikepy.control.client",
    "pydantic",
    "ikepy.config.toml_source",
    "ikepy.daemon.main",
    "asyncio",
    "pyroute2",
    "ikepy.sa.manager",
]


def start(
    tmp_path: Path,
    moment: str,
    text: str = NOWHERE,
    *,
    ignored: bool = False,
    number: int = signal.SIGINT,
    through: tuple[str, ...] = (),
) -> subprocess.CompletedProcess[str]:
    (tmp_path / "sitecustomize.py").write_text(INTERRUPT)
    config = tmp_path / "ikepy.toml"
    config.write_text(text)
    action = signal.SIG_IGN if ignored else signal.SIG_DFL  # whatever the tests themselves were started with
    return subprocess.run(
        [*through, sys.executable, "-m", "ikepy", "run", "-c", config, "--socket", tmp_path / "s"],
        env={**os.environ, "PYTHONPATH": str(tmp_path), "INTERRUPT_AT": moment, "SIGNAL": str(int(number))},
        capture_output=True,
        text=True,
        timeout=60,
        preexec_fn=lambda: signal.signal(signal.SIGINT, action),
    )


@pytest.mark.parametrize("moment", MOMENTS)
def test_ctrl_c_during_the_start(tmp_path: Path, moment: str) -> None:
    ended = start(tmp_path, moment)
    assert ended.returncode == -signal.SIGINT
    assert ended.stdout + ended.stderr == ""


@pytest.mark.root
@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_pid_1_is_ended_during_the_start(tmp_path: Path, number: signal.Signals) -> None:
    ended = start(tmp_path, "ikepy.cli", "", number=number, through=("unshare", "--pid", "--kill-child"))
    assert ended.returncode == 128 + number
    assert ended.stdout + ended.stderr == ""


def test_a_background_job_that_ignores_ctrl_c_goes_on(tmp_path: Path) -> None:
    ended = start(tmp_path, "click", EXAMPLE.replace("mtu ", "mut "), ignored=True)
    assert ended.returncode == 1
    assert "vti.mut: unknown key" in ended.stderr


def command(*words: str, **kept: Any) -> subprocess.CompletedProcess[str]:
    line = [sys.executable, "-m", "ikepy", *words]
    return subprocess.run(line, check=False, stderr=subprocess.PIPE, text=True, timeout=60, **kept)


@pytest.mark.parametrize("words", [("schema",), ("--help",)], ids=" ".join)
def test_a_full_disk_is_told(words: tuple[str, ...]) -> None:
    with Path("/dev/full").open("w") as full:
        ended = command(*words, stdout=full)
    assert ended.returncode == 1
    assert ended.stderr == "ikepy: standard output can't be written: No space left on device\n"


def test_a_pipe_that_nobody_reads_ends_it_quietly() -> None:
    read, write = os.pipe()
    os.close(read)
    try:
        ended = command("schema", stdout=write)
    finally:
        os.close(write)
    assert ended.returncode == 1 and ended.stderr == ""


def test_without_standard_output_nothing_breaks() -> None:
    assert command("--version", preexec_fn=lambda: os.close(1)).stderr == ""


def test_an_encoding_that_lacks_a_character() -> None:
    environment = {**os.environ, "PYTHONIOENCODING": "iso-8859-1"}
    ended = command("check", "--help", env=environment, stdout=subprocess.PIPE)
    assert ended.returncode == 0 and "IPSEC_?" in ended.stdout
