"""What do 1, 100, 1,000 and 5,000 tunnels on one gateway cost, with traffic over all of them?

    python -m benchmarks.scale                      about two minutes
    python -m benchmarks.scale --tunnels 1 --tunnels 500 --rounds 1

A tunnel is an IKE_SA of its own, with a CHILD_SA whose remote selector is one inner address. All of them
belong to one `%any` responder connection and share its device and its one worker; `benchmarks.initiator`
brings them up and stays their other end. A second bed has 100 connections with a device each.

The question is whether it matters to the gateway over how many SAs the same traffic is spread. So one
tunnel and 5,000 carry the same packets (1300 octets, UDP) in the same trains from as many flows: every
train comes from another inner port, and in turn from another tunnel where there are several. Trains have
16 packets, as a burst of a flow has, or one only: then no two packets that follow each other are under one
SA, which is the worst that can be. With one tunnel such packets are still opened together, and that is not
taken from it.

One tunnel's figure beside that of many is measured in turn with it, on the same gateway: a machine that
others use too is not as fast now as it was a minute ago, by more than what is asked here.

In: ESP sealed beforehand is sent so that something always waits in the gateway's socket. Out: a host
behind the gateway sends far more than the gateway seals, for half a second at a time. Nothing that the
gateway writes goes further than to the next host, which drops it. The sender has one CPU, the gateway the
other one. The figure is packets by CPU-seconds of the worker, system calls included: what a worker carries
that has a CPU to itself, whatever else this machine does meanwhile. Memory is resident memory of control and
worker, with 5,000 tunnels and after the traffic, less what it was with one.
"""

from __future__ import annotations

import os
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from contextlib import closing, contextmanager
from dataclasses import dataclass, field
from pathlib import Path

import click
from rich.console import Console

from benchmarks.initiator import Initiator, Tunnel
from benchmarks.interrupt import on_sigterm
from benchmarks.report import Row, Target, machine, table
from benchmarks.setting import Setting
from benchmarks.setups import IN_FLIGHT, SECRET, apart, responder
from benchmarks.usage import cpu_seconds, resident, workers
from benchmarks.waves import Host, Peers, Queue, Shape
from ikepy.lab import pair
from ikepy.lab.gateway import Connection, Gateway
from ikepy.lab.netns import LabError
from ikepy.lab.pair import Pair

TUNNELS = (1, 100, 1000, 5000)
DEVICES = 100
FAR_NET, FAR_HOST, NOBODY = "10.3.0.0/24", "10.3.0.5", "10.3.0.9"
SHAPES = {"trains of 16": Shape(1300, 16), "single packets": Shape(1300, 1)}
PACKETS = 80_000  # of a wave in; at least a train for each tunnel
SINGLE = 40_000
UNIT = "k/CPU-s"
SECONDS = 0.5  # of a flood out
TURNS = 3  # of one tunnel and of all
QUIET = 0.1  # seconds without work, and a worker has nothing left
LOST = 0.001  # a share of what is sent in


@dataclass(slots=True)
class Found:
    """Of one bed: by the number of tunnels packets a second by (direction, shape), what one of them carried
    alone in turn with that, and what they cost."""

    rates: dict[int, dict[tuple[str, str], float]] = field(default_factory=dict)
    beside: dict[int, dict[tuple[str, str], float]] = field(default_factory=dict)
    seconds: float = 0.0  # until all tunnels were up
    tunnels: int = 0  # that were added
    memory: dict[str, float] = field(default_factory=dict)  # MiB that they added, by process


@dataclass(slots=True)
class Spent:
    """Packets, and the CPU-seconds that they took."""

    packets: int = 0
    seconds: float = 0.0


class Bed:
    """The gateway on the right, its peers on the left, the host behind it."""

    def __init__(self, bed: Pair, gateway: Gateway) -> None:
        self.namespaces = bed
        self.gateway = gateway
        self.initiator = bed.left.inside(lambda: Initiator(pair.LEFT, pair.RIGHT, SECRET, FAR_NET))
        self.queue = bed.right.inside(Queue)
        self.host = bed.right_host.inside(lambda: Host(FAR_HOST))
        self.peers = Peers(self.initiator, NOBODY)
        self.tunnels: list[Tunnel] = []
        self.workers = workers(bed.right)

    def close(self) -> None:
        for one in (self.initiator, self.queue, self.host):
            one.close()

    def grow(self, count: int) -> float:
        """Up to so many tunnels; the seconds it took."""
        begin = time.monotonic()
        self.tunnels += self.initiator.set_up(range(len(self.tunnels), count), IN_FLIGHT)
        return time.monotonic() - begin

    def carried(self) -> tuple[int, int]:
        """Packets in and out, of all tunnels so far."""
        children = self.gateway.children()
        return sum(one["in_packets"] for one in children), sum(one["out_packets"] for one in children)

    def measure(self, setting: Setting, found: Found) -> None:
        """Packets by the workers' CPU-seconds, by direction and shape: of one tunnel and of all so far."""
        count = len(self.tunnels)
        found.rates[count], found.beside[count] = {}, {}
        for name, shape in SHAPES.items():
            for tunnels, rates in ((self.tunnels[:1], found.beside), (self.tunnels, found.rates)):
                rates[count]["in", name] = self.inward(tunnels, shape, setting.quick)
            one, every = Spent(), Spent()
            for _ in range(TURNS):
                self.outward(self.tunnels[:1], shape, one)
                self.outward(self.tunnels, shape, every)
            found.beside[count]["out", name] = one.packets / one.seconds
            found.rates[count]["out", name] = every.packets / every.seconds

    def inward(self, tunnels: Sequence[Tunnel], shape: Shape, quick: bool) -> float:
        """LabError if packets are lost, of which the gateway's socket has room for all that wait."""
        packets = PACKETS if shape.train > 1 else SINGLE
        trains = max((packets // 4 if quick else packets) // shape.train, len(tunnels))
        wave = self.peers.seal(tunnels, trains, shape)
        before, cpu = self.carried()[0], cpu_seconds(self.workers)
        self.peers.send(wave, self.queue)
        self.settle()
        arrived = self.carried()[0] - before
        if wave.packets - arrived > LOST * wave.packets:
            raise LabError(f"{wave.packets - arrived} of {wave.packets} packets in did not get through")
        return arrived / (cpu_seconds(self.workers) - cpu)

    def outward(self, tunnels: Sequence[Tunnel], shape: Shape, spent: Spent) -> None:
        """What does not get into the device's queue is not counted."""
        before, cpu = self.carried()[1], cpu_seconds(self.workers)
        self.host.flood(tunnels, shape, SECONDS)
        self.settle()
        self.initiator.drain()
        spent.packets += self.carried()[1] - before
        spent.seconds += cpu_seconds(self.workers) - cpu

    def settle(self) -> None:
        """Wait until the workers have nothing left to do."""
        cpu = -1.0
        while cpu != (cpu := cpu_seconds(self.workers)):
            time.sleep(QUIET)

    def memory(self) -> dict[str, float]:
        """MiB of control and of its workers."""
        control = self.gateway.pid
        return {"control": resident(control or 0), "worker": sum(map(resident, self.workers))}


@contextmanager
def running(setting: Setting, config: str | Connection) -> Iterator[Bed]:
    """The bed with a gateway of this configuration, each end on its CPU. LabError if it does not work."""
    with (
        Pair(setting.prefix) as bed,
        tempfile.TemporaryDirectory(prefix="ikepy-bench-") as directory,
        Gateway(bed.right, Path(directory) / "ikepy") as gateway,
    ):
        bed.right.ip(f"route add {FAR_NET} via {pair.RIGHT_HOST}")
        bed.right_host.ip(f"addr add {FAR_HOST}/32 dev lo", f"route add blackhole {FAR_NET}")
        gateway.start(config)
        with closing(Bed(bed, gateway)) as made, apart(bed.right):
            yield made


def one_device(setting: Setting, steps: Sequence[int]) -> Found:
    """More and more tunnels through one device."""
    found = Found()
    config = responder(local_ts=FAR_NET, daemon="workers = 1")
    with running(setting, config) as bed:
        for step in steps:
            setting.say(f"  {step} tunnels")
            added = step - len(bed.tunnels)
            seconds = bed.grow(step)
            if bed.initiator.sent_again:
                setting.say(f"  {bed.initiator.sent_again} IKE messages had to be sent again so far")
            if step > steps[0]:
                found.seconds += seconds
                found.tunnels += added
            bed.measure(setting, found)
            if step == steps[0]:
                before = bed.memory()
        after = bed.memory()
    found.memory = {name: after[name] - before[name] for name in after}
    return found


def many_devices(setting: Setting, count: int) -> Found:
    """As many tunnels as devices."""
    found = Found(tunnels=count)
    texts = [
        responder(
            local_ts=FAR_NET, name=f"c{number}", device=f"v{number}", peer=number, daemon="workers = 1"
        ).text()
        for number in range(count)
    ]
    daemon = "[daemon]"
    config = "".join(text.partition(daemon)[0] for text in texts) + daemon + texts[0].partition(daemon)[2]
    with running(setting, config) as bed:
        found.seconds = bed.grow(count)
        bed.measure(setting, found)
    return found


def rows(setting: Setting, steps: Sequence[int] = TUNNELS) -> list[Row]:
    """Rates beside one tunnel's, memory, and the time of the set-ups."""
    found = []
    devices = []
    for number in range(1, setting.rounds + 1):
        setting.say(f"  round {number} of {setting.rounds}")
        found.append(one_device(setting, steps))
        setting.say(f"  {DEVICES} devices")
        devices.append(many_devices(setting, DEVICES))
    made = [
        row
        for way in ("in", "out")
        for shape in SHAPES
        for row in [
            *(_rate(found, step, way, shape, "") for step in steps),
            _rate(devices, DEVICES, way, shape, f" on {DEVICES} devices"),
        ]
    ]
    last = steps[-1]
    limit = Target(64, at_most=True, of_figure=True)
    made.append(
        Row(
            f"Memory a tunnel, of {last:,}",
            "KiB",
            [1024 * sum(one.memory.values()) / one.tunnels for one in found],
            target=limit,
        )
    )
    made += [
        Row(f"  of it {name}", "KiB", [1024 * one.memory[name] / one.tunnels for one in found])
        for name in found[0].memory
    ]
    made.append(Row(f"Set-up of {found[0].tunnels:,} tunnels", "s", [one.seconds for one in found]))
    return made


def _rate(found: Sequence[Found], step: int, way: str, shape: str, where: str) -> Row:
    """Several tunnels beside a single one."""
    figures = [each.rates[step][way, shape] / 1000 for each in found]
    what = f"{way.capitalize()}, {shape}, {step:,} tunnel{'s' * (step > 1)}{where}"
    if step == 1:
        return Row(what, UNIT, figures)
    beside = [each.beside[step][way, shape] / 1000 for each in found]
    return Row(what, UNIT, figures, target=Target(0.85), beside=beside, beside_what="one")


@click.command()
@click.option("--tunnels", type=click.IntRange(1), multiple=True, help="Default: 1, 100, 1000 and 5000.")
@click.option("--rounds", type=click.IntRange(1), default=1, show_default=True)
def main(tunnels: tuple[int, ...], rounds: int) -> None:
    """The same traffic over one tunnel and over thousands."""
    on_sigterm()
    setting = Setting(f"ikt{os.getpid()}-", rounds, 0, False, lambda text: click.echo(text, err=True))
    try:
        found = rows(setting, sorted({1, *tunnels}) if tunnels else TUNNELS)
    except LabError as error:
        click.echo(f"benchmarks.scale: {error}", err=True)
        sys.exit(1)
    console = Console(highlight=False, width=110)
    console.print(table(found, "One gateway, many tunnels"))
    console.print(machine(), soft_wrap=True)


if __name__ == "__main__":
    main()
