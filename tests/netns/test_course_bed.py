"""Another Ctrl-C while a course's lab is removed leaves nothing of it."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from ikepy.lab.netns import Namespace
from tests.netns.namespaces import PREFIX, wait_until

pytestmark = pytest.mark.root
SCRIPT = """
import sys
from pathlib import Path
from ikepy.course.bed import Bed
prefix, directory = sys.argv[1:]
with Bed(prefix, Path(directory)) as bed:
    bed.nodes["left"].start("sh", "-c", "trap '' TERM; while :; do sleep 1; done", log=Path(directory, "log"))
    print("up", flush=True)
    sys.stdin.readline()
    print("down", flush=True)
"""


def test_a_second_ctrl_c_while_it_is_removed(tmp_path: Path) -> None:
    prefix, directory = f"{PREFIX}{os.getpid()}-co{os.urandom(2).hex()}-", tmp_path / "bed"
    directory.mkdir()
    command = [sys.executable, "-c", SCRIPT, prefix, str(directory)]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdin is not None and process.stdout is not None
        assert process.stdout.readline() == "up\n"
        process.stdin.write("\n")
        process.stdin.flush()
        assert process.stdout.readline() == "down\n"
        left = Namespace(f"{prefix}left")
        wait_until(lambda: not left.exists or signal.SIGINT in ignored(process.pid), "it is being removed")
        for _ in range(3):
            process.send_signal(signal.SIGINT)
        assert process.wait(30) == 0
    assert not list(Path("/run/netns").glob(f"{prefix}*")) and not list(directory.iterdir())


def ignored(pid: int) -> set[signal.Signals]:
    (mask,) = (
        line.split()[1] for line in Path(f"/proc/{pid}/status").read_text().splitlines() if "SigIgn" in line
    )
    return {one for one in signal.Signals if int(mask, 16) >> (one - 1) & 1}
