"""`python -m tests.fuzz.one TARGET [libFuzzer's options]`: one target; a file's name replays that input."""

from __future__ import annotations

import sys
import tempfile
from pathlib import Path

import atheris


def main() -> None:
    with atheris.instrument_imports(include=["ikepy", "esp"]):
        from tests.fuzz import corpus, targets
    if len(sys.argv) < 2 or sys.argv[1] not in targets.TARGETS:
        sys.exit(__doc__)
    name, options = sys.argv[1], sys.argv[2:]
    with tempfile.TemporaryDirectory(prefix="ikepy-fuzz-") as scratch:
        inputs = [option for option in options if not option.startswith("-")]
        if not inputs:
            print(f"{corpus.write(name, Path(scratch))} seeds", flush=True)
            options = [*options, scratch]
        atheris.Setup([sys.argv[0], *options], targets.TARGETS[name]())
        atheris.Fuzz()


if __name__ == "__main__":
    main()
