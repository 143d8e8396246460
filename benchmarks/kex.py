"""What a key exchange costs, group by group: a fresh key pair, and g^ir. python -m benchmarks.kex"""

from __future__ import annotations

import os
import time
from collections.abc import Callable
from functools import partial

from rich.console import Console
from rich.table import Table

from ikepy.crypto.kex import registry

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
    for method in sorted(map(registry.method, registry.supported()), key=lambda method: method.seconds):
        begun = method.begin(os.urandom)()
        public, _ = method.respond(os.urandom, begun.public)()
        fresh = fastest(method.begin(os.urandom))
        shared = fastest(partial(begun.finish, public))
        table.add_row(method.name, f"{fresh:.3f}", f"{shared:.3f}", f"{1000 * method.seconds:.2f}")
    Console().print(table)


if __name__ == "__main__":
    main()
