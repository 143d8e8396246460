"""Fuzz the targets side by side and print executions, coverage and crashes; exit status 1 if there were any.

An input that breaks a target is kept, and `python -m tests.fuzz.one TARGET FILE` runs it again.
"""

from __future__ import annotations

import argparse
import os
import sys
from pathlib import Path

from tests.fuzz.many import run
from tests.fuzz.targets import TARGETS


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m tests.fuzz", description=__doc__)
    parser.add_argument("targets", nargs="*", metavar="TARGET", help=f"{', '.join(TARGETS)}; default: all")
    parser.add_argument("--seconds", type=int, default=60, help="how long each one runs (3600: an hour)")
    parser.add_argument("--jobs", type=int, default=os.cpu_count() or 1, help="how many at a time")
    parser.add_argument("--keep", type=Path, default=Path(), help="where inputs that break one are kept")
    arguments = parser.parse_args()
    arguments.keep.mkdir(parents=True, exist_ok=True)
    unknown = [name for name in arguments.targets if name not in TARGETS]
    if unknown or arguments.seconds < 1 or arguments.jobs < 1:
        parser.error(f"unknown: {', '.join(unknown)}" if unknown else "at least one second, and one job")
    good = True
    for result in run(
        arguments.targets or list(TARGETS), arguments.seconds, arguments.keep.resolve(), arguments.jobs
    ):
        print(result, flush=True)
        print(result.output, end="", file=sys.stderr)
        good &= result.ok
    return 0 if good else 1


if __name__ == "__main__":
    sys.exit(main())
