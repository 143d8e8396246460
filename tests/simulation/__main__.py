"""`python -m tests.simulation SEED` replays a run; `--count N [--start SEED]` makes many."""

from __future__ import annotations

import argparse
import json
import sys

from .many import soak
from .scenario import run
from .steps import steps


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m tests.simulation", description=__doc__)
    parser.add_argument("seed", nargs="?", type=int, help="replay this run and print its ladder")
    parser.add_argument("--count", type=int, default=1000, help="how many runs")
    parser.add_argument("--start", dest="first", type=int, default=0, help="the first one's seed")
    parser.add_argument("--jobs", type=int, help="how many processes; without it one a processor")
    parser.add_argument("--json", action="store_true", help="with a seed: its steps as values")
    arguments = parser.parse_args()
    if arguments.seed is None:
        return soak(arguments.first, arguments.count, arguments.jobs)
    if arguments.json:
        json.dump(steps(arguments.seed), sys.stdout)
        return 0
    result = run(arguments.seed, transcript=True)
    print(result.transcript)
    print(
        f"seed {result.seed}: {result.error or 'all laws hold'}; {result.messages} messages, "
        f"{result.packets} packets, {result.lost} of them lost"
    )
    return bool(result.error)


sys.exit(main())
