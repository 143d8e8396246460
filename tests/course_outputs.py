"""Writes what the commands of a lab print now into its page, where that differs from what stands there.

`python -m tests.course_outputs NUMBER...`. Read what it changed: a `…` that does not fit any more is gone.
"""

from __future__ import annotations

import sys
import tempfile
from pathlib import Path

from ikepy.course.bed import Bed
from ikepy.course.compare import fits
from ikepy.course.text import Command, File, labs, walk

PAGES = Path(__file__).resolve().parents[1] / "docs/course"


def write(number: int) -> None:
    (lab,) = [one for one in labs() if one.number == number]
    page = PAGES / lab.name
    lines = page.read_text().splitlines()
    moved = 0
    with tempfile.TemporaryDirectory() as directory, Bed(f"out{number}-", Path(directory)) as bed:
        for item in walk(lab.items):
            if isinstance(item, File):
                bed.write(item.name, item.text)
            if not isinstance(item, Command):
                continue
            printed = bed.run(item.node, item.script).text
            if item.hidden or fits(item.output, printed):
                continue
            print(f"{lab.name}: {item.node}$ {item.script}")
            begin = item.line + moved
            new = [line.rstrip() for line in printed.rstrip("\n").splitlines()]
            lines[begin : begin + len(item.output)] = new
            moved += len(new) - len(item.output)
    page.write_text("\n".join(lines) + "\n")


if __name__ == "__main__":
    for word in sys.argv[1:]:
        write(int(word))
