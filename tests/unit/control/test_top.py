"""What `ikepy top` makes of two looks at the daemon."""

from __future__ import annotations

import io
import json
from pathlib import Path

import pytest
from click.testing import CliRunner
from rich.console import Console

from ikepy.cli import main
from ikepy.control.status import EVENT, Child, Status
from ikepy.control.top import Row, rows, short, show_json, show_live, table
from tests.unit.vici_daemon import EVENTS, Answer, vici_daemon


def child(name: str = "net", octets: int = 0, packets: int = 0, drops: int = 0) -> Child:
    return {
        "name": name,
        "state": "up",
        "since": 130,
        "bytes-in": octets,
        "bytes-out": 2 * octets,
        "packets-in": packets,
        "packets-out": 2 * packets,
        "drops": drops,
        "findings": [],
    }


def status(*children: Child) -> Status:
    findings = [{"code": "flapping", "severity": "warning", "what": ""}]
    return {
        "tunnels": [
            {
                "connection": "site\x1b",
                "state": "partly up",
                "remote": "192.0.2.2",
                "findings": findings,  # type: ignore[typeddict-item]
                "children": list(children),
            }
        ],
        "findings": [],
    }


def test_rates() -> None:
    (row,) = rows(status(child()), status(child(octets=1000, packets=10, drops=3)), 2.0)
    assert row == Row(
        "site\x1b", "net", "up", 130, (4000.0, 8000.0), (5.0, 10.0), (1000, 2000), 3, True, "flapping"
    )


@pytest.mark.parametrize("before", [status(), status(child(octets=5000, packets=50))])
def test_no_rates_of_a_new_child_and_of_counters_that_begin_anew(before: Status) -> None:
    (row,) = rows(before, status(child(octets=1000, packets=10)), 2.0)
    assert (row.bits, row.packets, row.dropping) == ((0, 0), (0, 0), False)


def test_the_table_has_the_busiest_first() -> None:
    before = status(child("idle"), child("busy"))
    after = status(child("idle"), child("busy", octets=1_000_000, packets=1500))
    out = io.StringIO()
    Console(file=out, width=160).print(table(rows(before, after, 1.0)))
    header, first, second = out.getvalue().splitlines()
    assert header.split()[:3] == ["TUNNEL", "STATE", "FOR"]
    assert first.split()[0] == "site?/busy" and second.split()[0] == "site?/idle"
    assert "8.0 Mbit/s" in first and "16.0 Mbit/s" in first and "1,500" in first and "flapping" in first


@pytest.mark.parametrize(
    ("number", "text"), [(0, "0 "), (999, "999 "), (999.6, "1.0 k"), (1.5e9, "1.5 G"), (3e12, "3.0 T")]
)
def test_short(number: float, text: str) -> None:
    assert short(number) == text


def test_live_until_the_daemon_or_the_user_ends_it() -> None:
    looks = iter([status(child()), status(child(octets=125_000, packets=1))])
    out = io.StringIO()
    with pytest.raises(StopIteration):
        show_live(lambda: next(looks), 0.001, Console(file=out, force_terminal=True, width=160, height=10))
    assert "bit/s" in out.getvalue()


def test_once_where_there_is_no_terminal(tmp_path: Path) -> None:
    section = {
        key: str(value)
        for key, value in child(octets=1000, packets=1).items()
        if key not in ("name", "findings")
    }
    event = {"connection": "a", "state": "up", "remote": "192.0.2.2", "children": {"net": section}}
    with vici_daemon(tmp_path / "s", {"status": Answer(events=[(EVENT, event)])}, EVENTS | {EVENT}) as daemon:
        done = CliRunner().invoke(main, ["top", "a", "--interval", "0.1", "--socket", str(tmp_path / "s")])
        assert daemon.requests == [("status", {"ike": "a"})] * 2
    assert done.exit_code == 0, done.output
    header, line = done.output.splitlines()
    assert header.split()[-3:] == ["RTT", "DROPS", "FINDING"], "nothing is cut off"
    assert line.split()[:2] == ["a/net", "up"] and "1.0 kB" in line


def test_json_is_an_object_a_look(tmp_path: Path) -> None:
    section = {key: str(value) for key, value in child(octets=1000, packets=1).items() if key != "findings"}
    event = {"connection": "a", "state": "up", "remote": "192.0.2.2", "children": {"net": section}}
    with vici_daemon(tmp_path / "s", {"status": Answer(events=[(EVENT, event)])}, EVENTS | {EVENT}):
        words = ["top", "--json", "--once", "--interval", "0.1", "--socket", str(tmp_path / "s")]
        done = CliRunner().invoke(main, words)
    assert done.exit_code == 0, done.output
    (line,) = done.output.splitlines()
    (tunnel,) = json.loads(line)["tunnels"]
    assert tunnel == {
        "connection": "a",
        "child": "net",
        "state": "up",
        "since": 130,
        "bits-per-second-in": 0,
        "bits-per-second-out": 0,
        "packets-per-second-in": 0.0,
        "packets-per-second-out": 0.0,
        "bytes-in": 1000,
        "bytes-out": 2000,
        "rtt": None,
        "drops": 0,
        "finding": None,
    }


def test_json_goes_on_with_the_rates_since_the_look_before() -> None:
    looks = iter(
        [status(child()), status(child("busy", 0)), status(child("idle"), child("busy", 125_000, 9))]
    )
    lines: list[str] = []
    with pytest.raises(StopIteration):
        show_json(lambda: next(looks), 0.001, lines.append, once=False)
    first, second = map(json.loads, lines)
    assert [one["child"] for one in second["tunnels"]] == ["busy", "idle"]
    assert first["tunnels"][0]["bits-per-second-in"] == 0
    rate = second["tunnels"][0]["bits-per-second-out"]
    assert rate > 0 and second["tunnels"][0]["finding"] == "flapping"
    assert second["at"] > 1e9 and second["seconds"] > 0


def test_no_daemon(tmp_path: Path) -> None:
    done = CliRunner().invoke(main, ["top", "--socket", str(tmp_path / "s")])
    assert (done.exit_code, "no ikepy daemon is running" in done.output) == (1, True)
