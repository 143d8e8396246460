"""The command line: its words, its exit statuses, and that it never shows a secret."""

import json
import subprocess
import sys
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from ikepy import __version__
from ikepy.cli import main
from tests.unit.config.example import EXAMPLE
from tests.unit.fake_daemon import fake_daemon, lines
from tests.unit.listings import CONNECTION, IKE_SA

STRONG = "LzU0vX3nRkq9TfWm7cYh"
DONE = lines({"log": "site-b #1: sending IKE_SA_INIT"}, {"ok": True, "result": "net is up"})


def ikepy(*words: str | Path, environment: dict[str, str] | None = None) -> Result:
    return CliRunner().invoke(main, [str(word) for word in words], env=environment)


@pytest.fixture
def socket(tmp_path: Path) -> Path:
    return tmp_path / "ikepy.sock"


@pytest.fixture
def good(tmp_path: Path) -> Path:
    path = tmp_path / "good.toml"
    path.write_text(EXAMPLE.replace("s3cr3t", STRONG))
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
        ["counters"],
        ["initiate"],
        ["terminate"],
        ["rekey"],
        ["lab"],
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
        "site-b: 192.0.2.1 to 192.0.2.2, device vti0, children: net\n"
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


def test_check_of_no_file(tmp_path: Path) -> None:
    result = ikepy("check", "-c", tmp_path / "absent.toml")
    assert result.exit_code == 1
    assert "can't be read: No such file or directory; name the configuration with -c FILE" in result.stdout


def test_run_refuses_a_bad_file(bad: Path) -> None:
    result = ikepy("run", "-c", bad)
    assert result.exit_code == 1
    assert result.stdout == ""
    assert "connections.site-b.vti.mut: unknown key" in result.stderr


@pytest.mark.parametrize(
    "command",
    [["list-sas"], ["list-conns"], ["initiate", "--child", "net"], ["terminate", "--ike", "site-b"]],
)
def test_no_daemon(socket: Path, command: list[str]) -> None:
    result = ikepy(*command, "--socket", socket)
    assert result.exit_code == 1
    assert result.stdout == ""
    assert f"no ikepy daemon is running at {socket}" in result.stderr


def test_list_sas(socket: Path) -> None:
    with fake_daemon(socket, lines({"ok": True, "result": [IKE_SA]})):
        result = ikepy("list-sas", "--socket", socket)
    assert result.exit_code == 0
    assert result.stdout.startswith("site-b: #1, ESTABLISHED, IKEv2, ")


@pytest.mark.parametrize(
    ("words", "arguments", "told"),
    [
        ("", {}, "no IKE_SA is up"),
        ("--ike b", {"ike": "b"}, "no IKE_SA of b is up"),
        ("--ike-id 3", {"ike_id": 3}, "no IKE_SA #3 is up"),
        ("--ike b --ike-id 3", {"ike": "b", "ike_id": 3}, "no IKE_SA #3 of b is up"),
        ("--raw", {}, "[]"),
    ],
)
def test_list_sas_where_there_is_none(
    socket: Path, words: str, arguments: dict[str, object], told: str
) -> None:
    with fake_daemon(socket, lines({"ok": True, "result": []})) as daemon:
        result = ikepy("list-sas", "--socket", socket, *words.split())
    assert daemon.requests == [{"command": "list-sas", "args": arguments}]
    assert (result.exit_code, result.stdout) == (0, f"{told}\n")


def test_list_sas_of_a_name_that_there_is_not(socket: Path) -> None:
    with fake_daemon(socket, lines({"ok": False, "error": "no connection 'b' is configured; there is a"})):
        result = ikepy("list-sas", "--ike", "b", "--socket", socket)
    assert (result.exit_code, result.stdout) == (1, "")
    assert result.stderr == "ikepy: no connection 'b' is configured; there is a\n"


def test_terminal_is_safe_from_identities(socket: Path) -> None:
    sa = IKE_SA | {"remote_id": "\x1b[2Jgwb"}
    with fake_daemon(socket, lines({"ok": True, "result": [sa]})):
        result = ikepy("list-sas", "--socket", socket)
    assert "\x1b" not in result.stdout
    assert "'?[2Jgwb'" in result.stdout


def test_list_conns(socket: Path) -> None:
    with fake_daemon(socket, lines({"ok": True, "result": [CONNECTION]})):
        assert ikepy("list-conns", "--socket", socket).stdout.startswith(
            "site-b: IKEv2\n  local:  192.0.2.1\n"
        )
        assert json.loads(ikepy("list-conns", "--raw", "--socket", socket).stdout) == [CONNECTION]


def test_socket_from_the_environment(socket: Path) -> None:
    with fake_daemon(socket, lines({"ok": True, "result": []})):
        result = ikepy("list-sas", environment={"IKEPY_SOCKET": str(socket)})
    assert result.exit_code == 0


@pytest.mark.parametrize(
    ("words", "request_"),
    [
        ("initiate --child net", {"command": "initiate", "args": {"child": "net"}}),
        (
            "initiate -c net -i site-b -t 5",
            {"command": "initiate", "args": {"child": "net", "ike": "site-b", "timeout": 5.0}},
        ),
        ("terminate --ike site-b", {"command": "terminate", "args": {"ike": "site-b"}}),
        ("terminate --child net --force", {"command": "terminate", "args": {"child": "net", "force": True}}),
        (
            "terminate --ike-id 3 --timeout 2",
            {"command": "terminate", "args": {"ike_id": 3, "timeout": 2.0}},
        ),
        ("terminate --child-id 4", {"command": "terminate", "args": {"child_id": 4}}),
    ],
)
def test_initiate_and_terminate(socket: Path, words: str, request_: object) -> None:
    with fake_daemon(socket, DONE) as daemon:
        result = ikepy(*words.split(), "--socket", socket)
    assert daemon.requests == [request_]
    assert result.exit_code == 0
    done = f"{words.split()[0]} completed successfully: net is up"
    assert result.stdout == f"site-b #1: sending IKE_SA_INIT\n{done}\n"


def test_failure_is_told(socket: Path) -> None:
    answer = lines({"log": "AUTHENTICATION_FAILED"}, {"ok": False, "error": "the peer refused us"})
    with fake_daemon(socket, answer):
        result = ikepy("initiate", "--child", "net", "--socket", socket)
    assert result.exit_code == 1
    assert result.stdout == "AUTHENTICATION_FAILED\n"
    assert result.stderr == "ikepy: initiate failed: the peer refused us\n"


@pytest.mark.parametrize(
    "words",
    [["terminate"], ["terminate", "--force"], ["initiate"], ["list-sas", "--ike-id", "x"], ["nonsense"]],
)
def test_wrong_words(words: list[str]) -> None:
    assert ikepy(*words).exit_code == 2


def test_the_daemon_does_not_load_the_lab() -> None:
    code = "import sys, ikepy.cli; sys.exit(any(m.startswith(('ikepy.lab', 'scapy')) for m in sys.modules))"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0
