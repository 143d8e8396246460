"""A real daemon that is impaired, by its configuration, by a reload and by `ikepy run --impair`.

It is caught by what control sends and by the packets of its workers, and says so in log and status.
"""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from ikepy.lab.gateway import Gateway
from ikepy.lab.netns import LabError
from ikepy.lab.pair import Pair
from ikepy.lab.process import Process
from ikepy.probe import peer_config
from ikepy.probe.target import Limits
from tests.interop import probing
from tests.netns.namespaces import wait_until

pytestmark = pytest.mark.root

TARGET = probing.target(probing.IPV4).but(
    limits=Limits(response_s=4.0, retransmit_s=0.4, quiet_s=0.3, interval_s=0.0, case_s=20.0),
    identities={},
    credentials=None,
)
INIT, AUTH, LIVES, PING = "SGW.R.1.1.1.1.A", "SGW.R.1.1.1.2.D", "SGW.R.1.1.3.4", "SGW.R.1.1.1.3"


def configuration(*impairments: str, ours: str = "", allowed: bool = True) -> str:
    """`impairments`: of the daemon; `ours`: of the connection."""
    text = probing.with_secret(peer_config.ikepy(TARGET))
    listed = ", ".join(f'"{one}"' for one in impairments)
    head = "[connections.probe]\n"
    text = text.replace(head, f"{head}{ours}\n", 1)
    return f"{text}\n[daemon]\nimpairments_allowed = {str(allowed).lower()}\nimpairments = [{listed}]\n"


@pytest.fixture
def ends(prefixes: Iterator[str]) -> Iterator[Pair]:
    with Pair(next(prefixes)) as made:
        yield made


def failed(ends: Pair, *cases: str) -> set[str]:
    return set(probing.told(probing.run_cases(ends, TARGET, *cases)))


def test_control_and_workers(ends: Pair, tmp_path: Path) -> None:
    with Gateway(ends.right, tmp_path / "ikepy") as ours:
        ours.start(configuration("minor-version-bump", "esp-bad-icv"))
        assert failed(ends, INIT, LIVES, PING) == {INIT, PING}
        log = ours.log()
        assert "THIS DAEMON MAY BREAK THE PROTOCOL ON PURPOSE" in log
        assert "esp-bad-icv: it sends ESP with a wrong checksum" in log
        command = [sys.executable, "-m", "ikepy", "status", "--socket", str(ours.socket)]
        told = subprocess.run(command, capture_output=True, text=True, check=False).stdout
        assert "We break the protocol on purpose: minor-version-bump, esp-bad-icv." in told


def test_a_reload_changes_impairments(ends: Pair, tmp_path: Path) -> None:
    with Gateway(ends.right, tmp_path / "ikepy") as ours:
        ours.start(configuration())
        assert failed(ends, INIT, AUTH) == set()
        ours.reload(configuration(ours='impairments = ["corrupt-auth"]'))
        assert failed(ends, INIT, AUTH) == {AUTH}
        with pytest.raises(LabError, match="there is no impairment"):
            ours.reload(configuration(ours='impairments = ["nonsense"]'))
        assert failed(ends, INIT, AUTH) == {AUTH}
        ours.reload(configuration())
        assert failed(ends, INIT, AUTH) == set()


def test_the_command_line(ends: Pair, tmp_path: Path) -> None:
    file, socket = tmp_path / "ikepy.toml", tmp_path / "s"
    file.touch(0o600)
    file.write_text(configuration())
    command = [sys.executable, "-m", "ikepy", "run", "-c", str(file), "--socket", str(socket)]
    process = Process(ends.right, tmp_path)
    process.start(*command, "--impair", "corrupt-auth", "--impair", "esp-pad-length=200")
    try:
        wait_until(lambda: failed(ends, INIT) == set(), "the daemon answers")
        assert failed(ends, INIT, AUTH) == {AUTH}
        assert "corrupt-auth: it sends a wrong AUTH (RFC 7296 2.15)" in process.log()
    finally:
        process.stop(6.0)
