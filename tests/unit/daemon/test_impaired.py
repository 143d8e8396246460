"""`daemon.impaired`: consent, names, a loud log; and a usual daemon loads nothing of it."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from ikepy.config.difference import difference
from ikepy.config.model import Config
from ikepy.config.sources import swanctl
from ikepy.config.toml_source import parse
from ikepy.daemon.errors import StartError
from ikepy.daemon.impaired import LOUD, machine_of
from ikepy.daemon.main import machine_class
from ikepy.daemon.process.launcher import IMPAIRMENTS, environment
from ikepy.errors import ConfigError
from tests.unit.config.example import EXAMPLE
from tests.unit.daemon.bed import Bed, run
from tests.unit.daemon.diagnosis.bed import Bed as Diagnosis
from tests.unit.daemon.diagnosis.bed import codes
from tests.unit.daemon.vici.test_commands import OK, Vici
from tests.unit.daemon.vici.test_loading import section

ALLOWED = "[daemon]\nimpairments_allowed = true\n"
ON_CONNECTION = EXAMPLE.replace(
    "[connections.site-b]", '[connections.site-b]\nimpairments = ["corrupt-auth"]', 1
)


def config(daemon: str = "") -> Config:
    return parse(EXAMPLE + daemon)


def test_the_command_line_needs_consent(tmp_path: Path) -> None:
    with pytest.raises(StartError, match=r"^--impair corrupt-auth: it makes .* into \[daemon\]$"):
        machine_of(config(), ["corrupt-auth"])
    file = tmp_path / "site.toml"
    file.write_text(EXAMPLE)
    command = [sys.executable, "-m", "ikepy", "run", "-c", str(file), "--socket", str(tmp_path / "s")]
    made = subprocess.run([*command, "--impair", "corrupt-auth"], capture_output=True, text=True, timeout=60)
    assert made.returncode == 1
    assert f"{file}: --impair corrupt-auth: it makes the daemon break the protocol" in made.stderr


def test_a_name_that_is_none() -> None:
    with pytest.raises(StartError, match=r"^--impair: there is no impairment"):
        machine_of(config(ALLOWED), ["nonsense"])
    with pytest.raises(StartError, match=r"^daemon\.impairments\[1\]: there is no impairment"):
        machine_of(config(ALLOWED + 'impairments = ["corrupt-auth", "nonsense"]\n'), [])


@pytest.mark.parametrize("text", [EXAMPLE + '\n[daemon]\nimpairments = ["corrupt-auth"]\n', ON_CONNECTION])
def test_a_configuration_needs_consent(text: str) -> None:
    with pytest.raises(ConfigError, match=r"impairments: .*impairments_allowed = true into \[daemon\]"):
        parse(text)


SWANCTL = """
connections {
  site {
    remote_addrs = 192.0.2.2
    impairments = corrupt-auth, nonce-size=8
    children { net { remote_ts = 10.2.0.0/16 } }
  }
}
secrets { ike { secret = LzU0vX3nRkq9TfWm7cYh } }
"""


def test_swanctl_conf() -> None:
    with pytest.raises(ConfigError, match=r"s\.conf:5: connections\.site\.impairments: makes the daemon"):
        swanctl.draft(Path("s.conf"), SWANCTL).read()
    allowed = SWANCTL + "daemon { impairments_allowed = yes }\n"
    read = swanctl.draft(Path("s.conf"), allowed).read().config
    assert read.connections["site"].impairments == ("corrupt-auth", "nonce-size=8")


def test_vici(control: Path) -> None:
    async def scenario(bed: Bed) -> None:
        client = await Vici.connect(bed)
        spoilt = section(impairments="corrupt-auth, nonce-size=8")
        said = await client.fails("load-conn", site=spoilt)
        assert "connections.site.impairments: makes the daemon break the protocol" in said
        client.writer.close()

    async def allowed(bed: Bed) -> None:
        client = await Vici.connect(bed)
        said = await client.fails("load-conn", site=section(impairments="nonsense"))
        assert "connections.site.impairments[0]: there is no impairment" in said
        assert await client.ask("load-conn", site=section(impairments="corrupt-auth, nonce-size=8")) == (
            OK,
            [],
        )
        assert bed.machine.config.connections["site"].impairments == ("corrupt-auth", "nonce-size=8")
        client.writer.close()

    run(Bed(control), scenario)
    run(Bed(control, settings={"impairments_allowed": True}), allowed)


def test_a_loud_log(caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(IMPAIRMENTS, "")
    machine_of(config(ALLOWED + 'impairments = ["corrupt-auth"]\n'), ["nonce-size=8"])
    assert [record.levelname for record in caplog.records] == ["WARNING"] * 3
    assert [record.getMessage() for record in caplog.records] == [
        LOUD,
        "nonce-size=8: it sends nonces of a size that is not allowed (RFC 7296 3.9)",
        "corrupt-auth: it sends a wrong AUTH (RFC 7296 2.15)",
    ]
    assert os.environ[IMPAIRMENTS] == "nonce-size=8 corrupt-auth"


def test_workers_hear_of_it_from_an_impaired_daemon_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(IMPAIRMENTS, "esp-bad-icv")
    assert environment()[IMPAIRMENTS] == "esp-bad-icv"
    assert isinstance(machine_class(config(), []), type)
    assert IMPAIRMENTS not in environment()


def test_those_of_the_daemon_stay_until_it_is_started_anew() -> None:
    """As its workers have them: none of them goes on breaking ESP when status has forgotten it."""
    impaired = config(ALLOWED + 'impairments = ["esp-bad-icv"]\n')
    change = difference(impaired, config(ALLOWED))
    assert [key for key, _ in change.fixed] == ["daemon.impairments"]
    assert change.config.daemon.impairments == ("esp-bad-icv",)


def test_status_tells_of_it() -> None:
    bed = Diagnosis()
    bed.config = bed.config.model_copy(update={"impairments": ("corrupt-auth",)})
    assert "impaired" in codes(bed.diagnosis(up=True))


def test_a_usual_daemon_loads_nothing_of_it() -> None:
    script = "import ikepy.daemon.main, ikepy.cli, sys; print([m for m in sys.modules if 'impair' in m])"
    made = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)
    assert made.stdout == "[]\n"
