"""How fast is a tunnel? Ours and strongSwan's userspace ESP in turn, over the same four namespaces.

    python -m benchmarks.tunnel                     under a minute and a half
    python -m benchmarks.tunnel --rounds 7 --tcp 10

Host, gateway, gateway, host: one TCP flow (Mbit/s), UDP packets of 64 bytes (those that arrive a second when
more are sent) and pings (round trip). Each figure is the median of the rounds. Both use the same suite, and
UDP encapsulation, as strongSwan's userspace ESP can't do without. Everything runs on this one machine: both
gateways, both ends of iperf3 and the kernel share its CPUs.
"""

from __future__ import annotations

import os
import platform
import signal
import statistics
import sys
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path
from types import FrameType

import click
from rich.console import Console
from rich.table import Table

from ikepy.lab import gateway, pair, strongswan
from ikepy.lab.gateway import Gateway
from ikepy.lab.measure import Iperf, device_mtu, ping
from ikepy.lab.netns import LabError, run
from ikepy.lab.pair import Pair
from ikepy.lab.strongswan import StrongSwan

SMALL = 36  # bytes of UDP payload: an IPv4 packet of 64
WARM_UP = 20  # pings that don't count: a tunnel that has just come up may still be starting its workers
MEASURES = ("TCP, one flow", "UDP, 64 bytes", "RTT")
UNITS = ("Mbit/s", "packets/s", "ms")


@dataclass(frozen=True, slots=True)
class Durations:
    """Of one round: seconds of TCP, seconds of UDP, number of pings."""

    tcp: int
    udp: int
    pings: int


@dataclass(frozen=True, slots=True)
class Figures:
    """One round's. `values` in the order of MEASURES."""

    values: tuple[float, float, float]
    mtu: int


@contextmanager
def ours(bed: Pair, directory: Path, suite: str) -> Iterator[str]:
    """ikepy on both gateways; its device's name."""
    connection = gateway.Connection(
        local_addrs=(pair.LEFT,),
        remote_addrs=(pair.RIGHT,),
        esp_proposals=(suite,),
        routes=(pair.RIGHT_NET,),
        extra="encap = true",
    )
    peer = gateway.Connection(
        local_addrs=(pair.RIGHT,),
        remote_addrs=(pair.LEFT,),
        local_id=connection.remote_id,
        remote_id=connection.local_id,
        esp_proposals=(suite,),
        routes=(pair.LEFT_NET,),
        extra="encap = true",
    )
    with Gateway(bed.left, directory / "left") as left, Gateway(bed.right, directory / "right") as right:
        right.start(peer)
        left.start(connection)
        left.initiate()
        yield connection.device


@contextmanager
def theirs(bed: Pair, directory: Path, suite: str) -> Iterator[str]:
    """strongSwan on both gateways; its device's name."""
    connection = strongswan.Connection(
        local_addrs=pair.LEFT,
        remote_addrs=pair.RIGHT,
        local_id="gwa",
        remote_id="gwb",
        local_ts=pair.LEFT_NET,
        remote_ts=pair.RIGHT_NET,
        esp_proposals=suite,
    )
    peer = strongswan.Connection(
        local_addrs=pair.RIGHT,
        remote_addrs=pair.LEFT,
        local_ts=pair.RIGHT_NET,
        remote_ts=pair.LEFT_NET,
        esp_proposals=suite,
    )
    left, right = StrongSwan(bed.left, directory / "left"), StrongSwan(bed.right, directory / "right")
    try:
        right.start(peer)
        left.start(connection)
        left.initiate()
        yield StrongSwan.device
    finally:
        left.stop()
        right.stop()


def measure(bed: Pair, device: str, durations: Durations) -> Figures:
    """One round through a tunnel that is up. LabError when a packet of the pings is lost."""
    ping(bed.left_host, pair.RIGHT_HOST, count=WARM_UP, interval=0.01)
    idle = ping(bed.left_host, pair.RIGHT_HOST, count=durations.pings, interval=0.01)
    if not idle.ok or idle.average is None:
        raise LabError(f"the tunnel does not carry pings: {idle}")
    with Iperf(bed.right_host) as iperf:
        tcp = iperf.tcp(bed.left_host, pair.RIGHT_HOST, durations.tcp)
        packets, _ = iperf.udp(bed.left_host, pair.RIGHT_HOST, durations.udp, size=SMALL, rate="0")
    return Figures((tcp, packets, idle.average), device_mtu(bed.left, device))


def rounds(
    number: int, suite: str, durations: Durations, say: Callable[[str], None]
) -> dict[str, list[Figures]]:
    """Both in turn, `number` times; each tunnel is set up anew."""
    found: dict[str, list[Figures]] = {"ikepy": [], "strongSwan": []}
    with Pair(f"ikb{os.getpid()}-") as bed, tempfile.TemporaryDirectory(prefix="ikepy-bench-") as directory:
        for count in range(1, number + 1):
            for name, tunnel in (("ikepy", ours), ("strongSwan", theirs)):
                say(f"round {count} of {number}: {name}")
                with tunnel(bed, Path(directory), suite) as device:
                    found[name].append(measure(bed, device, durations))
    return found


def table(found: dict[str, list[Figures]], suite: str) -> Table:
    """Medians, with the lowest and the highest behind them, and the ratio of ours to theirs."""
    made = Table(title=f"Through the tunnel ({suite}, UDP encapsulation), median (lowest - highest)")
    made.add_column("")
    for name, figures in found.items():
        made.add_column(f"{name}, MTU {figures[0].mtu}", justify="right")
    made.add_column("ratio", justify="right")
    for index, (what, unit) in enumerate(zip(MEASURES, UNITS, strict=True)):
        columns = [[one.values[index] for one in figures] for figures in found.values()]
        medians = [statistics.median(column) for column in columns]
        cells = [_cell(median, column) for median, column in zip(medians, columns, strict=True)]
        made.add_row(f"{what}, {unit}", *cells, f"{medians[0] / medians[1]:.2f}")
    return made


def _cell(median: float, column: list[float]) -> str:
    def short(value: float) -> str:
        return f"{value:.2f}" if value < 10 else f"{value:,.0f}"

    return f"{short(median)} ({short(min(column))} - {short(max(column))})"


def machine() -> str:
    """What it was measured on."""
    lines = Path("/proc/cpuinfo").read_text().splitlines()
    model = next(
        (line.split(":", 1)[1].strip() for line in lines if line.startswith("model name")), "unknown CPU"
    )
    swan = run(strongswan.SWANCTL, "--help").split()[1]  # "strongSwan 5.9.8 swanctl"
    return (
        f"{len(os.sched_getaffinity(0))} CPUs, {model}; Linux {platform.release()}; "
        f"Python {platform.python_version()}, cryptography {version('cryptography')}; strongSwan {swan}"
    )


def _terminate(number: int, _: FrameType | None) -> None:
    raise KeyboardInterrupt(number)


@click.command()
@click.option("--rounds", "number", type=click.IntRange(1), default=3, show_default=True)
@click.option("--tcp", type=click.IntRange(1), default=5, show_default=True, help="Seconds of TCP a round.")
@click.option("--udp", type=click.IntRange(1), default=3, show_default=True, help="Seconds of UDP a round.")
@click.option("--pings", type=click.IntRange(1), default=100, show_default=True, help="Pings a round.")
@click.option("--suite", default="aes128gcm16", show_default=True, help="The ESP proposal.")
def main(number: int, tcp: int, udp: int, pings: int, suite: str) -> None:
    """Throughput, packet rate and latency of a tunnel: ikepy beside strongSwan's userspace ESP."""
    reason = strongswan.missing()
    if reason is not None:
        click.echo(f"benchmarks.tunnel: {reason}", err=True)
        sys.exit(1)
    signal.signal(signal.SIGTERM, _terminate)
    console = Console(highlight=False, width=100)
    try:
        found = rounds(number, suite, Durations(tcp, udp, pings), lambda text: click.echo(text, err=True))
    except LabError as error:
        click.echo(f"benchmarks.tunnel: {error}", err=True)
        sys.exit(1)
    console.print(table(found, suite))
    console.print(machine(), soft_wrap=True)


if __name__ == "__main__":
    main()
