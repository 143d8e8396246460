"""How fast are the tunnels? One table: ours beside strongSwan's userspace ESP, beside each target.

python -m benchmarks                                  everything, about a quarter of an hour
python -m benchmarks --only tcp --only udp64 --rounds 5
python -m benchmarks --markdown benchmarks/README.md  everything, and the table goes there
python -m benchmarks --quick                          does everything work? The figures mean little
"""

from __future__ import annotations

import os
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import click
from rich.console import Console

from benchmarks import (
    bed,
    latency,
    packet_rate,
    report,
    scale,
    setups,
    suites,
    throughput,
    trust,
    two_workers,
)
from benchmarks.interrupt import on_sigterm
from benchmarks.report import Row
from benchmarks.setting import Setting
from ikepy.lab import strongswan
from ikepy.lab.netns import LabError


@dataclass(frozen=True, slots=True)
class Group:
    """Rows that are measured together; `name` is what --only takes."""

    name: str
    about: str
    rows: Callable[[Setting], list[Row]]


GROUPS = (
    Group("tcp", "TCP: one flow, eight, both directions; CPU and memory", throughput.rows),
    Group("udp1300", "UDP packets of 1300 bytes, and twice what is carried", packet_rate.large),
    Group("udp64", "UDP packets of 64 bytes", packet_rate.small),
    Group("rtt", "round trips, idle and beside a TCP flow", latency.rows),
    Group("suites", "TCP under each ESP suite, and native ESP", suites.rows),
    Group("workers", "two tunnels, two workers", two_workers.rows),
    Group("tunnels", "the same traffic over one tunnel and over thousands; memory", scale.rows),
    Group("setups", "set-ups and deletes of IKE_SAs", setups.rows),
    Group("trust", "set-ups by certificates, EAP-TLS and ML-KEM", trust.rows),
)


def measure(groups: list[Group], setting: Setting) -> tuple[list[Row], list[str]]:
    """The rows, and what did not work: a group that fails leaves the others alone."""
    rows: list[Row] = []
    problems: list[str] = []
    for group in groups:
        setting.say(f"{group.name}: {group.about}")
        try:
            rows += group.rows(setting)
        except LabError as error:
            problems.append(f"{group.name}: {error}")
            setting.say(problems[-1])
    return rows, problems


def check_markdown(path: Path | None) -> None:
    """Can the file be written when the figures are there? BadParameter."""
    if path is not None and not (path.parent.is_dir() and os.access(path.parent, os.W_OK)):
        raise click.BadParameter(f"no file can be made in {path.parent}", param_hint="--markdown")


_LIST = "\b\n" + "\n".join(f"{group.name:<8}  {group.about}" for group in GROUPS)


@click.command(epilog=_LIST)
@click.option(
    "--only",
    type=click.Choice([group.name for group in GROUPS]),
    multiple=True,
    help="What to measure; may be given several times. Default: everything.",
)
@click.option("--rounds", type=click.IntRange(1, 100), default=None, help="Default: 3, with --quick 1.")
@click.option("--seconds", type=click.IntRange(1, 600), default=None, help="Of one TCP flow. Default: 4.")
@click.option("--quick", is_flag=True, help="Short trials: shows that it works.")
@click.option(
    "--markdown",
    type=click.Path(dir_okay=False, path_type=Path),
    help="Write the table here as well: between the marks of benchmarks/README.md, or as the whole file.",
)
def main(
    only: tuple[str, ...], rounds: int | None, seconds: int | None, quick: bool, markdown: Path | None
) -> None:
    """Throughput, packet rate, latency and cost of a tunnel: ikepy beside strongSwan's userspace ESP."""
    check_markdown(markdown)
    reason = strongswan.missing()
    if reason is not None:
        click.echo(f"benchmarks: {reason}", err=True)
        sys.exit(1)
    setting = Setting(
        prefix=f"ikb{os.getpid()}-",
        rounds=rounds or (1 if quick else 3),
        seconds=seconds or (2 if quick else 4),
        quick=quick,
        say=lambda text: click.echo(text, err=True),
    )
    on_sigterm()
    begin, load = time.monotonic(), os.getloadavg()[0]
    try:
        rows, problems = measure([group for group in GROUPS if not only or group.name in only], setting)
    except KeyboardInterrupt:
        click.echo("benchmarks: interrupted", err=True)
        sys.exit(130)
    if rows:
        show(rows, setting, f"{report.machine()}; load {load:.1f} before it began", markdown)
    click.echo(f"{(time.monotonic() - begin) / 60:.1f} minutes", err=True)
    for problem in problems:
        click.echo(f"benchmarks: {problem}", err=True)
    sys.exit(1 if problems else 0)


def show(rows: list[Row], setting: Setting, machine: str, markdown: Path | None) -> None:
    """Print the table, and write it to the file if there is one."""
    rounds = (
        f"{setting.rounds} rounds in turn, median (lowest - highest)" if setting.rounds > 1 else "one round"
    )
    title = f"Through the tunnel: AES-128-GCM in UDP unless said otherwise; TCP {bed.CONGESTION}; {rounds}"
    console = Console(highlight=False, width=None if sys.stdout.isatty() else 160)
    console.print(report.table(rows, title))
    console.print(machine, soft_wrap=True)
    if markdown is not None:
        report.write(markdown, report.markdown(rows, title, machine))


if __name__ == "__main__":
    main()
