"""Our commands against a daemon: what they ask, what they print in each form, and how they end."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner, Result

from ikepy import __version__
from ikepy.cli import main
from tests.unit.control.messages import CONN, IKE, OUR_IKE, STATS
from tests.unit.listings import CONNECTION, IKE_SA
from tests.unit.vici_daemon import Answer, vici_daemon

LINE = {"group": "IKE", "level": "1", "ikesa-name": "site-b", "ikesa-uniqueid": "1", "msg": "sending"}
DONE = Answer({"success": "yes"}, [("control-log", LINE)])
SAS = {"list-sas": Answer({}, [("list-sa", {"site-b": OUR_IKE})])}
NONE = {"list-sas": Answer({})}


def ikepy(*words: str | Path, environment: dict[str, str] | None = None) -> Result:
    return CliRunner().invoke(main, [str(word) for word in words], env=environment)


@pytest.fixture
def socket(tmp_path: Path) -> Path:
    return tmp_path / "ikepy.sock"


def test_log_levels(socket: Path) -> None:
    levels = {"audit": "info", "ike": "debug"}
    with vici_daemon(socket, {"log-levels": Answer({"success": "yes", "levels": levels})}) as daemon:
        assert ikepy("log-levels", "--socket", socket).stdout == "audit=info ike=debug\n"
        as_json = ikepy("log-levels", "ike=debug", "all=info", "--json", "--socket", socket)
    assert json.loads(as_json.stdout)["levels"] == levels
    assert daemon.requests == [("log-levels", {}), ("log-levels", {"set": ["ike=debug", "all=info"]})]


@pytest.mark.parametrize(
    "words",
    [
        *("list-sas", "list-conns", "list-pols", "list-algs", "list-certs", "list-authorities", "list-pools"),
        *("counters", "drops", "stats", "version --daemon", "log", "monitor-sa", "reload-settings"),
        *("initiate --child net", "terminate --ike site-b", "rekey --ike site-b", "install --child net"),
        "uninstall --child net",
    ],
)
def test_no_daemon(socket: Path, words: str) -> None:
    result = ikepy(*words.split(), "--socket", socket)
    assert (result.exit_code, result.stdout) == (1, "")
    assert f"no ikepy daemon is running at {socket}" in result.stderr


def test_list_sas(socket: Path) -> None:
    with vici_daemon(socket, SAS) as daemon:
        text = ikepy("list-sas", "--socket", socket)
        as_json = ikepy("list-sas", "--json", "--socket", socket)
        raw = ikepy("list-sas", "-r", "-i", "site-b", "-I", "1", "-c", "net", "-C", "2", "--socket", socket)
    assert (text.exit_code, as_json.exit_code, raw.exit_code) == (0, 0, 0)
    assert text.stdout.startswith("site-b: #1, ESTABLISHED, IKEv2, ")
    assert json.loads(as_json.stdout) == [IKE_SA]
    event, reply = raw.stdout.splitlines()
    assert event.startswith("list-sa event {site-b {uniqueid=1 version=2 state=ESTABLISHED local-host=")
    assert reply == "list-sas reply {}"
    filters = {"ike": "site-b", "ike-id": "1", "child": "net", "child-id": "2"}
    ours = {"ikepy": "yes"}
    assert daemon.requests == [("list-sas", ours), ("list-sas", ours), ("list-sas", filters)]


@pytest.mark.parametrize(
    ("words", "told"),
    [
        ("", "no IKE_SA is up"),
        ("--ike b", "no IKE_SA of b is up"),
        ("--ike-id 3", "no IKE_SA #3 is up"),
        ("--ike b --ike-id 3", "no IKE_SA #3 of b is up"),
        ("--child net", "no IKE_SA with net is up"),
        ("--json", "[]"),
        ("--raw", "list-sas reply {}"),
        ("--pretty", "list-sas reply {\n}"),
    ],
)
def test_list_sas_where_there_is_none(socket: Path, words: str, told: str) -> None:
    with vici_daemon(socket, NONE):
        result = ikepy("list-sas", "--socket", socket, *words.split())
    assert (result.exit_code, result.stdout) == (0, f"{told}\n")


def test_list_sas_of_a_name_that_there_is_not(socket: Path) -> None:
    refusal = {"success": "no", "errmsg": "no connection 'b' is configured; there is a"}
    with vici_daemon(socket, {"list-sas": Answer(refusal)}):
        result = ikepy("list-sas", "--ike", "b", "--socket", socket)
    assert (result.exit_code, result.stdout) == (1, "")
    assert result.stderr == "ikepy: no connection 'b' is configured; there is a\n"


def test_terminal_is_safe_from_identities(socket: Path) -> None:
    events = [("list-sa", {"site-b": OUR_IKE | {"remote-id": "\x1b[2Jgwb"}})]
    with vici_daemon(socket, {"list-sas": Answer({}, events)}):
        for form, told in (((), "'?[2Jgwb'"), (("--raw",), "remote-id=0x1b5b324a677762")):
            result = ikepy("list-sas", *form, "--socket", socket)
            assert "\x1b" not in result.stdout
            assert told in result.stdout


def test_list_conns(socket: Path) -> None:
    with vici_daemon(socket, {"list-conns": Answer({}, [("list-conn", {"site-b": CONN})])}):
        text = ikepy("list-conns", "--socket", socket)
        as_json = ikepy("list-conns", "--json", "--socket", socket)
        pretty = ikepy("list-conns", "--pretty", "--socket", socket)
    assert text.stdout.startswith("site-b: IKEv2, no reauthentication, ")
    assert json.loads(as_json.stdout) == [CONNECTION]
    assert pretty.stdout.startswith("list-conn event {\n  site-b {\n    local_addrs = [\n")


def test_socket_from_the_environment(socket: Path) -> None:
    with vici_daemon(socket, NONE):
        assert ikepy("list-sas", environment={"IKEPY_SOCKET": str(socket)}).exit_code == 0


POLICY = {
    "site-b/net": {"child": "net", "mode": "TUNNEL", "local-ts": ["10.1.0.0/24"], "remote-ts": ["::/0"]}
}
POOL = {
    "pool": {
        "base": "10.7.0.1",
        "size": "254",
        "online": "1",
        "offline": "0",
        "leases": {"0": {"address": "10.7.0.1", "identity": "gwb", "status": "online"}},
    }
}


@pytest.mark.parametrize(
    ("words", "answers", "request_", "text"),
    [
        (
            "list-pols --trap --child net",
            {"list-policies": Answer({}, [("list-policy", POLICY)])},
            ("list-policies", {"trap": "yes", "child": "net"}),
            "site-b/net, TUNNEL\n  local:  10.1.0.0/24\n  remote: ::/0\n",
        ),
        (
            "list-algs",
            {"get-algorithms": Answer({"encryption": {"AES_CBC": "ikepy"}, "hasher": {}})},
            ("get-algorithms", {}),
            "encryption:\n  AES_CBC\n",
        ),
        (
            "stats",
            {"stats": Answer(STATS)},
            ("stats", {}),
            "uptime: 3 minutes, since Nov 28 22:00:00 2026\n"
            "workers: 2 total, 1 idle, working: 0/0/1/0\n"
            "job queues: 0/0/0/0\n"
            "jobs scheduled: 4\n"
            "IKE_SAs: 1 total, 0 half-open\n"
            "parts: ikev2 psk\n",
        ),
        (
            "version --daemon",
            {"version": Answer({"daemon": "ikepy", "version": "9.9", "sysname": "Linux"})},
            ("version", {}),
            "ikepy 9.9 (Linux)\n",
        ),
        (
            "counters --name site-b",
            {"get-counters": Answer({"counters": {"site-b": {"ike-init-in-req": "3"}}, "success": "yes"})},
            ("get-counters", {"name": "site-b"}),
            "site-b:\n  ike-init-in-req       : 3\n",
        ),
        (
            "counters --all --reset",
            {"reset-counters": Answer({"success": "yes"})},
            ("reset-counters", {"all": "yes"}),
            "reset-counters completed successfully\n",
        ),
        (
            "drops",
            {"get-drops": Answer({"control": {"cookies asked for": "3", "lost": "0"}})},
            ("get-drops", {}),
            "control:\n         3 cookies asked for\n",
        ),
        (
            "list-certs --type x509",
            {"list-certs": Answer({})},
            ("list-certs", {"type": "x509"}),
            "",
        ),
        ("list-authorities", {"list-authorities": Answer({})}, ("list-authorities", {}), ""),
        (
            "list-pools --leases",
            {"get-pools": Answer(POOL)},
            ("get-pools", {"leases": "yes"}),
            f"{'pool':<20} {'10.7.0.1':<30}   1 /   0 / 254\n  {'10.7.0.1':<30} online   'gwb'\n",
        ),
        ("install -c net -i a", {"install": DONE}, ("install", {"child": "net", "ike": "a"}), None),
        ("uninstall -c net", {"uninstall": DONE}, ("uninstall", {"child": "net"}), None),
        (
            "reload",
            {"reload": Answer({"success": "yes", "changed": "nothing"})},
            ("reload", {}),
            "reloaded: nothing\n",
        ),
        ("reload-settings", {"reload-settings": DONE}, ("reload-settings", {}), None),
    ],
)
def test_text_and_forms(
    socket: Path, words: str, answers: dict[str, Answer], request_: object, text: str | None
) -> None:
    """What a command asks, and its text; in other forms it prints what the daemon has sent, and is JSON."""
    with vici_daemon(socket, answers) as daemon:
        result = ikepy(*words.split(), "--socket", socket)
        raw = ikepy(*words.split(), "--raw", "--socket", socket)
        as_json = ikepy(*words.split(), "--json", "--socket", socket)
    assert daemon.requests == [request_] * 3
    assert (result.exit_code, raw.exit_code, as_json.exit_code) == (0, 0, 0)
    done = f"{words.split()[0]} completed successfully\n"
    assert result.stdout == (done if text is None else text)
    assert " reply {" in raw.stdout.splitlines()[-1]
    json.loads(as_json.stdout)


def test_version_of_this_program(socket: Path) -> None:
    assert ikepy("version", "--socket", socket).stdout == f"ikepy {__version__}\n"
    assert json.loads(ikepy("version", "--json").stdout)["version"] == __version__


@pytest.mark.parametrize(
    ("words", "arguments"),
    [
        ("initiate --child net", {"child": "net", "timeout": "0"}),
        ("initiate -c net -i site-b -t 5.5", {"child": "net", "ike": "site-b", "timeout": "5500"}),
        ("initiate --ike site-b", {"ike": "site-b", "timeout": "0"}),
        ("terminate --ike site-b", {"ike": "site-b", "timeout": "0"}),
        ("terminate --child net --force", {"child": "net", "force": "yes", "timeout": "0"}),
        ("terminate --ike-id 3 --timeout 2", {"ike-id": "3", "timeout": "2000"}),
        ("terminate --child-id 4 --loglevel 2", {"child-id": "4", "timeout": "0", "loglevel": "2"}),
        ("rekey --ike site-b --reauth", {"ike": "site-b", "reauth": "yes", "timeout": "0"}),
    ],
)
def test_commands_that_wait(socket: Path, words: str, arguments: dict[str, str]) -> None:
    command = words.split()[0]
    with vici_daemon(socket, {command: DONE}) as daemon:
        result = ikepy(*words.split(), "--socket", socket)
        raw = ikepy(*words.split(), "--raw", "--socket", socket)
        as_json = ikepy(*words.split(), "--json", "--socket", socket)
    assert daemon.requests == [(command, {"loglevel": "1"} | arguments)] * 3
    assert result.exit_code == 0
    assert result.stdout == f"site-b #1: sending\n{command} completed successfully\n"
    assert raw.stdout.splitlines() == [
        "log {group=IKE level=1 ikesa-name=site-b ikesa-uniqueid=1 msg=sending}",
        f"{command} reply {{success=yes}}",
    ]
    line = LINE | {"level": 1, "ikesa-uniqueid": 1}
    assert json.loads(as_json.stdout) == {"log": [line], "success": "yes"}


@pytest.mark.parametrize("form", ["", "--raw", "--json"])
def test_failure_is_told(socket: Path, form: str) -> None:
    """In each form; the status is 1, too."""
    answer = Answer({"success": "no", "errmsg": "the peer refused us"}, [("control-log", LINE)])
    with vici_daemon(socket, {"initiate": answer}):
        result = ikepy("initiate", "--child", "net", *form.split(), "--socket", socket)
    assert result.exit_code == 1
    assert result.stderr == "ikepy: initiate failed: the peer refused us\n"
    told = {
        "": "site-b #1: sending\n",
        "--raw": "log {group=IKE level=1 ikesa-name=site-b ikesa-uniqueid=1 msg=sending}\n"
        "initiate reply {success=no errmsg=the peer refused us}\n",
    }
    if form in told:
        assert result.stdout == told[form]
    else:
        assert json.loads(result.stdout)["errmsg"] == "the peer refused us"


def test_each_of_several_targets_is_told(socket: Path) -> None:
    each = ["IKE_SA #1: deleted", "IKE_SA #2 failed: no answer"]
    answer = Answer({"success": "no", "ikepy-outcomes": each, "errmsg": "1 of 2 failed"})
    with vici_daemon(socket, {"terminate": answer}):
        result = ikepy("terminate", "--ike", "site-b", "--socket", socket)
    assert (result.exit_code, result.stdout.splitlines()) == (1, each)
    assert result.stderr == "ikepy: terminate failed: 1 of 2 failed\n"


CHILD = IKE["child-sas"]["net-2"]
EVENTS: list[tuple[str, dict[str, Any], str]] = [
    (
        "ike-updown",
        {"up": "yes", "site-b": IKE},
        "site-b: #1 up, 'gwa' @ 192.0.2.1[4500] === 'gwb' @ 192.0.2.2[4500]",
    ),
    (
        "child-updown",
        {"site-b": IKE},
        "site-b: #1, net #2 down, c0000001_i c0000002_o, 0.0.0.0/0 ::/0 === 10.2.0.0/24",
    ),
    (
        "ike-rekey",
        {"site-b": {"old": IKE, "new": IKE | {"uniqueid": "4"}}},
        "site-b: #1 is replaced by #4, 'gwa' @ 192.0.2.1[4500] === 'gwb' @ 192.0.2.2[4500]",
    ),
    (
        "child-rekey",
        {"site-b": IKE | {"child-sas": {"net-2": {"old": CHILD, "new": CHILD | {"uniqueid": "7"}}}}},
        "site-b: #1, net #2 is replaced by #7, c0000001_i c0000002_o, 0.0.0.0/0 ::/0 === 10.2.0.0/24",
    ),
    (
        "ike-update",
        {
            "local-host": "192.0.2.1",
            "local-port": "4500",
            "remote-host": "192.0.2.9",
            "remote-port": "9",
            "site-b": IKE,
        },
        "site-b: #1 moves to 192.0.2.1[4500] === 192.0.2.9[9]",
    ),
]
ALL_EVENTS = frozenset({"log", *(name for name, _, _ in EVENTS)})


def test_monitor_sa(socket: Path) -> None:
    """Until the daemon ends."""
    by_itself = Answer(None, [(name, message) for name, message, _ in EVENTS])
    with vici_daemon(socket, {"child-rekey": by_itself}, ALL_EVENTS):
        result = ikepy("monitor-sa", "--socket", socket)
        as_json = ikepy("monitor-sa", "--json", "--socket", socket)
        raw = ikepy("monitor-sa", "--raw", "--socket", socket)
    assert result.stdout.splitlines() == [line for _, _, line in EVENTS]
    assert result.exit_code == 1 and "has closed the connection" in result.stderr
    objects = [json.loads(line) for line in as_json.stdout.splitlines()]
    assert [one["event"] for one in objects] == [name for name, _, _ in EVENTS]
    assert objects[0]["site-b"]["uniqueid"] == 1
    assert raw.stdout.splitlines()[0].startswith("ike-updown {up=yes site-b {uniqueid=1 ")


def test_log(socket: Path) -> None:
    other = {"group": "DMN", "level": "1", "thread": "0", "msg": "daemon: started"}
    answer = Answer(None, [("log", {**LINE, "thread": "0"}), ("log", other)])
    with vici_daemon(socket, {"log": answer}, ALL_EVENTS):
        result = ikepy("log", "--socket", socket)
    assert result.stdout == "00[IKE] <site-b|1> sending\n00[DMN] daemon: started\n"


@pytest.mark.parametrize(
    "words",
    [
        *("terminate", "terminate --force", "initiate", "list-sas --ike-id x", "nonsense", "install"),
        "initiate -c net -t 90000",
    ],
)
def test_wrong_words(words: str) -> None:
    assert ikepy(*words.split()).exit_code == 2


def test_every_command_that_prints_for_people_prints_json() -> None:
    """But those whose output is a file, and those that run something."""
    without = {
        name
        for name, command in main.commands.items()
        if not any("--json" in option.opts for option in command.params)
    }
    assert without == {"run", "convert", "schema"}
