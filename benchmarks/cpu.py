"""CPU-seconds that the workers of two gateways spend: for 10^9 bytes of TCP, and for 10^6 single packets.

    python -m benchmarks.cpu                              one round, half a minute
    python -m benchmarks.cpu --before DIR --pairs 9       in pairs with another checkout, five minutes

A pair runs both checkouts, each with its own code, one behind the other; the next pair in the other order.
CPU time says what a change costs where others use the machine, too, and rates come and go.
"""

from __future__ import annotations

import json
import os
import statistics
import subprocess
import sys
from functools import partial
from pathlib import Path

import click

from benchmarks import usage
from benchmarks.bed import OURS, Tunnel, in_turn, iperf
from benchmarks.interrupt import on_sigterm
from benchmarks.packet_rate import SMALL, trial
from benchmarks.setting import Setting
from ikepy.lab import pair

SECONDS = 4  # of each measurement
RATE = 40_000  # single packets a second, which any checkout carries
HERE = Path(__file__).resolve().parents[1]
Figures = dict[str, float]


def measure(tunnel: Tunnel) -> Figures:
    """The figures of one tunnel. Raises LabError."""
    sides = {"sender": tunnel.bed.left, "receiver": tunnel.bed.right}

    def cpu() -> list[float]:
        return [usage.cpu_seconds(usage.workers(node)) for node in sides.values()]

    with iperf(tunnel.bed.right_host) as server:
        before = cpu()
        gigabytes = server.tcp(tunnel.bed.left_host, pair.RIGHT_HOST, SECONDS) * SECONDS / 8e3
        frames = [now - then for now, then in zip(cpu(), before, strict=True)]
    before = cpu()
    sent = trial(tunnel, SMALL, RATE, SECONDS, lambda text: None)
    single = [now - then for now, then in zip(cpu(), before, strict=True)]
    millions = sent.offered * SECONDS / 1e6
    return {
        **{f"{side}, s for a GB": one / gigabytes for side, one in zip(sides, frames, strict=True)},
        **{f"{side}, s for 10^6 packets": one / millions for side, one in zip(sides, single, strict=True)},
    }


def of_checkout(directory: Path) -> Figures:
    """One round with the code of a checkout, by this interpreter."""
    environment = os.environ | {"PYTHONPATH": str(directory)}
    done = subprocess.run(
        [sys.executable, "-P", __file__, "--raw"],
        cwd=directory,
        env=environment,
        capture_output=True,
        text=True,
        check=False,
    )
    if done.returncode:
        raise click.ClickException(f"{directory}: {done.stderr.strip()}")
    figures: Figures = json.loads(done.stdout)
    return figures


def in_pairs(before: Path, pairs: int) -> None:
    """Print the median of both, and that of the ratios."""
    found: dict[Path, list[Figures]] = {before: [], HERE: []}
    for number in range(pairs):
        for directory in (before, HERE) if number % 2 else (HERE, before):
            found[directory].append(of_checkout(directory))
        click.echo(f"pair {number + 1} of {pairs}", err=True)
    click.echo(f"| {pairs} pairs, medians | before | now | ratio |\n|---|---|---|---|")
    for name in found[HERE][0]:
        then, now = ([one[name] for one in found[directory]] for directory in (before, HERE))
        ratio = statistics.median(b / a for a, b in zip(then, now, strict=True))
        click.echo(f"| {name} | {statistics.median(then):.3f} | {statistics.median(now):.3f} | {ratio:.3f} |")


@click.command()
@click.option("--before", type=click.Path(exists=True, file_okay=False, resolve_path=True, path_type=Path))
@click.option("--pairs", type=click.IntRange(1), default=9, show_default=True)
@click.option("--raw", is_flag=True, help="One round, as JSON.")
def main(before: Path | None, pairs: int, raw: bool) -> None:
    """CPU-seconds of the workers, alone or in pairs with another checkout."""
    if before is not None:
        in_pairs(before, pairs)
        return
    setting = Setting(f"cpu{os.getpid()}-", 1, SECONDS, False, partial(click.echo, err=True))
    (figures,) = in_turn(setting, measure, [OURS])[OURS]
    if raw:
        click.echo(json.dumps(figures))
        return
    for name, value in figures.items():
        click.echo(f"{name}: {value:.3f}")


if __name__ == "__main__":
    on_sigterm()
    main()
