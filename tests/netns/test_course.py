"""The course: every command of every lab is run, in its order, and prints what the page says."""

from __future__ import annotations

import io
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path

import pytest
from rich.console import Console

from ikepy.course.bed import Bed
from ikepy.course.text import Lab, labs
from ikepy.course.tour import Tour, commands

pytestmark = pytest.mark.root

LABS = labs()
SIDE_BY_SIDE = 2  # labs wait more than they compute
# A /run of its own: no other lab on this machine is touched.
ALONE = ("unshare", "--mount", "--net", "--propagation", "private", "sh", "-ec")


def tour(lab: Lab) -> str:
    """What of a lab is not as its page says; empty if all is."""
    with tempfile.TemporaryDirectory() as directory, Bed(f"lab{lab.number}-", Path(directory, "bed")) as bed:
        one = Tour(lab, bed, Console(file=io.StringIO()), ask=None)
        one.run()
    return "\n".join(
        "\n".join([f"{command.node}$ {command.script}", printed, "The page says:", *command.output])
        for command, printed in one.differing
    )


@pytest.fixture(scope="module")
def tours() -> Iterator[dict[int, Future[str]]]:
    with ThreadPoolExecutor(SIDE_BY_SIDE) as pool:
        yield {lab.number: pool.submit(tour, lab) for lab in LABS}


@pytest.mark.parametrize("lab", LABS, ids=lambda lab: lab.name)
def test_a_lab_does_what_its_page_says(lab: Lab, tours: dict[int, Future[str]]) -> None:
    """Else: `python -m tests.course_outputs NUMBER` writes what is printed now."""
    assert tours[lab.number].result() == ""


def test_a_learner_ends_a_lab_and_goes_on(tmp_path: Path) -> None:
    """Three commands, and q; then it goes on with the fourth one, in a bed where three have run."""
    script = f"""
        mount -t tmpfs none /run
        export XDG_STATE_HOME={tmp_path} COLUMNS=150
        course() {{ {sys.executable} -m ikepy lab course "$@"; }}
        printf '\\n\\n\\n\\nq\\n' | course 1
        course
        echo ======
        printf 's\\nq\\n' | course 1
        course
        ! ls /run/netns/* /run/ikepy-course
    """
    done = subprocess.run([*ALONE, script], capture_output=True, text=True, timeout=120, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    first, second = done.stdout.split("======")
    assert "left.toml: 1 connection, 1 secret, no mistakes" in first
    assert "right.toml: 1 connection" not in first
    assert f"3 of {commands(LABS[0].items)}" in first
    assert "Without a tunnel" not in second  # the beginning is not shown again
    assert "right$ ikepy check right.toml" in second
    assert f"4 of {commands(LABS[0].items)}" in second


def test_a_shell_beside_the_tour_and_an_end_by_a_signal(tmp_path: Path) -> None:
    """The shell is in the node and knows its daemon's socket; SIGTERM removes everything."""
    script = f"""
        mount -t tmpfs none /run
        export XDG_STATE_HOME={tmp_path}
        mkfifo /run/keys
        course() {{ exec {sys.executable} -m ikepy lab course "$@"; }}
        course 1 </run/keys & tour=$!
        exec 3>/run/keys
        until [ -e /run/ikepy-course/far.pcap ]; do sleep 0.1; done
        echo 'ip -o addr show lan; echo $IKEPY_SOCKET; pwd' | course --shell left
        kill $tour
        wait $tour && exit 1
        ! ls /run/netns/* /run/ikepy-course
    """
    done = subprocess.run([*ALONE, script], capture_output=True, text=True, timeout=120, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    assert "inet 10.1.0.1/24" in done.stdout
    assert "\n/run/ikepy-course/left.sock\n/run/ikepy-course\n" in done.stdout
    assert "interrupted" in done.stderr
