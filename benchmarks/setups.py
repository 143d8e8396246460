"""How many set-ups a second does a responder manage? One initiator, against ikepy and against charon in turn.

    python -m benchmarks.setups                     about half a minute
    python -m benchmarks.setups --count 5000 --rounds 1

A set-up is IKE_SA_INIT and IKE_AUTH: PSK, X25519, AES-128-GCM, one IKE_SA with one CHILD_SA, each under an identity
and with an inner address of its own. `benchmarks.initiator` keeps several under way over one socket. It has one CPU to
itself, the responder (all of its processes and threads) the other one. The SAs of a round are kept until its end and
deleted together then, which has a rate of its own. Both log at their default level to a file, and the limits that
are there against floods are off in both.
"""

from __future__ import annotations

import os
import statistics
import sys
import tempfile
import time
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import click
from rich.console import Console
from rich.table import Table

from benchmarks.initiator import Initiator
from benchmarks.tunnel import machine
from ikepy.lab import gateway, pair, strongswan
from ikepy.lab.gateway import Gateway
from ikepy.lab.netns import LabError, Namespace
from ikepy.lab.pair import Pair
from ikepy.lab.strongswan import StrongSwan

WARM_UP = 50  # set-ups that don't count
SECRET = "s3cr3t"
TICKS = os.sysconf("SC_CLK_TCK")
REMOTE_TS = "10.128.0.0/9"  # of which each peer proposes one address


@dataclass(frozen=True, slots=True)
class Figures:
    """One round's: a second, and CPU-seconds of the responder a piece. `sent_again`: datagrams."""

    rate: float
    cpu: float
    delete_rate: float
    delete_cpu: float
    initiator_cpu: float
    sent_again: int


def ours(daemon: str = "") -> gateway.Connection:
    """A responder for any number of peers, without limits on strangers."""
    return gateway.Connection(
        local_addrs=(pair.RIGHT,),
        local_id="gwb",
        remote_id="*.bench",
        local_ts=(pair.RIGHT_NET,),
        remote_ts=(REMOTE_TS,),
        routes=(REMOTE_TS,),
        secret=SECRET,
        extra='encap = true\nunique = "never"',
        daemon="cookie_threshold = 0\nblock_threshold = 0\n" + daemon,
    )


def theirs() -> strongswan.Connection:
    """The same for charon."""
    return strongswan.Connection(
        local_addrs=pair.RIGHT,
        local_id="gwb",
        remote_id="%any",
        local_ts=pair.RIGHT_NET,
        remote_ts=REMOTE_TS,
        secret=SECRET,
        options={"unique": "never"},
    )


CHARON = {
    "dos_protection": "no",
    "ikesa_table_size": "8192",
    "ikesa_table_segments": "16",
    "threads": "16",
}


@contextmanager
def ikepy(bed: Pair, directory: Path) -> Iterator[None]:
    """Our daemon as the responder on the right."""
    with Gateway(bed.right, directory / "ikepy") as right:
        right.start(ours())
        yield


@contextmanager
def charon(bed: Pair, directory: Path) -> Iterator[None]:
    """charon with its userspace ESP as the responder on the right."""
    right = StrongSwan(bed.right, directory / "charon", install_routes=False, quick_log=True, options=CHARON)
    try:
        right.start(theirs())
        yield
    finally:
        right.stop()


RESPONDERS = {"ikepy": ikepy, "charon": charon}


def cpu_seconds(pids: Iterable[int]) -> float:
    """User and system time of processes, all of their threads."""
    total = 0
    for pid in pids:
        fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
        total += int(fields[11]) + int(fields[12])
    return total / TICKS


def pin(pids: Iterable[int], cpu: int) -> None:
    """Keep processes, all of their threads, on one CPU."""
    for pid in pids:
        for task in Path(f"/proc/{pid}/task").iterdir():
            os.sched_setaffinity(int(task.name), {cpu})


@dataclass(frozen=True, slots=True)
class Timed:
    """What something took: seconds, and CPU-seconds of the responder and of the initiator."""

    seconds: float
    cpu: float
    own_cpu: float


def timed(responder: Namespace, work: Callable[[], None]) -> Timed:
    pids = responder.pids()
    cpu, own, begin = cpu_seconds(pids), time.thread_time(), time.monotonic()
    work()
    seconds, own = time.monotonic() - begin, time.thread_time() - own
    return Timed(seconds, cpu_seconds(pids) - cpu, own)


def measure(bed: Pair, count: int, in_flight: int) -> Figures:
    """One round against the responder that runs on the right."""
    cpus = sorted(os.sched_getaffinity(0))
    os.sched_setaffinity(0, {cpus[0]})  # this thread
    pin(bed.right.pids(), cpus[-1])
    initiator = Initiator(pair.LEFT, pair.RIGHT, SECRET, pair.RIGHT_NET)
    try:
        initiator.delete(initiator.set_up(range(WARM_UP), in_flight), in_flight)
        tunnels = []
        numbers = range(WARM_UP, WARM_UP + count)
        up = timed(bed.right, lambda: tunnels.extend(initiator.set_up(numbers, in_flight)))
        down = timed(bed.right, lambda: initiator.delete(tunnels, in_flight))
    finally:
        initiator.close()
    return Figures(
        rate=count / up.seconds,
        cpu=up.cpu / count,
        delete_rate=count / down.seconds,
        delete_cpu=down.cpu / count,
        initiator_cpu=up.own_cpu / count,
        sent_again=initiator.sent_again,
    )


def one_round(name: str, count: int, in_flight: int) -> Figures:
    """A fresh bed with this responder. LabError if it does not work."""
    with (
        Pair(f"iks{os.getpid()}-") as bed,
        tempfile.TemporaryDirectory(prefix="ikepy-bench-") as directory,
        RESPONDERS[name](bed, Path(directory)),
    ):
        return bed.left.inside(lambda: measure(bed, count, in_flight))


def table(found: dict[str, list[Figures]], count: int, in_flight: int) -> Table:
    made = Table(
        title=f"{count} set-ups, {in_flight} at a time, medians of {len(next(iter(found.values())))}"
    )
    made.add_column("")
    rows = {
        "set-ups a second": ("rate", 1, ",.0f"),
        "CPU of the responder a set-up, ms": ("cpu", 1000, ".2f"),
        "deletes a second": ("delete_rate", 1, ",.0f"),
        "CPU of the responder a delete, ms": ("delete_cpu", 1000, ".2f"),
        "CPU of the initiator a set-up, ms": ("initiator_cpu", 1000, ".2f"),
        "datagrams sent again": ("sent_again", 1, ".0f"),
    }
    for name in found:
        made.add_column(name, justify="right")
    if len(found) > 1:
        made.add_column("ratio", justify="right")
    for title, (field, factor, style) in rows.items():
        medians = [statistics.median(getattr(one, field) for one in figures) for figures in found.values()]
        ratio = [f"{medians[0] / medians[1]:.2f}" if medians[1] else ""] if len(medians) > 1 else []
        made.add_row(title, *(f"{factor * value:{style}}" for value in medians), *ratio)
    return made


@click.command()
@click.option("--count", type=click.IntRange(1), default=2000, show_default=True, help="Set-ups of a round.")
@click.option("--in-flight", type=click.IntRange(1), default=16, show_default=True, help="At a time.")
@click.option("--rounds", type=click.IntRange(1), default=3, show_default=True)
@click.option("--only", type=click.Choice(list(RESPONDERS)), help="One responder instead of both.")
def main(count: int, in_flight: int, rounds: int, only: str | None) -> None:
    """Set-ups a second: ours and charon's."""
    names = [only] if only else list(RESPONDERS)
    if "charon" in names and (reason := strongswan.missing()) is not None:
        click.echo(f"without charon: {reason}", err=True)
        names.remove("charon")
    found: dict[str, list[Figures]] = {name: [] for name in names}
    try:
        for _ in range(rounds):
            for name in names:
                found[name].append(one_round(name, count, in_flight))
    except LabError as error:
        click.echo(f"benchmarks.setups: {error}", err=True)
        sys.exit(1)
    console = Console(highlight=False, width=100)
    console.print(table(found, count, in_flight))
    console.print(machine(), soft_wrap=True)


if __name__ == "__main__":
    main()
