"""How the benchmarks are to be run: what every one of them is given."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Setting:
    """`rounds`: ours and theirs in turn in each. `seconds`: of one TCP measurement.

    `prefix` is that of the namespaces: free when a benchmark begins, and again when it ends. `quick` shows
    that a benchmark works, not what is reached. `say` tells the user what is being done.
    """

    prefix: str
    rounds: int
    seconds: int
    quick: bool
    say: Callable[[str], None]
