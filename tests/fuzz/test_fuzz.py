"""Half a minute of fuzzing, from the project's own corpus; `python -m tests.fuzz` goes on for longer."""

from __future__ import annotations

import importlib.util
import os
from pathlib import Path

import pytest

from tests.fuzz import corpus, targets
from tests.fuzz.many import run

SECONDS = 30  # in all


@pytest.mark.parametrize("name", targets.TARGETS)
def test_seeds_are_harmless(name: str, tmp_path: Path) -> None:
    target = targets.TARGETS[name]()
    assert corpus.write(name, tmp_path) >= 5
    for seed in sorted(tmp_path.iterdir()):
        target(seed.read_bytes())


@pytest.mark.skipif(importlib.util.find_spec("atheris") is None, reason="needs atheris")
def test_fuzz(tmp_path: Path) -> None:
    each = SECONDS // len(targets.TARGETS)
    results = list(run(list(targets.TARGETS), each, tmp_path, os.cpu_count() or 1))
    for result in results:
        print(result)
        assert result.ok, f"{result}\n{result.output}"
        assert result.executions > 100
        assert result.coverage > 50
    assert len(results) == len(targets.TARGETS)


@pytest.mark.skipif(importlib.util.find_spec("atheris") is None, reason="needs atheris")
def test_a_target_that_breaks_is_told(tmp_path: Path) -> None:
    (result,) = run(["no such target"], 1, tmp_path, 1)
    assert not result.ok
    assert "python -m tests.fuzz.one" in result.output
