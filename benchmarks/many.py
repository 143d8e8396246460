"""How long until a gateway with a thousand connections has started, and until all of them are up?

    python -m benchmarks.many                       about a minute
    python -m benchmarks.many --connections 200

Two daemons, and all connections are between the same two addresses, each with its own identities, secret,
child and device. Everything is at its defaults: the limits on strangers too, which count what is not
authenticated. The start is measured until the control socket answers. CPU-seconds are those of all processes
of a daemon.
"""

from __future__ import annotations

import os
import sys
import tempfile
import time
from pathlib import Path
from secrets import token_hex

import click

from benchmarks.interrupt import on_sigterm
from benchmarks.usage import cpu_seconds
from ikepy.lab import pair
from ikepy.lab.gateway import Connection, Gateway, document
from ikepy.lab.netns import LabError
from ikepy.lab.pair import Pair

CONNECTIONS = 1000
START, UP = 5.0, 20.0  # seconds that it may take
PATIENCE = 300.0  # seconds after which it has failed
POLL = 1.0  # seconds: a listing of all costs the daemon a tenth of one
ENDING = 90.0  # seconds for the kernel to remove the devices


def connections(count: int, secrets: list[str], *, initiator: bool) -> list[Connection]:
    """Those of one end."""
    own, peer = ("a", "b") if initiator else ("b", "a")
    local, remote = (pair.LEFT, pair.RIGHT) if initiator else (pair.RIGHT, pair.LEFT)
    nets = ("10.129", "10.128") if initiator else ("10.128", "10.129")
    return [
        Connection(
            name=f"c{n}",
            local_addrs=(local,),
            remote_addrs=(remote,),
            local_id=f"{own}{n}",
            remote_id=f"{peer}{n}",
            local_ts=(f"{nets[0]}.{n // 256}.{n % 256}/32",),
            remote_ts=(f"{nets[1]}.{n // 256}.{n % 256}/32",),
            start_action="start" if initiator else "none",
            child=f"n{n}",
            device=f"v{n}",
            secret=secrets[n],
        )
        for n in range(count)
    ]


def started(gateway: Gateway, config: str) -> tuple[float, float]:
    """Start it: the seconds and the CPU-seconds that it took."""
    begin = time.monotonic()
    gateway.start(config, patience=PATIENCE)
    return time.monotonic() - begin, cpu_seconds(gateway.namespace.pids())


def until_up(gateway: Gateway, count: int, begin: float) -> float:
    """Seconds since `begin` until all children are up. LabError if they don't come up."""
    up = 0
    while time.monotonic() - begin < PATIENCE:
        up = len(gateway.children())
        if up >= count:
            return time.monotonic() - begin
        time.sleep(POLL)
    raise LabError(f"{up} of {count} are up after {PATIENCE:.0f} s")


def measure(count: int, directory: Path) -> bool:
    """Print the figures; whether all of them are within their limits."""
    secrets = [token_hex(24) for _ in range(count)]
    with Pair(f"many{os.getpid()}-") as ends:
        responder, initiator = (
            Gateway(where, directory / name) for where, name in ((ends.right, "r"), (ends.left, "i"))
        )
        try:
            first, first_cpu = started(responder, document(connections(count, secrets, initiator=False)))
            begin = time.monotonic()
            second, second_cpu = started(initiator, document(connections(count, secrets, initiator=True)))
            up = until_up(initiator, count, begin + second)
            cpu = [cpu_seconds(one.namespace.pids()) for one in (initiator, responder)]
            again = sum("retransmit" in line for line in initiator.log().splitlines())
        finally:
            for one in (initiator, responder):
                one.stop(patience=ENDING)
    print(f"{count} connections between two addresses")
    print(
        f"start of the responder, of the initiator: {first:.1f} s, {second:.1f} s (at most {START:.0f} s), "
        f"with {first_cpu:.1f} and {second_cpu:.1f} s of CPU"
    )
    print(f"all up after another: {up:.1f} s (at most {UP:.0f} s); {again} retransmissions")
    print(f"CPU of the initiator, of the responder until then: {cpu[0]:.1f} s, {cpu[1]:.1f} s")
    return max(first, second) <= START and up <= UP


@click.command(help=(__doc__ or "").split("\n", 1)[0])
@click.option(
    "--connections", "count", type=click.IntRange(1, 60_000), default=CONNECTIONS, show_default=True
)
def main(count: int) -> None:
    """Run it, and end with status 1 if a limit is missed."""
    on_sigterm()
    with tempfile.TemporaryDirectory(prefix="ikepy-many-") as directory:
        sys.exit(0 if measure(count, Path(directory)) else 1)


if __name__ == "__main__":
    main()
