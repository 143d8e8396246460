"""Does a signature or a chain of certificates delay another peer? Answers to one, while others set up.

    python -m benchmarks.delays                    about a minute
    python -m benchmarks.delays --only rsa --seconds 20

One IKE_SA by PSK asks for a sign of life (an empty INFORMATIONAL) every few milliseconds, and each answer is
timed: with nothing else to do, and while a client sets up IKE_SAs without a pause by RSA-3072, ECDSA or
EAP-TLS. The gateway has one CPU. Who asks shares the other one with that client, at real-time priority. The
limits that are there against floods are off.
"""

from __future__ import annotations

import multiprocessing
import os
import statistics
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from contextlib import closing, contextmanager
from dataclasses import dataclass
from multiprocessing.sharedctypes import Synchronized
from pathlib import Path

import click
from rich.console import Console
from rich.table import Table

from benchmarks.interrupt import on_sigterm
from benchmarks.machine_initiator import MachineInitiator
from benchmarks.report import machine
from benchmarks.setups import apart
from benchmarks.trust import CLIENT, GATEWAY, METHODS, Material, Method, many, text
from ikepy.config.toml_source import load, parse
from ikepy.lab import gateway, pair
from ikepy.lab.gateway import Gateway
from ikepy.lab.netns import LabError
from ikepy.lab.pair import Pair

PSK = next(method for method in METHODS if method.name == "psk")
LOADS = tuple(method for method in METHODS if method.name in ("rsa", "ecdsa", "eap-tls"))
SECONDS = 10.0  # of each measurement
PAUSE = 0.005  # seconds between two questions
OTHER = "192.0.2.3"  # the address of who sets up
IN_FLIGHT = 4
MOST = 4000  # set-ups of the client
WATCHER, WATCHER_NET = "watch.bench", "10.127.0.0/24"
PORTS = "encap = true\nlocal_port = 4500\nremote_port = 4500"


@dataclass(frozen=True, slots=True)
class Answers:
    """`times`: seconds until each answer came. `set_ups`: of the other client meanwhile."""

    times: list[float]
    set_ups: int = 0

    def row(self, name: str) -> tuple[str, ...]:
        ordered = sorted(1000 * one for one in self.times)
        figures = statistics.median(ordered), ordered[len(ordered) * 99 // 100], ordered[-1]
        return name, *(f"{one:.1f}" for one in figures), str(len(ordered)), str(self.set_ups)


def watch(*, responder: bool) -> gateway.Connection:
    """The connection of who asks, at either end."""
    return gateway.Connection(
        name="watch",
        local_addrs=(pair.RIGHT if responder else pair.LEFT,),
        remote_addrs=("%any",) if responder else (pair.RIGHT,),
        local_id=GATEWAY if responder else WATCHER,
        remote_id=WATCHER if responder else GATEWAY,
        local_ts=(pair.RIGHT_NET if responder else WATCHER_NET,),
        remote_ts=(WATCHER_NET if responder else pair.RIGHT_NET,),
        device="vti1",
        extra="encap = true" if responder else PORTS,
    )


def watcher(bed: Pair) -> MachineInitiator:
    """Who asks."""
    config = parse(watch(responder=False).text())
    return bed.left.inside(lambda: MachineInitiator(config, pair.LEFT, pair.RIGHT))


def client(bed: Pair, method: Method, material: Material) -> MachineInitiator:
    """Who sets up."""
    directory = material.directory / "client"
    material.give(directory, CLIENT)
    file = directory / "ikepy.toml"
    file.touch(0o600)
    file.write_text(text(method, responder=False).replace(pair.LEFT, OTHER))
    config, store = many(load(file), MOST), material.store(CLIENT)
    return bed.left.inside(lambda: MachineInitiator(config, OTHER, pair.RIGHT, store))


def set_up_for_ever(client: MachineInitiator, names: Sequence[str], done: Synchronized[int]) -> None:
    """The client's process. `done`: counts its set-ups."""
    for begin in range(0, len(names), IN_FLIGHT):
        client.set_up(names[begin : begin + IN_FLIGHT], IN_FLIGHT)
        done.value += IN_FLIGHT


@contextmanager
def urgent() -> Iterator[None]:
    """Who measures waits for no one on its CPU."""
    os.sched_setscheduler(0, os.SCHED_FIFO, os.sched_param(1))
    try:
        yield
    finally:
        os.sched_setscheduler(0, os.SCHED_OTHER, os.sched_param(0))


def asked(client: MachineInitiator, seconds: float) -> list[float]:
    """How long each answer took."""
    times = []
    until = time.monotonic() + seconds
    with urgent():
        while time.monotonic() < until:
            times.append(client.ask())
            time.sleep(PAUSE)
    return times


def measured(prefix: str, method: Method | None, seconds: float) -> Answers:
    """With this method's set-ups beside; None: with nothing. LabError if it does not work."""
    other = method or PSK
    with Pair(prefix) as bed, tempfile.TemporaryDirectory(prefix="ikepy-bench-") as name:
        bed.left.ip(f"addr add {OTHER}/24 dev eth0")
        material = Material.make(other, Path(name) / "made")
        material.give(Path(name) / "ikepy", GATEWAY)
        with Gateway(bed.right, Path(name) / "ikepy") as right:
            right.start(watch(responder=True).tables() + text(other, responder=True))
            asking = watcher(bed)
            with closing(asking), apart(bed.right):
                asking.set_up(["watch"], 1)
                if method is None:
                    return Answers(asked(asking, seconds))
                return beside(client(bed, method, material), asking, seconds)


def beside(client: MachineInitiator, asking: MachineInitiator, seconds: float) -> Answers:
    """Ask while the client sets up in a process of its own."""
    context = multiprocessing.get_context("fork")
    done = context.Value("i", 0)
    names = [f"c{number}" for number in range(MOST)]
    process = context.Process(target=set_up_for_ever, args=(client, names, done), daemon=True)
    with closing(client):
        process.start()
        try:
            time.sleep(1)
            before = done.value
            times = asked(asking, seconds)
            if not process.is_alive():
                raise LabError("who sets up has failed")
            return Answers(times, done.value - before)
        finally:
            process.kill()
            process.join()


@click.command()
@click.option("--seconds", type=click.FloatRange(1), default=SECONDS, show_default=True, help="Of each.")
@click.option("--only", multiple=True, type=click.Choice([one.name for one in LOADS]), help="A method.")
def main(seconds: float, only: tuple[str, ...]) -> None:
    """Answers to one peer while another sets up by certificates."""
    on_sigterm()
    made = Table(title="Milliseconds until an answer, the gateway on one CPU")
    for heading in ("beside set-ups by", "median", "99 %", "longest", "answers", "set-ups"):
        made.add_column(heading, justify="left" if heading.startswith("beside") else "right")
    prefix = f"ikd{os.getpid()}-"
    try:
        idle = measured(prefix, None, seconds)
        made.add_row(*idle.row("nothing"))
        for method in LOADS:
            if not only or method.name in only:
                made.add_row(*measured(prefix, method, seconds).row(method.about))
    except LabError as error:
        click.echo(f"benchmarks.delays: {error}", err=True)
        sys.exit(1)
    console = Console(highlight=False, width=110)
    console.print(made)
    console.print(machine(), soft_wrap=True)


if __name__ == "__main__":
    main()
