"""`ikepy probe conformance --listen` as a command: an ikepy that is made to begin by commands."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from ikepy.lab import pair
from ikepy.lab.gateway import Connection, Gateway
from ikepy.lab.pair import Pair
from ikepy.probe.target import ESP_SUITE, IKE_SUITE
from tests.interop import probing

IKEPY = f"{sys.executable} -m ikepy"


@pytest.fixture
def bed(prefixes: Iterator[str], tmp_path: Path) -> Iterator[tuple[Pair, Gateway]]:
    """The probe on the left, on the right an ikepy in the common configuration."""
    with Pair(next(prefixes)) as ends, Gateway(ends.right, tmp_path / "ikepy") as ours:
        connection = Connection(
            local_addrs=(pair.RIGHT,),
            remote_addrs=(pair.LEFT,),
            local_id=pair.RIGHT,
            remote_id=pair.LEFT,
            proposals=(IKE_SUITE,),
            esp_proposals=(ESP_SUITE,),
            local_ts=(pair.RIGHT_NET,),
            remote_ts=(pair.LEFT_NET,),
            secret=probing.SECRET,
            extra="keyingtries = 1\n",
            daemon="retransmit_timeout = 0.3\n",
        )
        ours.start(connection)
        (tmp_path / "psk").write_text(probing.SECRET)
        yield ends, ours


def listen(ends: Pair, psk: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    command = (sys.executable, "-m", "ikepy", "probe", "conformance", pair.RIGHT, "--listen")
    options = ("--psk-file", str(psk), "--interval", "0", "--timeout", "20")
    return subprocess.run(
        ends.left.command(*command, *options, *arguments), capture_output=True, text=True, check=False
    )


def test_commands_that_make_it_act_and_one_that_configures_it(
    bed: tuple[Pair, Gateway], tmp_path: Path
) -> None:
    ends, ours = bed
    cases = ("-k", "SGW.I.1.1.1.1.A", "-k", "SGW.I.1.1.1.2.D", "-k", "SGW.I.1.1.6.1.A")
    initiate = f"{IKEPY} initiate --child net --socket {ours.socket}"
    stop = f"{IKEPY} terminate --ike net --force --socket {ours.socket}"
    triggers = ("--trigger", f"initiate={initiate}", "--trigger", f"stop=sh -c '{stop} || true'")
    done = listen(ends, tmp_path / "psk", *cases, *triggers)
    assert done.returncode == 0, done.stdout + done.stderr
    assert "2 pass, 0 fail, 1 not applicable, 0 inconclusive" in done.stdout
    assert "needs another configuration of the initiator: profile ike-A" in done.stdout

    script = tmp_path / "initiator"
    script.write_text(
        "#!/bin/sh\n"
        'test "$IKEPY_PROBE_IKE" = aes128-sha256-modp2048 || { echo "no such suite" >&2; exit 2; }\n'
        f"case $IKEPY_PROBE_ACTION in initiate) exec {initiate};; stop) {stop} || true;; esac\n"
    )
    script.chmod(0o700)
    done = listen(ends, tmp_path / "psk", *cases, "--initiator", str(script))
    assert done.returncode == 0, done.stdout + done.stderr
    assert "2 pass, 0 fail, 1 not applicable, 0 inconclusive" in done.stdout
    assert "no such suite" in done.stdout
