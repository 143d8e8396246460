"""Does a rekey lose packets? Rekeys by ikepy under running flows, with ikepy and with strongSwan as the peer.

    python -m benchmarks.rekey                      200 child rekeys and 20 IKE rekeys each, about two minutes
    python -m benchmarks.rekey --children 20 --ikes 2

A UDP flow that the tunnel carries with ease runs beside a TCP flow for the whole time; the UDP packets that
don't arrive are counted. Rekeys are spread over the time, and each is waited for.
"""

from __future__ import annotations

import os
import sys
import tempfile
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import click
from rich.console import Console
from rich.table import Table

from benchmarks.interrupt import on_sigterm
from benchmarks.report import machine
from ikepy.lab import gateway, pair, strongswan
from ikepy.lab.gateway import Gateway
from ikepy.lab.measure import Iperf
from ikepy.lab.netns import LabError
from ikepy.lab.pair import Pair
from ikepy.lab.strongswan import StrongSwan

UDP_SIZE = 1000  # bytes of payload
UDP_RATE = "10M"  # bit/s
TCP_RATE = "100M"  # bit/s: a flow that fills the machine would lose packets without any rekey
BREAK = 0.1  # seconds between two rekeys
MARGIN = 4  # seconds of traffic after the last rekey


@dataclass(frozen=True, slots=True)
class Result:
    """What one run showed."""

    children: int
    ikes: int
    packets: int
    lost: int
    tcp: float  # Mbit/s


def ours_left() -> gateway.Connection:
    return gateway.Connection(
        local_addrs=(pair.LEFT,), remote_addrs=(pair.RIGHT,), routes=(pair.RIGHT_NET,), extra="encap = true"
    )


@contextmanager
def with_ikepy(bed: Pair, directory: Path) -> Iterator[Gateway]:
    """ikepy at both ends; the left one."""
    peer = gateway.Connection(
        local_addrs=(pair.RIGHT,),
        remote_addrs=(pair.LEFT,),
        local_id="gwb",
        remote_id="gwa",
        routes=(pair.LEFT_NET,),
        extra="encap = true",
    )
    with Gateway(bed.left, directory / "left") as left, Gateway(bed.right, directory / "right") as right:
        right.start(peer)
        left.start(ours_left())
        yield left


@contextmanager
def with_strongswan(bed: Pair, directory: Path) -> Iterator[Gateway]:
    """ikepy on the left, strongSwan on the right."""
    peer = strongswan.Connection(
        local_addrs=pair.RIGHT, remote_addrs=pair.LEFT, local_ts=pair.RIGHT_NET, remote_ts=pair.LEFT_NET
    )
    right = StrongSwan(bed.right, directory / "right")
    try:
        with Gateway(bed.left, directory / "left") as left:
            right.start(peer)
            left.start(ours_left())
            yield left
    finally:
        right.stop()


def measure(bed: Pair, left: Gateway, children: int, ikes: int) -> Result:
    """Rekeys under traffic. LabError when one of them fails."""
    left.initiate()
    seconds = int((children + ikes) * (BREAK + 0.1)) + MARGIN
    with Iperf(bed.right_host) as to_right, Iperf(bed.left_host) as to_left, ThreadPoolExecutor(2) as pool:
        udp = pool.submit(to_right.udp, bed.left_host, pair.RIGHT_HOST, seconds, size=UDP_SIZE, rate=UDP_RATE)
        tcp = pool.submit(to_left.tcp, bed.right_host, pair.LEFT_HOST, seconds, rate=TCP_RATE)
        time.sleep(1)
        every = max(children // ikes, 1) if ikes else 0
        done = 0
        for number in range(1, children + 1):
            left.rekey(child="net")
            time.sleep(BREAK)
            if every and number % every == 0 and done < ikes:
                left.rekey(ike="net")
                done += 1
                time.sleep(BREAK)
        if udp.done() or tcp.done():
            raise LabError(f"flows of {seconds} s ended before the last rekey: fewer fit in them here")
        rate, share = udp.result()
        if share == 1:
            raise LabError("no UDP packet arrived")
        arrived = round(rate * seconds)
        lost = round(arrived * share / (1 - share))
        return Result(children, done, arrived + lost, lost, tcp.result())


def table(found: dict[str, Result]) -> Table:
    made = Table(title="Packets lost over rekeys that ikepy asks for, UDP and TCP running")
    for column in ("peer", "child rekeys", "IKE rekeys", "UDP packets", "lost", "TCP beside it, Mbit/s"):
        made.add_column(column, justify="left" if column == "peer" else "right")
    for name, one in found.items():
        made.add_row(name, *map(str, (one.children, one.ikes, one.packets, one.lost)), f"{one.tcp:.0f}")
    return made


@click.command()
@click.option("--children", type=click.IntRange(1), default=200, show_default=True, help="Child rekeys.")
@click.option("--ikes", type=click.IntRange(0), default=20, show_default=True, help="IKE rekeys.")
def main(children: int, ikes: int) -> None:
    """Count the packets that rekeys lose."""
    on_sigterm()
    found = {}
    try:
        for name, tunnel in (("ikepy", with_ikepy), ("strongSwan", with_strongswan)):
            if name == "strongSwan" and (reason := strongswan.missing()) is not None:
                click.echo(f"without {name}: {reason}", err=True)
                continue
            click.echo(f"with {name} as the peer", err=True)
            with (
                Pair(f"ikr{os.getpid()}-") as bed,
                tempfile.TemporaryDirectory(prefix="ikepy-bench-") as directory,
                tunnel(bed, Path(directory)) as left,
            ):
                found[name] = measure(bed, left, children, ikes)
    except LabError as error:
        click.echo(f"benchmarks.rekey: {error}", err=True)
        sys.exit(1)
    console = Console(highlight=False, width=100)
    console.print(table(found))
    console.print(machine(), soft_wrap=True)


if __name__ == "__main__":
    main()
