"""`--raw` and `--pretty` against Debian's `swanctl`: for the same messages the same output."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from tests.unit.control.messages import CONN, IKE, STATS
from tests.unit.vici_daemon import EVENTS, Answer, vici_daemon

ODD: dict[str, Any] = {
    "uniqueid": "1",
    "empty": "",
    "spaces": "a b = c { }",
    "none": [],
    "items": ["", "a b", b"\xff\x00"],
    "section": {},
    "octets": b"\x00\xff",
    "umlaut": "\u00fc",
    "control": "\x1b[2J",
    "child-sas": {"net-1": {"local-ts": ["10.0.0.0/8", "::/0"]}},
}
LINE = {"group": "IKE", "level": "1", "ikesa-name": "net", "ikesa-uniqueid": "3", "msg": "initiating"}
ANSWERS = {
    "list-sas": Answer({}, [("list-sa", {"net": IKE}), ("list-sa", {"odd": ODD})]),
    "list-conns": Answer({}, [("list-conn", {"net": CONN})]),
    "list-policies": Answer({}, [("list-policy", {"net/net": ODD})]),
    "list-certs": Answer({}, [("list-cert", {"type": "X509", "data": b"\x30\x82"})]),
    "list-authorities": Answer({}, [("list-authority", {"ca": {"cacert": "CN=a"}})]),
    "get-pools": Answer({"pool": {"base": "10.7.0.1", "size": "254", "online": "0", "offline": "0"}}),
    "get-algorithms": Answer({"encryption": {"AES_CBC": "ikepy"}, "hasher": {}}),
    "get-counters": Answer({"counters": {"": {"ike-init-in-req": "1"}}, "success": "yes"}),
    "reset-counters": Answer({"success": "yes"}),
    "stats": Answer(STATS),
    "version": Answer({"daemon": "ikepy", "version": "1"}),
    "initiate": Answer({"success": "yes"}, [("control-log", LINE)]),
    "terminate": Answer({"success": "no", "matches": "2", "terminated": "0", "errmsg": "no answer"}),
    "rekey": Answer({"success": "yes", "matches": "1"}),
}
KNOWN = EVENTS | {"list-cert", "list-authority"}
# swanctl's words; ours are the same, the first one without "--".
COMMANDS = (
    *("--list-sas", "--list-sas --ike net --child-id 2", "--list-conns", "--list-pols --trap"),
    *("--list-certs", "--list-authorities", "--list-pools", "--list-algs", "--counters", "--counters --all"),
    *("--counters --reset", "--stats", "--version --daemon", "--initiate --child net --ike net"),
    *("--terminate --ike net --force", "--rekey --child net"),
)


def printed(*command: str) -> str:
    return subprocess.run(command, stdout=subprocess.PIPE, timeout=60, check=False).stdout.decode()


@pytest.mark.parametrize("words", COMMANDS)
def test_the_same_output_and_the_same_question(tmp_path: Path, words: str) -> None:
    """The arguments are the same, too, but for a timeout: our commands wait for the end, as swanctl's do."""
    socket, (first, *others) = tmp_path / "s", words.split()
    with vici_daemon(socket, ANSWERS, KNOWN) as daemon:
        for form in ("--raw", "--pretty"):
            theirs = printed("swanctl", first, *others, form, "--uri", f"unix://{socket}")
            command = (sys.executable, "-m", "ikepy", first.removeprefix("--"))
            assert printed(*command, *others, form, "--socket", str(socket)) == theirs
            assert theirs
        asked = [
            (name, {key: value for key, value in arguments.items() if key not in ("timeout", "loglevel")})
            for name, arguments in daemon.requests
        ]
    assert asked[0] == asked[1] == asked[2] == asked[3]


# Ours for people: what swanctl's form has no word for. Swanctl's: what means nothing without kernel policies.
OUR_OWN = (", behind NAT", ", device vti0", ", start action is trap")
ITS_OWN = ", reqid 1"


@pytest.mark.parametrize(("words", "sent"), [("list-sas", {"net": IKE}), ("list-conns", {"net": CONN})])
def test_what_swanctl_tells_people_we_tell_too(tmp_path: Path, words: str, sent: dict[str, Any]) -> None:
    """Each line of swanctl's stands in ours, in its order; ours may have more."""
    socket = tmp_path / "s"
    event = words.removesuffix("s")
    with vici_daemon(socket, {words: Answer({}, [(event, sent)])}, KNOWN):
        theirs = printed("swanctl", f"--{words}", "--uri", f"unix://{socket}")
        ours = printed(sys.executable, "-m", "ikepy", words, "--socket", str(socket))
    for own in OUR_OWN:
        ours = ours.replace(own, "")
    rest, wanted = iter(ours.splitlines()), theirs.replace(ITS_OWN, "").splitlines()
    assert [line for line in wanted if line not in rest] == []
    assert wanted
