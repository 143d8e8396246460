"""What the benchmarks rest on: datagrams are counted exactly, and nothing is left behind."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from benchmarks import bed, latency, packet_rate
from benchmarks.setting import Setting
from tests.netns.namespaces import wait_until

pytestmark = pytest.mark.root

ROOT = Path(__file__).resolve().parents[2]
NAMESPACES = Path("/run/netns")
RATE, SECONDS = 2_000, 0.5  # a rate that a machine with other work carries too


def setting() -> Setting:
    return Setting(f"ikt-bench{os.getpid()}-", 1, 1, True, lambda _: None)


def test_trial_without_a_tunnel(tmp_path: Path) -> None:
    """All of it arrives; of a link that drops every tenth packet exactly nine in ten do."""
    with bed.hosts(setting()) as (hosts, _), bed.tunnel(bed.NONE, hosts, tmp_path) as tunnel:
        said: list[str] = []
        whole = packet_rate.trial(tunnel, 64, RATE, SECONDS, said.append)
        assert whole.loss == 0
        assert 0.5 * RATE < whole.offered < 1.05 * RATE
        assert len(said) == 1
        hosts.right.run(
            "nft",
            "add table ip lossy; add chain ip lossy forward { type filter hook forward priority 0; };"
            "add rule ip lossy forward udp dport 5300 numgen inc mod 10 0 drop",
        )
        lossy = packet_rate.trial(tunnel, 1300, RATE, SECONDS, said.append)
        assert lossy.loss == pytest.approx(0.1, abs=0.01)
        assert not lossy.passed
        assert len(latency.round_trips(hosts.left_host, 0.1)) == 10


@pytest.mark.strongswan
def test_sigterm_leaves_nothing_behind() -> None:
    with subprocess.Popen(
        [sys.executable, "-m", "benchmarks", "--quick", "--only", "udp64"],
        cwd=ROOT,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
        text=True,
    ) as process:
        try:

            def namespaces() -> list[Path]:
                return list(NAMESPACES.glob(f"ikb{process.pid}-*"))

            wait_until(lambda: len(namespaces()) == 4 or process.poll() is not None, "four namespaces")
            process.send_signal(signal.SIGTERM)
            process.send_signal(signal.SIGTERM)  # more than one changes nothing
            _, said = process.communicate(timeout=60)
        finally:
            process.kill()
    assert process.returncode == 130, said
    assert said.endswith("benchmarks: interrupted\n")
    assert namespaces() == []
