"""What `ikepy status` makes of the daemon's events: text for people, JSON for programs."""

from __future__ import annotations

import io
import json
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner
from rich.console import Console

from ikepy.cli import main
from ikepy.control.status import EVENT, ask
from ikepy.control.status_text import lines
from ikepy.control.terminal import print_lines
from ikepy.daemon.diagnosis.findings import Severity, State
from ikepy.daemon.vici.status_sections import AT_ONCE, status_events
from ikepy.sa.api.ends import Failure, Party, SelectorMismatch
from ikepy.sa.api.events import ChildSetUpFailed, IkeUp
from tests.unit.daemon.diagnosis.bed import SA, Bed
from tests.unit.daemon.diagnosis.test_diagnose import PAIR
from tests.unit.vici_daemon import EVENTS, Answer, vici_daemon

FINDING = {
    "code": "selectors",
    "severity": "error",
    "what": "We refused it.\x1b[2J",
    "ago": "130",
    "why": "They differ.",
    "ours": ["10.1.0.0/24 === 10.2.0.0/24"],
    "theirs": ["0.0.0.0/0 === 0.0.0.0/0", "::/0 === ::/0"],
    "do": "Mend it.",
}
CHILD = {
    "state": "down",
    "waits-for": "its next try",
    "next-try": "7",
    "failures": "1",
    "device": "vti0",
    "packets-in": "0",
    "bytes-in": "0",
    "packets-out": "0",
    "bytes-out": "0",
    "drops": "0",
}
TUNNEL = {
    "connection": "site-b",
    "state": "down",
    "remote": "192.0.2.2",
    "since": "7300",
    "findings": {"1": FINDING},
    "children": {"net": CHILD},
}
TEXT = """\
site-b to 192.0.2.2: down for 2 h
  net (vti0): down, waits for its next try in 7 s, 1 try failed
  net2 (vti0): up for 3 s, 1,000 packets in, 2 out, 3 dropped
  error: We refused it.?[2J (2 min ago)
    why: They differ.
    ours                        | theirs
    10.1.0.0/24 === 10.2.0.0/24 | 0.0.0.0/0 === 0.0.0.0/0
                                | ::/0 === ::/0
    do:  Mend it.
"""
UP = {key: CHILD[key] for key in ("device", "bytes-in", "bytes-out")} | {
    "state": "up",
    "since": "3",
    "packets-in": "1000",
    "packets-out": "2",
    "drops": "3",
}
MORE = {"connection": "site-b", "children": {"net2": UP}}
Event = Mapping[str, object]


def run(tmp_path: Path, *arguments: str, events: Sequence[Event] = (TUNNEL, MORE)) -> tuple[int, str]:
    answer = Answer(events=[(EVENT, event) for event in events])
    with vici_daemon(tmp_path / "s", {"status": answer}, EVENTS | {EVENT}) as daemon:
        done = CliRunner().invoke(main, ["status", *arguments, "--socket", str(tmp_path / "s")])
        assert daemon.requests == [("status", {"ike": "x"} if "x" in arguments else {})]
    return done.exit_code, done.output


def test_text(tmp_path: Path) -> None:
    assert run(tmp_path) == (0, TEXT)


@pytest.mark.parametrize(
    ("keys", "said"),
    [
        ({}, ""),
        ({"quantum-safe-wanted": "yes"}, ""),  # it has no child
        ({"quantum-safe": "no"}, ""),
        ({"quantum-safe": "no", "quantum-safe-wanted": "yes"}, ", not quantum-safe"),
        ({"quantum-safe": "yes"}, ", quantum-safe"),
        ({"quantum-safe": "yes", "quantum-safe-wanted": "yes"}, ", quantum-safe"),
    ],
)
def test_quantum_safe_where_that_matters(tmp_path: Path, keys: dict[str, str], said: str) -> None:
    _, text = run(tmp_path, events=[{**TUNNEL, **keys}])
    assert text.splitlines()[0] == f"site-b to 192.0.2.2: down for 2 h{said}"


def test_nothing_configured(tmp_path: Path) -> None:
    assert run(tmp_path, events=()) == (0, "no connection is configured\n")


def test_findings_of_no_tunnel(tmp_path: Path) -> None:
    code, text = run(tmp_path, events=[TUNNEL, {"findings": {"1": {**FINDING, "what": "A stranger."}}}])
    assert code == 0
    assert "\nerror: A stranger. (2 min ago)\n" in text


def test_of_one_connection_as_the_daemon_sends_it(tmp_path: Path) -> None:
    code, text = run(tmp_path, "x", "--raw")
    assert code == 0
    assert text.startswith("ikepy-status event {connection=site-b state=down remote=192.0.2.2 ")


def test_json(tmp_path: Path) -> None:
    code, text = run(tmp_path, "--json")
    (tunnel,) = json.loads(text)["tunnels"]
    assert code == 0
    assert (tunnel["since"], tunnel["findings"][0]["ago"]) == (7300, 130)
    assert [(child["name"], child["packets-in"]) for child in tunnel["children"]] == [
        ("net", 0),
        ("net2", 1000),
    ]


def test_no_daemon(tmp_path: Path) -> None:
    done = CliRunner().invoke(main, ["status", "--socket", str(tmp_path / "s")])
    assert done.exit_code == 1
    assert "no ikepy daemon is running" in done.output


@pytest.mark.parametrize("terminal", [False, True])
def test_colours_and_columns_for_a_terminal_alone(tmp_path: Path, terminal: bool) -> None:
    answer = Answer(events=[(EVENT, TUNNEL)])
    with vici_daemon(tmp_path / "s", {"status": answer}, EVENTS | {EVENT}):
        told = ask(tmp_path / "s")
    out = io.StringIO()
    console = Console(
        file=out, force_terminal=terminal, color_system="standard" if terminal else None, width=50
    )
    print_lines(lines(told, console.width if terminal else None), console)
    assert ("\x1b[" in out.getvalue()) is terminal
    assert ("    theirs: 0.0.0.0/0 === 0.0.0.0/0\n            ::/0 === ::/0" in out.getvalue()) is terminal
    assert "\x1b[2J" not in out.getvalue(), "what a peer sent does nothing to the terminal"


def test_what_the_daemon_sends_is_what_the_client_reads(tmp_path: Path) -> None:
    """A real diagnosis, with more children and findings than one event takes."""
    bed = Bed()
    bed.happens(
        IkeUp(SA), ChildSetUpFailed(SA, "", Failure(Party.US, 38, SelectorMismatch((PAIR,), PAIR)), "")
    )
    diagnosis = bed.diagnosis(up=True)
    (tunnel,) = diagnosis.tunnels
    children = tuple(replace(tunnel.children[0], name=f"c{n}") for n in range(2 * AT_ONCE + 1))
    findings = tuple(replace(tunnel.findings[0], what=f"{n}.") for n in range(AT_ONCE + 1))
    tunnels = (replace(tunnel, children=children),)
    sent = [*status_events(replace(diagnosis, tunnels=tunnels, findings=findings))]
    assert len(sent) == 3 + 2
    events = [(EVENT, as_text(event)) for event in sent]
    with vici_daemon(tmp_path / "s", {"status": Answer(events=events)}, EVENTS | {EVENT}):
        told = ask(tmp_path / "s")
    (read,) = told["tunnels"]
    assert read["state"] == State.UP.value
    assert [child["name"] for child in read["children"]] == [child.name for child in children]
    assert [finding["what"] for finding in told["findings"]] == [finding.what for finding in findings]
    assert read["findings"][0]["severity"] == Severity.ERROR
    assert read["findings"][0]["theirs"] == ["10.1.0.0/24 === 10.2.0.0/24"]


def as_text(value: Any) -> Any:
    """Numbers and tuples as strongSwan's codec takes them."""
    if isinstance(value, dict):
        return {key: as_text(one) for key, one in value.items()}
    return [str(one) for one in value] if isinstance(value, tuple) else str(value)
