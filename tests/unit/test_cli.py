"""The command line: its words, its exit statuses, and that it never shows a secret."""

import json
import subprocess
import sys
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from ikepy import __version__
from ikepy.cli import main
from ikepy.daemon.device import sysctls
from ikepy.daemon.device.sysctls import Setting
from tests.unit.config.example import EXAMPLE

STRONG = "LzU0vX3nRkq9TfWm7cYh"


def ikepy(*words: str | Path, environment: dict[str, str] | None = None) -> Result:
    return CliRunner().invoke(main, [str(word) for word in words], env=environment)


IGNORED = '\n[daemon]\nsysctls = "ignore"\n'


PEER = "203.0.113.2"  # no address of a machine that runs tests


@pytest.fixture
def good(tmp_path: Path) -> Path:
    path = tmp_path / "good.toml"
    path.write_text(EXAMPLE.replace("s3cr3t", STRONG).replace("192.0.2.2", PEER) + IGNORED)
    path.chmod(0o600)
    return path


@pytest.fixture
def bad(tmp_path: Path) -> Path:
    path = tmp_path / "bad.toml"
    path.write_text(EXAMPLE.replace("mtu ", "mut ").replace('["0.0.0.0/0", "::/0"]', '["all"]'))
    return path


def test_version() -> None:
    assert ikepy("--version").stdout == f"ikepy, version {__version__}\n"


@pytest.mark.parametrize(
    "command",
    [
        [],
        ["run"],
        ["check"],
        ["convert"],
        ["schema"],
        ["list-sas"],
        ["list-conns"],
        ["list-pols"],
        ["list-algs"],
        ["list-certs"],
        ["list-authorities"],
        ["list-pools"],
        ["counters"],
        ["drops"],
        ["stats"],
        ["version"],
        ["initiate"],
        ["terminate"],
        ["rekey"],
        ["install"],
        ["uninstall"],
        ["reload"],
        ["reload-settings"],
        ["log"],
        ["monitor-sa"],
        ["decode"],
        ["lab"],
        ["pki"],
    ],
    ids=lambda words: words[0] if words else "ikepy",
)
def test_help_has_examples(command: list[str]) -> None:
    result = ikepy(*command, "--help")
    assert result.exit_code == 0
    assert "Examples:" in result.stdout
    assert " ".join(["ikepy", *command]) in result.stdout.split("Examples:")[1]


def test_check_of_a_good_file(good: Path) -> None:
    result = ikepy("check", "-c", good)
    assert result.exit_code == 0
    assert result.stdout == (
        f"site-b: 192.0.2.1 to {PEER}, device vti0, children: net\n"
        f"{good}: 1 connection, 1 secret, no mistakes\n"
    )


def test_check_warns_of_what_is_hardly_meant(good: Path) -> None:
    good.chmod(0o644)
    result = ikepy("check", "-c", good)
    assert result.exit_code == 0
    told = result.stdout.splitlines()
    assert told[1].startswith(
        f"{good}: secrets.ike-site-b.secret: warning: this file holds it, and every user"
    )
    assert told[2] == f"{good}: 1 connection, 1 secret, no mistakes, 1 warning"
    assert STRONG not in result.output


def test_check_warns_of_the_kernels_settings(good: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    lacks = Setting(("net", "ipv4", "ip_forward"), 1, "IPv4 is not forwarded")
    monkeypatch.setattr(sysctls, "lacking", lambda _: [lacks])
    good.write_text(good.read_text().removesuffix(IGNORED))
    told = ikepy("check", "-c", good).stdout.splitlines()
    assert f"{good}: daemon.sysctls: warning: IPv4 is not forwarded: sysctl -w net.ipv4.ip_forward=1" in told


def test_check_looks_at_this_machine(good: Path) -> None:
    good.write_text(good.read_text().replace('"vti0"', '"lo"'))
    result = ikepy("check", "-c", good)
    assert result.exit_code == 1
    assert result.stdout.startswith(f"{good}: connections.site-b.vti.name: lo exists on this machine")


def test_check_prints_every_mistake(bad: Path) -> None:
    result = ikepy("check", "-c", bad)
    assert result.exit_code == 1
    told = result.stdout.splitlines()
    keys = {line.removeprefix(f"{bad}: ").split(": ")[0] for line in told}
    assert keys == {
        "connections.site-b.children.net.local_ts[0]",
        "connections.site-b.children.net.remote_ts[0]",
        "connections.site-b.vti.mut",
    }
    assert all("allowed: " in line for line in told)
    assert "s3cr3t" not in result.output


def test_check_as_json(good: Path, bad: Path) -> None:
    done = ikepy("check", "--json", "-c", good)
    told = json.loads(done.stdout)
    assert (done.exit_code, told["file"], told["format"], told["mistakes"]) == (0, str(good), "TOML", [])
    (connection,) = told["connections"]
    assert connection["name"] and connection["device"] and connection["children"]
    good.chmod(0o644)
    warnings = json.loads(ikepy("check", "--json", good).stdout)["warnings"]
    assert all(one["where"].startswith(str(good)) and one["text"] for one in warnings)
    lines = ikepy("check", good).stdout.splitlines()
    assert len([line for line in lines if ": warning: " in line]) == len(warnings) > 0
    done = ikepy("check", "--json", "-c", bad)
    mistakes = json.loads(done.stdout)["mistakes"]
    lines = [": ".join(filter(None, (one["where"], one["key"], one["text"]))) for one in mistakes]
    assert (done.exit_code, lines) == (1, ikepy("check", "-c", bad).stdout.splitlines())


def test_check_of_no_file(tmp_path: Path) -> None:
    result = ikepy("check", "-c", tmp_path / "absent.toml")
    assert result.exit_code == 1
    assert "can't be read: No such file or directory; name the configuration with -c FILE" in result.stdout


def test_run_refuses_a_bad_file(bad: Path) -> None:
    result = ikepy("run", "-c", bad)
    assert result.exit_code == 1
    assert result.stdout == ""
    assert "connections.site-b.vti.mut: unknown key" in result.stderr


def test_the_daemon_does_not_load_the_lab() -> None:
    never = ("ikepy.lab", "ikepy.pki", "scapy")
    code = f"import sys, ikepy.cli; sys.exit(any(m.startswith({never!r}) for m in sys.modules))"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0
