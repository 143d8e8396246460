"""docs/man: a page for each command, made from its help, and part of the wheel."""

from __future__ import annotations

import subprocess
import sys
import tomllib
from pathlib import Path

import click

from ikepy.cli import main
from tests.man_pages import DIRECTORY
from tests.unit.docs.pages import ROOT


def test_the_pages_are_those_of_the_command_line(tmp_path: Path) -> None:
    """Else: `python -m tests.man_pages`.

    They are made in a process of its own: click keeps a command's options as whoever asked first had them.
    """
    subprocess.run([sys.executable, "-m", "tests.man_pages", tmp_path], check=True, cwd=ROOT)
    made = {path.name: path.read_text() for path in tmp_path.glob("*.1")}
    assert {path.name: path.read_text() for path in DIRECTORY.glob("*.1")} == made


def test_every_command_has_one_with_its_summary() -> None:
    with click.Context(main) as context:
        names = main.list_commands(context)
    index = (DIRECTORY / "ikepy.1").read_text()
    for name in names:
        page = (DIRECTORY / f"ikepy-{name}.1").read_text()
        assert page.startswith('.TH "IKEPY ') and ".SH OPTIONS" in page
        assert rf"\fB{name}\fP" in index
    assert "..." not in "".join(line for line in index.splitlines() if "COMMAND" not in line)


def test_the_wheel_has_them() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())
    assert project["tool"]["setuptools"]["data-files"] == {"share/man/man1": ["docs/man/*.1"]}
