"""How many set-ups a second does a responder manage? One initiator, against ikepy and against charon in turn.

    python -m benchmarks.setups                     about half a minute
    python -m benchmarks.setups --count 5000 --rounds 1 --in-flight 1

A set-up is IKE_SA_INIT and IKE_AUTH: PSK, X25519, AES-128-GCM, one IKE_SA with one CHILD_SA, each under an
identity and with an inner address of its own. `benchmarks.initiator` keeps several under way over one
socket. It has one CPU to itself, the responder (all of its processes and threads) the other one. The SAs
of a round are kept until its end and deleted together then, which has a rate of its own. Both responders
log at their default level to a file, and the limits that are there against floods are off in both.
"""

from __future__ import annotations

import os
import tempfile
import time
from collections.abc import Callable, Iterable, Iterator
from contextlib import closing, contextmanager
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import click

from benchmarks import alone
from benchmarks.initiator import FIRST_INNER, Initiator, Tunnel, identity
from benchmarks.report import Row, Target
from benchmarks.setting import Setting
from benchmarks.usage import cpu_seconds
from ikepy.lab import gateway, pair, strongswan
from ikepy.lab.gateway import Gateway
from ikepy.lab.netns import Namespace
from ikepy.lab.pair import Pair
from ikepy.lab.strongswan import StrongSwan

COUNT = 2000  # set-ups of a round
IN_FLIGHT = 16  # of them at a time
WARM_UP = 50  # set-ups that don't count
SECRET = "s3cr3t"
REMOTE_TS = "10.128.0.0/9"  # of which each peer proposes one address
CHARON = {
    "dos_protection": "no",
    "ikesa_table_size": "8192",
    "ikesa_table_segments": "16",
    "threads": "16",
}


@dataclass(frozen=True, slots=True)
class Timed:
    """What a number of exchanges took: seconds, and CPU-seconds of the responder and of the initiator."""

    seconds: float
    cpu: float
    own_cpu: float


@dataclass(frozen=True, slots=True)
class Round:
    """One round's set-ups and deletes, so many of each."""

    count: int
    up: Timed
    down: Timed


def responder(
    *,
    local_ts: str = pair.RIGHT_NET,
    daemon: str = "",
    name: str = "net",
    device: str = "vti0",
    peer: int | None = None,
) -> gateway.Connection:
    """Our responder for any number of peers, or for one of them, without limits on strangers."""
    remote_ts = REMOTE_TS if peer is None else f"{FIRST_INNER + peer}/32"
    return gateway.Connection(
        name=name,
        local_addrs=(pair.RIGHT,),
        local_id="gwb",
        remote_id="*.bench" if peer is None else identity(peer).decode(),
        local_ts=(local_ts,),
        remote_ts=(remote_ts,),
        routes=(remote_ts,),
        device=device,
        secret=SECRET,
        extra='encap = true\nunique = "never"',
        daemon=f"cookie_threshold = 0\ncookie_threshold_ip = 0\nblock_threshold = 0\n{daemon}",
    )


@contextmanager
def ours(bed: Pair, directory: Path) -> Iterator[None]:
    """Our daemon as the responder on the right."""
    with Gateway(bed.right, directory / "ikepy") as right:
        right.start(responder())
        yield


@contextmanager
def theirs(bed: Pair, directory: Path) -> Iterator[None]:
    """charon with its userspace ESP as the responder on the right."""
    config = strongswan.Connection(
        local_addrs=pair.RIGHT,
        local_id="gwb",
        remote_id="%any",
        local_ts=pair.RIGHT_NET,
        remote_ts=REMOTE_TS,
        secret=SECRET,
        options={"unique": "never"},
    )
    right = StrongSwan(bed.right, directory / "charon", install_routes=False, quick_log=True, options=CHARON)
    try:
        right.start(config)
        yield
    finally:
        right.stop()


RESPONDERS = {"ikepy": ours, "charon": theirs}


def pin(pids: Iterable[int], cpus: Iterable[int]) -> None:
    """Keep processes, all of their threads, on these CPUs."""
    allowed = list(cpus)
    for pid in pids:
        for task in Path(f"/proc/{pid}/task").iterdir():
            os.sched_setaffinity(int(task.name), allowed)


@contextmanager
def apart(others: Namespace) -> Iterator[None]:
    """We have the first CPU, what runs in `others` the last one."""
    cpus = sorted(os.sched_getaffinity(0))
    pin(others.pids(), cpus[-1:])
    pin([os.getpid()], cpus[:1])
    try:
        yield
    finally:
        pin([os.getpid()], cpus)


def timed(namespace: Namespace, work: Callable[[], None]) -> Timed:
    """What `work` costs us and the processes of a namespace."""
    pids = namespace.pids()
    cpu, own, begin = cpu_seconds(pids), time.thread_time(), time.monotonic()
    work()
    seconds, own = time.monotonic() - begin, time.thread_time() - own
    return Timed(seconds, cpu_seconds(pids) - cpu, own)


def measure(bed: Pair, count: int, in_flight: int) -> Round:
    """One round against the responder that runs on the right. LabError if it refuses or goes silent."""
    made = bed.left.inside(lambda: Initiator(pair.LEFT, pair.RIGHT, SECRET, pair.RIGHT_NET))
    with apart(bed.right), closing(made) as initiator:
        initiator.delete(initiator.set_up(range(WARM_UP), in_flight), in_flight)
        tunnels: list[Tunnel] = []
        numbers = range(WARM_UP, WARM_UP + count)
        up = timed(bed.right, lambda: tunnels.extend(initiator.set_up(numbers, in_flight)))
        down = timed(bed.right, lambda: initiator.delete(tunnels, in_flight))
    return Round(count, up, down)


def one_round(setting: Setting, name: str, count: int, in_flight: int) -> Round:
    """A fresh bed with this responder. LabError if it does not work."""
    with (
        Pair(setting.prefix) as bed,
        tempfile.TemporaryDirectory(prefix="ikepy-bench-") as directory,
        RESPONDERS[name](bed, Path(directory)),
    ):
        return measure(bed, count, in_flight)


def rows(setting: Setting, count: int = COUNT, in_flight: int = IN_FLIGHT) -> list[Row]:
    """Rates and CPU time of set-ups and deletes."""
    found: dict[str, list[Round]] = {name: [] for name in RESPONDERS}
    for number in range(1, setting.rounds + 1):
        for name, rounds in found.items():
            setting.say(f"  round {number} of {setting.rounds}: {name}")
            rounds.append(one_round(setting, name, count // 10 if setting.quick else count, in_flight))
    half = Target(0.5)
    return [
        _row(
            f"Set-ups, {in_flight} at a time", "a second", found, lambda one: one.count / one.up.seconds, half
        ),
        _row("CPU of a set-up", "ms", found, lambda one: 1000 * one.up.cpu / one.count),
        _row("CPU of a set-up, initiator", "ms", found, lambda one: 1000 * one.up.own_cpu / one.count),
        _row("Deletes of IKE_SAs", "a second", found, lambda one: one.count / one.down.seconds),
        _row("CPU of a delete", "ms", found, lambda one: 1000 * one.down.cpu / one.count),
    ]


def _row(
    what: str,
    unit: str,
    found: dict[str, list[Round]],
    figure: Callable[[Round], float],
    target: Target | None = None,
) -> Row:
    own, other = ([figure(one) for one in rounds] for rounds in found.values())
    return Row(what, unit, own, other, target)


@click.command()
@click.option("--count", type=click.IntRange(1), default=COUNT, show_default=True, help="Set-ups of a round.")
@click.option("--in-flight", type=click.IntRange(1), default=IN_FLIGHT, show_default=True, help="At a time.")
@click.option("--rounds", type=click.IntRange(1), default=3, show_default=True)
def main(count: int, in_flight: int, rounds: int) -> None:
    """Set-ups a second: ours and charon's."""
    found = partial(rows, count=count, in_flight=in_flight)
    alone.run("setups", "iks", rounds, found, f"{count} set-ups a round")


if __name__ == "__main__":
    main()
