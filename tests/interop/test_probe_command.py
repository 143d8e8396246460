"""`ikepy probe conformance` as a command, against ikepy: reports, resumption, status, cases of one's own."""

from __future__ import annotations

import json
import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from ikepy.lab import pair
from ikepy.lab.gateway import Gateway
from ikepy.lab.netns import Namespace
from ikepy.lab.pair import Pair
from ikepy.probe import peer_config
from tests.interop import probing

DOCUMENTED = Path(__file__).resolve().parents[2] / "docs/probe.md"
FAILS = '''
from ikepy.wire.constants import NotifyType


@case("OWN.2", rfc="RFC 7296 1.4")
async def wrong(peer):
    """What no gateway does."""
    sa = await peer.establish()
    peer.check_notify(await peer.ask(sa.informational()), NotifyType.SET_WINDOW_SIZE)
'''


@pytest.fixture
def left(prefixes: Iterator[str], tmp_path: Path) -> Iterator[Namespace]:
    """The namespace of the probe; ikepy runs on the right."""
    with Pair(next(prefixes)) as ends, Gateway(ends.right, tmp_path / "ikepy") as ours:
        probing.write_certificates(probing.IPV4, tmp_path / "ikepy")
        ours.start(probing.with_secret(peer_config.ikepy(probing.target(probing.IPV4))))
        (tmp_path / "psk").write_text(probing.SECRET)
        documented = re.search("```python\n(.*?)```", DOCUMENTED.read_text(), re.DOTALL)
        assert documented is not None
        assert documented[1].count("\n") <= 15
        (tmp_path / "own.py").write_text(documented[1] + FAILS)
        yield ends.left


def conformance(left: Namespace, *arguments: str | Path) -> subprocess.CompletedProcess[str]:
    command = (sys.executable, "-m", "ikepy", "probe", "conformance", pair.RIGHT, "--interval", "0")
    return subprocess.run(
        left.command(*command, "--remote-host", pair.RIGHT_HOST, *map(str, arguments)),
        capture_output=True,
        text=True,
        check=False,
    )


def test_a_run_its_files_and_its_resumption(left: Namespace, tmp_path: Path) -> None:
    out, cases = tmp_path / "run", tmp_path / "run/cases"
    options = ("--psk-file", tmp_path / "psk", "--out", out, "-k", "SGW.R.1.1.4.1", "-k", "SGW.R.1.1.1.3")
    done = conformance(left, *options, "--junit", tmp_path / "junit.xml")
    assert done.returncode == 0, done.stdout + done.stderr
    assert "Test only what is yours" in done.stderr
    assert f"2 cases, one behind the other; datagrams go to {pair.RIGHT}, and to nobody else" in done.stderr
    assert "2 pass, 0 fail, 0 not applicable, 0 inconclusive" in done.stdout
    assert 'failures="0"' in (tmp_path / "junit.xml").read_text()
    assert "Echo" not in (cases / "SGW.R.1.1.4.1.json").read_text()
    assert (cases / "SGW.R.1.1.1.3.esp_sa").read_text().count("\n") == 2
    assert "echo request" in (cases / "SGW.R.1.1.1.3.html").read_text()
    assert "ENCR_3DES: ENCR_AES_CBC, 128 bits" in (out / "report.html").read_text()

    assert "--resume" in conformance(left, *options).stderr
    (cases / "SGW.R.1.1.4.1.json").unlink()
    again = conformance(left, *options, "--resume", "--json")
    assert again.returncode == 0, again.stderr
    assert json.loads(again.stdout)["counts"]["pass"] == 2
    assert (cases / "SGW.R.1.1.4.1.json").exists()


def test_cases_of_ones_own(left: Namespace, tmp_path: Path) -> None:
    own = ("--psk-file", tmp_path / "psk", "--load", tmp_path / "own.py", "-k", "OWN.*")
    done = conformance(left, *own)
    assert done.returncode == 3, done.stdout + done.stderr
    assert "1 pass, 1 fail" in done.stdout
    assert "expected N(SET_WINDOW_SIZE); came INFORMATIONAL response 2 SK []" in done.stdout
    assert "IKE_AUTH" in done.stdout  # the ladder


def test_an_initiator_that_a_command_makes_begin(left: Namespace, tmp_path: Path) -> None:
    ikepy = f"{sys.executable} -m ikepy"
    socket = f"--socket {tmp_path}/ikepy/ikepy.sock"
    script = tmp_path / "act"
    script.write_text(f"""\
#!/bin/sh
exec >/dev/null 2>&1
case "$IKEPY_PROBE_ACTION" in
    initiate) {ikepy} initiate --ike probe --child net {socket} & ;;
    stop) {ikepy} terminate --ike probe --force {socket}; true ;;
    *) exit 2 ;;
esac
""")
    script.chmod(0o755)
    options = ("--psk-file", tmp_path / "psk", "--timeout", "10", "-k", "SGW.I.1.1.1.1.[AD]")
    done = conformance(left, "--listen", "--initiator", script, *options)
    assert done.returncode == 0, done.stdout + done.stderr
    assert "2 pass" in done.stdout
