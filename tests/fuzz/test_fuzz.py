"""Each target for a few seconds from the project's own corpus; `python -m tests.fuzz` goes on for longer."""

from __future__ import annotations

import importlib.util
import re
import subprocess
import sys
from pathlib import Path

import pytest

from tests.fuzz import corpus, targets

SECONDS = 6
ROOT = Path(__file__).resolve().parents[2]


@pytest.mark.parametrize("name", targets.TARGETS)
def test_seeds_are_harmless(name: str, tmp_path: Path) -> None:
    target = targets.TARGETS[name]()
    assert corpus.write(name, tmp_path) >= 5
    for seed in sorted(tmp_path.iterdir()):
        target(seed.read_bytes())


@pytest.mark.skipif(importlib.util.find_spec("atheris") is None, reason="needs atheris")
@pytest.mark.parametrize("name", targets.TARGETS)
def test_fuzz(name: str, tmp_path: Path) -> None:
    command = [
        sys.executable, "-m", "tests.fuzz", name,
        f"-max_total_time={SECONDS}", "-rss_limit_mb=1024", "-timeout=10", f"-artifact_prefix={tmp_path}/",
    ]  # fmt: skip
    done = subprocess.run(
        command, cwd=ROOT, capture_output=True, text=True, timeout=SECONDS + 110, check=False
    )
    assert done.returncode == 0, done.stdout[-4000:] + done.stderr[-4000:]
    runs = re.search(r"Done (\d+) runs", done.stderr + done.stdout)
    assert runs is not None, done.stderr[-2000:]
    assert int(runs[1]) > 100
