"""docs/monitoring.md: every metric with its labels, and every page."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

from esp.packet.drop_reasons import Drop
from ikepy.config.model import Http
from ikepy.config.toml_source import parse
from ikepy.daemon.log import SUBSYSTEMS
from tests.unit.daemon.http.everything import labels_by_metric
from tests.unit.docs.pages import DOCS, blocks, quoted, tables

PAGE = DOCS / "monitoring.md"


def test_every_metric_and_no_other() -> None:
    rows = {quoted(row[0])[0]: set(quoted(row[1])) for row in tables(PAGE)["Metrics"]}
    ours = {name: labels for name, labels in labels_by_metric().items() if name.startswith("ikepy")}
    assert rows == ours


def test_every_name_in_the_text_exists() -> None:
    names = set(re.findall(r"\bikepy_[a-z_]+", PAGE.read_text()))
    assert names <= labels_by_metric().keys()


def test_the_reasons_in_the_text_exist() -> None:
    (line,) = (line for line in PAGE.read_text().splitlines() if line.startswith("Packets that were dropped"))
    assert set(quoted(line)) <= {reason.text for reason in Drop}


def test_the_examples() -> None:
    http, logged = (parse(example).daemon for example in blocks(PAGE, "toml"))
    assert isinstance(http.http, Http)
    assert (logged.log_format, logged.log_levels) == ("json", (("audit", "info"), ("ike", "debug")))


def test_all_subsystems_of_the_log_are_described() -> None:
    described = [name for first, _ in tables(PAGE)["The log"] for name in quoted(first) if name in SUBSYSTEMS]
    assert sorted(described) == sorted(SUBSYSTEMS)


@pytest.mark.parametrize("shell", ["bash", "zsh", "fish"])
def test_completion(shell: str) -> None:
    """The line that is to be evaluated prints a script that knows the program."""
    command = "_IKEPY_COMPLETE=bash_source ikepy"
    assert command in PAGE.read_text()
    program = Path(sys.executable).with_name("ikepy")
    variables = {**os.environ, "_IKEPY_COMPLETE": f"{shell}_source"}
    done = subprocess.run([program], env=variables, capture_output=True, text=True, check=True)
    assert "_IKEPY_COMPLETE" in done.stdout
