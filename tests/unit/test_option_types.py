"""Numbers that are none, and files that may not be read, end our commands in words."""

from __future__ import annotations

import json
import os
from importlib import import_module
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from ikepy.cli import main
from ikepy.probe import sets

NOBODY = 65534
LATE = (
    "ikepy.dissect.cli",
    "ikepy.probe.cli",
    "ikepy.config.sources.convert",
    "ikepy.config.sources.config_file",
)


@pytest.mark.parametrize("number", ["nan", "inf", "-inf"])
@pytest.mark.parametrize(
    "command",
    [
        ("initiate", "--child", "x", "--timeout"),
        ("top", "--interval"),
        ("probes", "--check-mtu", "--timeout"),
        ("probe", "192.0.2.1", "--rate"),
        ("probe", "conformance", "192.0.2.1", "--interval"),
        ("pki", "self", "--lifetime"),
        ("pki", "signcrl", "--date"),
    ],
    ids=" ".join,
)
def test_no_finite_number(command: tuple[str, ...], number: str) -> None:
    result = CliRunner().invoke(main, [*command, number])
    assert result.exit_code == 2
    assert "is not in the range" in result.stderr or "is no finite number" in result.stderr


@pytest.fixture
def locked(tmp_path: Path) -> Path:
    """A file that root alone may read, in a directory that all may enter."""
    for directory in (tmp_path, *tmp_path.parents[:3]):
        if not directory.stat().st_mode & 1:
            directory.chmod(0o711)
    path = tmp_path / "locked"
    path.touch(0o600)
    return path


def as_nobody(*words: str | Path) -> Result:
    sets.load()
    for late in LATE:  # they may be where nobody else may look
        import_module(late)
    os.setresuid(NOBODY, NOBODY, 0)
    try:
        return CliRunner().invoke(main, list(map(str, words)))
    finally:
        os.setresuid(0, 0, 0)


@pytest.mark.root
@pytest.mark.parametrize(
    "command",
    [
        "check",
        "convert",
        "decode",
        "decode - --keys",
        "run -c",
        "probe 192.0.2.1 --psk-file",
        "probe conformance 192.0.2.1 --psk-file",
    ],
)
def test_a_file_that_may_not_be_read(locked: Path, command: str) -> None:
    result = as_nobody(*command.split(), locked)
    assert result.exit_code == 1 and "Permission denied" in result.output
    assert isinstance(result.exception, SystemExit)


@pytest.mark.root
def test_a_file_that_may_not_be_read_in_json(locked: Path) -> None:
    result = as_nobody("check", locked, "--json")
    (mistake,) = json.loads(result.stdout)["mistakes"]
    assert result.exit_code == 1 and "Permission denied" in mistake["text"]


@pytest.mark.root
def test_a_socket_that_may_not_be_opened(locked: Path) -> None:
    result = as_nobody("list-sas", "--socket", locked)
    assert result.exit_code == 1 and "may not be opened" in result.stderr
