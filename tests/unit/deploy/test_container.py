"""deploy/container: the image has all packages, and starts what the pod starts.

`make image` executes its steps in an empty root; that takes minutes and the network.
"""

from __future__ import annotations

import json
import re

from tests.unit.docs.pages import ROOT

DIRECTORY = ROOT / "deploy/container"
CONTAINERFILE = DIRECTORY / "Containerfile"


def instructions() -> list[tuple[str, str]]:
    text = re.sub(r"^#.*\n", "", CONTAINERFILE.read_text(), flags=re.MULTILINE).replace("\\\n", " ")
    return [
        (word, rest.strip()) for word, _, rest in (line.partition(" ") for line in text.splitlines() if line)
    ]


def test_all_packages_are_in_the_image() -> None:
    copied = " ".join(rest for word, rest in instructions() if word == "COPY").split()
    packages = {path.parent.name for path in ROOT.glob("*/__init__.py")} - {"tests", "benchmarks"}
    assert packages == {"ikepy", "esp", "tun"}
    assert packages | {"LICENSE", "README.md", "pyproject.toml"} <= set(copied)
    ignored = (DIRECTORY / "Containerfile.dockerignore").read_text().splitlines()
    assert packages <= {line.removeprefix("!") for line in ignored}


def test_there_is_no_shell_in_the_last_stage() -> None:
    steps = instructions()
    last = max(number for number, (word, _) in enumerate(steps) if word == "FROM")
    assert "distroless" in steps[last][1]
    assert "RUN" not in [word for word, _ in steps[last:]]
    assert json.loads(dict(steps)["ENTRYPOINT"]) == ["/opt/ikepy/bin/ikepy"]
    assert json.loads(dict(steps)["CMD"])[0] == "run"
