"""`python -m ikepy.control.alive`: the exit status tells, and the reason is a line."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from ikepy.control import alive
from tests.unit.vici_daemon import Answer, vici_daemon


def test_a_daemon_that_answers(tmp_path: Path) -> None:
    path = tmp_path / "s"
    with vici_daemon(path, {"version": Answer({"daemon": "ikepy"})}) as daemon:
        subprocess.run([sys.executable, "-m", alive.__name__, path], check=True, timeout=60)
    assert daemon.requests == [("version", {})]


def test_nobody_is_there(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(sys, "argv", ["alive"])
    monkeypatch.setenv("IKEPY_SOCKET", str(tmp_path / "s"))
    assert alive.main() == 1
    assert capsys.readouterr().err.startswith("ikepy: no ikepy daemon is running at")


def test_a_daemon_that_is_stopped(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(alive, "SILENCE", 0.2)
    monkeypatch.setattr(sys, "argv", ["alive", str(tmp_path / "s")])
    with vici_daemon(tmp_path / "s", {"version": Answer(None)}):
        assert alive.main() == 1
