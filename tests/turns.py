"""In which order several processes run the tests, a file at a time.

Tests with namespaces and peers wait more than they compute, all others compute. Each kind alone would leave
the processors idle for a while, or more than busy, so that tests run out of time: they take turns.
"""

from __future__ import annotations

from collections.abc import Sequence

import pytest

LAST = 0.95  # of all turns: what waits is no longer begun then, as it would end long after the others


def mixed(items: Sequence[pytest.Item]) -> list[pytest.Item]:
    """Files with tests marked `root`, spread over those without; each kind keeps its order."""
    files: dict[str, list[pytest.Item]] = {}
    for item in items:
        files.setdefault(item.nodeid.partition("::")[0], []).append(item)
    waits = {name: any(item.get_closest_marker("root") for item in file) for name, file in files.items()}
    waiting = [file for name, file in files.items() if waits[name]]
    computing = [file for name, file in files.items() if not waits[name]]
    turns = [(LAST * number / len(waiting), file) for number, file in enumerate(waiting)]
    turns += [(number / len(computing), file) for number, file in enumerate(computing)]
    turns.sort(key=lambda turn: turn[0])
    return [item for _, file in turns for item in file]
