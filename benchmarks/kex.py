"""What a key exchange costs, group by group: a fresh key pair, and g^ir. python -m benchmarks.kex"""

from __future__ import annotations

import os
import time
from collections.abc import Callable
from functools import partial

from rich.console import Console
from rich.table import Table

from ikepy.crypto import kex
from ikepy.wire.constants import KeGroup

ROUNDS = 20


def fastest(job: Callable[[], object]) -> float:
    """Milliseconds."""
    times: list[float] = []
    for _ in range(ROUNDS):
        begin = time.perf_counter()
        job()
        times.append(time.perf_counter() - begin)
    return 1000 * min(times)


def main() -> None:
    table = Table("group", "key pair, ms", "g^ir, ms", "planned for both, ms")
    for group in sorted(kex.SUPPORTED, key=kex.seconds):
        public = kex.generate(group, os.urandom).public
        exchange = kex.generate(group, os.urandom)
        fresh = fastest(partial(kex.generate, group, os.urandom))
        shared = fastest(partial(exchange.shared, public))
        planned = 1000 * kex.seconds(group)
        table.add_row(KeGroup(group).name, f"{fresh:.3f}", f"{shared:.3f}", f"{planned:.2f}")
    Console().print(table)


if __name__ == "__main__":
    main()
