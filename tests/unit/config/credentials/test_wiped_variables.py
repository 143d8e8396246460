"""What is read of the environment and wiped, seen in a process of its own."""

from __future__ import annotations

import os
import subprocess
import sys

import pytest

from ikepy.config.credentials import wiped_variables

VALUE = "b2r9Kq0LZfWm7cYhLzU0"


def run(code: str) -> str:
    environment = {**os.environ, "IKEPY_TEST_PSK": VALUE, "IKEPY_TEST_OTHER": "kept"}
    head = (
        "from pathlib import Path\nimport os\nfrom ikepy.config import toml_source\n"
        "from ikepy.config.credentials import wiped_variables\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", head + code], capture_output=True, text=True, env=environment, check=False
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


def test_a_variable_that_was_read_is_nowhere_in_the_environment() -> None:
    shown = run(
        "assert wiped_variables.read('IKEPY_TEST_PSK')\nwiped_variables.wipe()\n"
        "print(Path('/proc/self/environ').read_bytes(), os.environ)"
    )
    assert VALUE not in shown
    assert "IKEPY_TEST_PSK=\\x00" in shown
    assert "IKEPY_TEST_OTHER=kept" in shown


def test_the_configuration_can_be_read_again() -> None:
    shown = run(
        "text = '[secrets.ike-x]\\nsecret_env = \"IKEPY_TEST_PSK\"'\n"
        "before = toml_source.parse(text)\nwiped_variables.wipe()\n"
        "assert 'IKEPY_TEST_PSK' not in os.environ\n"
        "print(toml_source.parse(text) == before)"
    )
    assert shown == "True\n"


def test_a_variable_that_was_not_read_stays(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("IKEPY_TEST_OTHER", "kept")
    wiped_variables.wipe()
    assert os.environ["IKEPY_TEST_OTHER"] == "kept"
    assert wiped_variables.read("IKEPY_TEST_NONE") is None
