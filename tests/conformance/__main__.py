"""Runs all cases against every implementation, and writes docs/conformance.

`python -m tests.conformance [NAME]...`, as root, with strongSwan and libreswan, as the tests need them.
"""

from __future__ import annotations

import os
import sys
import tempfile
from collections import Counter
from pathlib import Path

from tests.conformance import reports
from tests.conformance.runs import RUNS, run_all


def main(names: list[str]) -> None:
    """Write the reports of these implementations, of all without a name; print what fails."""
    wanted = names or list(reports.NAMES)
    runs = [one for one in RUNS if one.implementation in wanted]
    with tempfile.TemporaryDirectory() as files:
        done = []
        for one in run_all(runs, f"iki-{os.getpid()}-c", Path(files)):
            counts = Counter(result.verdict.value for result in one.results)
            print(one.run.implementation, one.run.name, dict(counts), flush=True)
            for result in one.results:
                if result.verdict.value in ("fail", "inconclusive"):
                    print(f"    {result.case.id}: {result.verdict.value}: {result.reason}", flush=True)
            done.append(one)
    for name in wanted:
        reports.write(name, [one for one in done if one.run.implementation == name])


if __name__ == "__main__":
    main(sys.argv[1:])
