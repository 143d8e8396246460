"""The wheel that `python -m build` makes: installed alone into a fresh virtual environment, it runs the lab.

No network: the build runs without isolation, and the fresh environment gets the files of those installed
distributions that the wheel declares as dependencies, and of no others.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import venv
import zipfile
from collections.abc import Iterator
from importlib.metadata import Distribution, PathDistribution, distribution
from pathlib import Path

import pytest
from packaging.requirements import Requirement

import ikepy
from ikepy.lab.bed import Lab
from ikepy.lab.netns import LabError
from ikepy.lab.state import Options

ROOT = Path(__file__).resolve().parents[2]
SOURCES = ("pyproject.toml", "README.md", "LICENSE", "ikepy", "esp", "tun")
PACKAGES = ("ikepy", "esp", "tun")
INFO = f"ikepy-{ikepy.__version__}.dist-info"


def run(*command: str | Path, cwd: Path) -> str:
    """The command's stdout; a failure shows everything that it printed."""
    environment = {
        key: value for key, value in os.environ.items() if not key.startswith(("PYTHON", "VIRTUAL"))
    }
    done = subprocess.run(
        [*map(str, command)],
        cwd=cwd,
        env=environment,
        capture_output=True,
        text=True,
        timeout=300,
        check=False,
    )
    assert done.returncode == 0, f"{command}: {done.stdout}{done.stderr}"
    return done.stdout


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Built from a source distribution that was built from a copy of the sources: nothing is left in ours."""
    base = tmp_path_factory.mktemp("build")
    copy = base / "copy"
    copy.mkdir()
    for name in SOURCES:
        source = ROOT / name
        if source.is_dir():
            shutil.copytree(source, copy / name, ignore=shutil.ignore_patterns("__pycache__"))
        else:
            shutil.copy(source, copy)
    run(sys.executable, "-m", "build", "--no-isolation", "--outdir", base / "dist", copy, cwd=base)
    (made,) = (base / "dist").glob("*.whl")
    return made


def _required(wheel: Path) -> Iterator[Distribution]:
    """What the wheel requires without extras, and what that requires in turn: as it is installed here."""
    waiting: list[Distribution] = [PathDistribution(zipfile.Path(wheel, f"{INFO}/"))]
    seen: set[str] = set()
    while waiting:
        for line in waiting.pop().requires or ():
            requirement = Requirement(line)
            wanted = requirement.marker is None or requirement.marker.evaluate({"extra": ""})
            if wanted and requirement.name not in seen:
                seen.add(requirement.name)
                waiting.append(distribution(requirement.name))
                yield waiting[-1]


@pytest.fixture(scope="module")
def installed(wheel: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The `bin` directory of a fresh environment with the wheel in it; pip has checked the requirements."""
    fresh = tmp_path_factory.mktemp("fresh") / "venv"
    venv.create(fresh, symlinks=True, with_pip=False)
    (packages,) = fresh.glob("lib/python*/site-packages")
    for one in _required(wheel):
        for top in {file.parts[0] for file in one.files or ()} - {"..", "__pycache__"}:
            (packages / top).symlink_to(Path(str(one.locate_file(top))).resolve())
    pip = (sys.executable, "-m", "pip", "--python", fresh / "bin/python", "--disable-pip-version-check")
    run(*pip, "install", "--no-index", "--no-compile", wheel, cwd=fresh)
    run(*pip, "check", cwd=fresh)
    return fresh / "bin"


def test_contents(wheel: Path) -> None:
    """Each module of the sources, the window's files, the course's pages, the markers for type checkers, the
    license; no tests, no benchmarks."""
    found = [path for package in PACKAGES for path in (ROOT / package).rglob("*")]
    sources = {
        str(path.relative_to(ROOT))
        for path in [*found, *(ROOT / "ikepy/course/labs").glob("*.md")]
        if path.suffix in (".py", ".md") or path.name == "py.typed" or path.parent.name == "static"
    }
    names = set(zipfile.ZipFile(wheel).namelist())
    assert {name for name in names if not name.startswith(INFO)} == sources
    assert {f"{package}/py.typed" for package in PACKAGES} <= names
    assert f"{INFO}/licenses/LICENSE" in names
    metadata = zipfile.ZipFile(wheel).read(f"{INFO}/METADATA").decode().splitlines()
    assert "License-Expression: Apache-2.0" in metadata


def test_version(installed: Path, wheel: Path, tmp_path: Path) -> None:
    """The command, the wheel's name and its metadata say the same."""
    said = run(installed / "ikepy", "--version", cwd=tmp_path)
    assert said == f"ikepy, version {ikepy.__version__}\n"
    assert wheel.name == f"ikepy-{ikepy.__version__}-py3-none-any.whl"
    lines = "from importlib.metadata import version; import ikepy; print(version('ikepy'), ikepy.__file__)"
    number, path = run(installed / "python", "-c", lines, cwd=tmp_path).split()
    assert number == ikepy.__version__
    assert Path(path).is_relative_to(installed.parent)


@pytest.mark.root
def test_lab(installed: Path, tmp_path: Path) -> None:
    """With a /run and a network namespace of its own, so that another lab on this machine is not touched."""
    try:
        Lab(Options()).require()
    except LabError as error:
        pytest.skip(str(error))
    alone = ("unshare", "--mount", "--net", "--propagation", "private", "sh", "-ec")
    script = 'mount -t tmpfs none /run; exec "$0" lab --seconds 1'
    said = run(*alone, script, installed / "ikepy", cwd=tmp_path)
    assert "\nAll of it worked.\n" in said
