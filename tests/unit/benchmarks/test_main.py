"""The options of `python -m benchmarks`, and what becomes of a group that fails."""

from __future__ import annotations

from pathlib import Path

import pytest
from click.testing import CliRunner

from benchmarks import __main__ as program
from benchmarks import report
from benchmarks.__main__ import GROUPS, Group, main, measure
from benchmarks.report import Row
from benchmarks.setting import Setting
from ikepy.lab import strongswan
from ikepy.lab.netns import LabError


@pytest.mark.parametrize(
    ("words", "told"),
    [
        (["--only", "tpc"], "tcp"),
        (["--rounds", "0"], "1<=x<=100"),
        (["--rounds", "many"], "not a valid integer"),
        (["--seconds", "-1"], "1<=x<=600"),
        (["--markdown", "/nonexistent/table.md"], "/nonexistent"),
        (["--markdown", "/"], "directory"),
        (["tcp"], "unexpected extra argument"),
    ],
)
def test_bad_option(words: list[str], told: str) -> None:
    result = CliRunner().invoke(main, words)
    assert result.exit_code == 2
    assert told in result.stderr


def test_help_names_every_group() -> None:
    text = CliRunner().invoke(main, ["--help"]).stdout
    for group in GROUPS:
        assert group.name in text


def test_not_possible_here(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(strongswan, "missing", lambda: "needs root")
    result = CliRunner().invoke(main, [])
    assert result.exit_code == 1
    assert "needs root" in result.stderr


def good(setting: Setting) -> list[Row]:
    return [Row(f"{setting.rounds} rounds of {setting.seconds} s", "s", [1.0])]


def bad(_: Setting) -> list[Row]:
    raise LabError("no tunnel")


def test_a_group_that_fails_leaves_the_others_alone() -> None:
    said: list[str] = []
    setting = Setting("x-", 1, 1, True, said.append)
    rows, problems = measure([Group("one", "", bad), Group("two", "", good)], setting)
    assert [row.what for row in rows] == ["1 rounds of 1 s"]
    assert problems == ["one: no tunnel"]
    assert said == ["one: ", "one: no tunnel", "two: "]


@pytest.fixture
def two_groups(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(strongswan, "missing", lambda: None)
    monkeypatch.setattr(report, "machine", lambda: "2 CPUs")
    monkeypatch.setattr(program, "GROUPS", (Group("tcp", "", good), Group("rtt", "", bad)))


@pytest.mark.usefixtures("two_groups")
def test_table_and_markdown(tmp_path: Path) -> None:
    path = tmp_path / "table.md"
    result = CliRunner().invoke(main, ["--only", "tcp", "--rounds", "5", "--markdown", str(path)])
    assert result.exit_code == 0, result.output
    assert "5 rounds of 4 s" in result.stdout
    assert "| 5 rounds of 4 s, s | 1 |" in path.read_text()
    assert "2 CPUs; load " in path.read_text()


@pytest.mark.usefixtures("two_groups")
def test_what_failed_is_told_beside_what_did_not() -> None:
    result = CliRunner().invoke(main, ["--quick"])
    assert result.exit_code == 1
    assert "1 rounds of 2 s" in result.stdout
    assert "benchmarks: rtt: no tunnel" in result.stderr
