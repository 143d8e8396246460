"""`ikepy lab` before it touches anything."""

from __future__ import annotations

import os

import pytest
from click.testing import CliRunner

from ikepy.lab.cli import lab


@pytest.mark.parametrize("words", [[], ["up"], ["down"], ["status"], ["exec", "pod1", "true"]])
def test_not_root(monkeypatch: pytest.MonkeyPatch, words: list[str]) -> None:
    monkeypatch.setattr(os, "geteuid", lambda: 1000)
    result = CliRunner().invoke(lab, words)
    assert result.exit_code == 1
    assert "root" in result.stderr


def test_help_has_examples() -> None:
    result = CliRunner().invoke(lab, ["--help"])
    assert result.exit_code == 0
    for words in ("ikepy lab --peer strongswan --nat", "ikepy lab exec pod1 ping", "up", "down", "status"):
        assert words in result.stdout


def test_options_in_the_wrong_place() -> None:
    result = CliRunner().invoke(lab, ["--nat", "up"])
    assert result.exit_code == 2
    assert "ikepy lab up --nat" in result.stderr


def test_unknown_peer() -> None:
    result = CliRunner().invoke(lab, ["--peer", "racoon"])
    assert result.exit_code == 2
    assert "strongswan" in result.stderr
