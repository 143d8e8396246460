"""`python -m tests.fuzz message|sealed|esp [libFuzzer's options]`: a crash leaves its input in `crash-...`.

`-max_total_time=3600` runs for an hour; a file's name instead replays that input.
"""

from __future__ import annotations

import sys
import tempfile
from pathlib import Path

import atheris


def main() -> None:
    if len(sys.argv) < 2 or sys.argv[1] not in ("message", "sealed", "esp"):
        sys.exit(__doc__)
    with atheris.instrument_imports(include=["ikepy", "esp"]):
        from tests.fuzz import corpus, targets
    name, options = sys.argv[1], sys.argv[2:]
    with tempfile.TemporaryDirectory(prefix="ikepy-fuzz-") as scratch:
        inputs = [option for option in options if not option.startswith("-")]
        if not inputs:
            print(f"{corpus.write(name, Path(scratch))} seeds", flush=True)
            options = [*options, scratch]
        atheris.Setup([sys.argv[0], *options], targets.TARGETS[name]())
        atheris.Fuzz()


main()
