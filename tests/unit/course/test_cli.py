"""`ikepy lab course` before it touches anything."""

from __future__ import annotations

import os
from pathlib import Path

import pytest
from click.testing import CliRunner

from ikepy.course.progress import Progress, default_file
from ikepy.course.text import labs
from ikepy.course.tour import commands
from ikepy.lab.cli import lab


@pytest.fixture(autouse=True)
def learner(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """Nobody else's progress is touched."""
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path))


def test_the_list_says_how_far_the_learner_is() -> None:
    first, second, third, *_ = labs()
    progress = Progress(default_file())
    progress.reach(1, commands(first.items))
    progress.reach(2, 3)
    lines = CliRunner().invoke(lab, ["course"]).stdout.splitlines()
    assert lines[0].split() == ["1", *first.title.split(), "done"]
    assert lines[1].split() == ["2", *second.title.split(), *f"3 of {commands(second.items)}".split()]
    assert lines[2].split() == ["3", *third.title.split()]
    assert lines[9].startswith(" 10  ")


def test_there_is_no_such_lab() -> None:
    result = CliRunner().invoke(lab, ["course", "11"])
    assert result.exit_code == 2
    assert "there is no lab 11; there are 1, 2, 3, 4, 5, 6, 7, 8, 9, 10" in result.stderr


@pytest.mark.parametrize("words", [["1"], ["1", "--all"], ["--shell", "left"]])
def test_not_root(monkeypatch: pytest.MonkeyPatch, words: list[str]) -> None:
    monkeypatch.setattr(os, "geteuid", lambda: 1000)
    result = CliRunner().invoke(lab, ["course", *words])
    assert result.exit_code == 1
    assert "root" in result.stderr
