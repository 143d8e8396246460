"""How far the learner is, kept in a file."""

from __future__ import annotations

from pathlib import Path

import pytest

from ikepy.course.progress import Progress, default_file


def test_it_is_kept(tmp_path: Path) -> None:
    file = tmp_path / "state" / "course.json"
    one = Progress(file)
    assert one[1] == 0
    one.reach(1, 5)
    one.reach(2, 3)
    again = Progress(file)
    assert (again[1], again[2], again[3]) == (5, 3, 0)


@pytest.mark.parametrize("text", ["", "[1]", '{"1": "x"}', "nonsense"])
def test_a_file_that_says_nothing(tmp_path: Path, text: str) -> None:
    file = tmp_path / "course.json"
    file.write_text(text)
    assert Progress(file)[1] == 0


def test_where_it_stands(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path))
    assert default_file() == tmp_path / "ikepy" / "course.json"
