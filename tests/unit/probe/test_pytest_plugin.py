"""The pytest plugin: cases of a test module and of ours as tests, and what their verdicts become."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

from tests.unit.probe.two_peers import free_ports

CASES = '''
from ikepy.probe.registry import case
from ikepy.probe.verdict import NotApplicable

@case("OWN.1", rfc="RFC 7296 1.4")
async def passes(peer):
    """Passes."""
    peer.check(peer.target.remote_id.data == b"gw.example", "the identity of the options")

@case("OWN.2", rfc="RFC 7296 2.4")
async def fails(peer):
    """Fails."""
    peer.check(False, "one thing", "another")

@case("OWN.3", rfc="RFC 7296 1.4")
async def does_not_apply(peer):
    """Does not apply."""
    raise NotApplicable("it lacks that")

def test_beside():
    pass
'''


def pytest_run(directory: Path, *arguments: str) -> str:
    (directory / "test_own.py").write_text(CASES)
    command = [sys.executable, "-m", "pytest", "-p", "ikepy.probe.pytest_plugin", "-p", "no:cacheprovider"]
    options = ["-q", "-rs", "-c", "/dev/null", "--rootdir", str(directory), str(directory / "test_own.py")]
    done = subprocess.run([*command, *options, *arguments], capture_output=True, text=True, check=False)
    return done.stdout + done.stderr


def test_verdicts_are_outcomes(tmp_path: Path) -> None:
    ports = " ".join(map(str, free_ports(4)))
    options = f"--ports {ports} --remote-id gw.example"
    shown = pytest_run(tmp_path, "--probe-host", "127.0.0.1", "--probe-options", options)
    assert "1 failed, 2 passed, 1 skipped" in shown
    assert "fail: expected one thing; came another\nRFC 7296 2.4" in shown
    assert "it lacks that" in shown


def test_without_a_host_they_are_skipped(tmp_path: Path) -> None:
    assert "1 passed, 5 skipped" in pytest_run(tmp_path, "--probe-case", "SGW.R.1.1.1.1.[AB]")
