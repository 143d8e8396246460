"""UDP: the highest rate that a tunnel carries whole (RFC 2544 26.1), and what becomes of twice that rate.

A trial is passed if less than 0.1 % is lost and the rest arrives about as fast as it was sent. RFC 2544 knows
only the first condition, but its trials last a minute: in two seconds a long queue would pass for speed. What
is lost at the sink's own socket counts as carried: that is no fault of the tunnel's, and is told.
"""

from __future__ import annotations

import json
import statistics
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from pathlib import Path

from benchmarks.bed import OURS, THEIRS, Tunnel, in_turn
from benchmarks.report import Row, Target
from benchmarks.search import highest
from benchmarks.setting import Setting
from ikepy.lab import pair
from ikepy.lab.netns import LabError, Namespace

PROGRAM = str(Path(__file__).with_name("datagrams.py"))
PORT = 5300
HEADERS = 28  # bytes of IPv4 and UDP
LARGE, SMALL = 1300, 64  # bytes of a packet
LOSS = 0.001
LATE = 1.02  # of the time of sending: how long what was sent may take to arrive ...
SLACK = 0.02  # ... and these seconds more, for what is on its way and waits for a CPU
SECONDS, QUICK_SECONDS = 2.0, 0.5  # of a trial
DRAIN = 30.0  # seconds that a sink is waited for


@dataclass(frozen=True, slots=True)
class Trial:
    """`offered` and `carried` are packets a second, while they were sent and while they arrived."""

    offered: float
    carried: float
    loss: float
    lateness: float  # time of arrival to time of sending, SLACK taken off

    @property
    def passed(self) -> bool:
        """Was all of it carried, and at that rate?"""
        return self.loss < LOSS and self.lateness < LATE


@dataclass(frozen=True, slots=True)
class Figures:
    """Of one round. `rate`: the highest that is carried whole, packets a second.

    `offered` and `carried`, in shares of it: sent when the sender was asked for twice as many, and arrived.
    """

    rate: float
    offered: float = 0.0
    carried: float = 0.0


def large(setting: Setting) -> list[Row]:
    """Packets of 1300 bytes, and the overload."""
    found = in_turn(setting, partial(_figures, setting, {}, LARGE, overload=True))
    megabits = 8 * LARGE / 1e6
    rates = {kind: [one.rate * megabits for one in figures] for kind, figures in found.items()}
    shares = {kind: [100 * one.carried for one in figures] for kind, figures in found.items()}
    offered = " and ".join(
        f"{statistics.median(one.offered for one in figures):.1f}" for figures in found.values()
    )
    return [
        Row(
            f"UDP {LARGE} bytes, loss below 0.1 %",
            "Mbit/s",
            rates[OURS],
            rates[THEIRS],
            Target(1.7),
            aim="aim 2.5",
        ),
        Row(
            f"UDP {LARGE} bytes, goodput at twice that rate",
            "% of it",
            shares[OURS],
            shares[THEIRS],
            Target(80, of_figure=True),
            aim=f"{offered} times was offered",
        ),
    ]


def small(setting: Setting) -> list[Row]:
    """Packets of 64 bytes."""
    found = in_turn(setting, partial(_figures, setting, {}, SMALL, overload=False))
    rates = {kind: [one.rate for one in figures] for kind, figures in found.items()}
    return [
        Row(
            f"UDP {SMALL} bytes, loss below 0.1 %",
            "packets/s",
            rates[OURS],
            rates[THEIRS],
            Target(2),
            aim="aim 3",
        )
    ]


def _figures(
    setting: Setting, guesses: dict[str, float], size: int, tunnel: Tunnel, *, overload: bool
) -> Figures:
    """One round's search. `guesses`, by kind, carries what was found from one round into the next."""
    seconds = QUICK_SECONDS if setting.quick else SECONDS

    def passes(rate: float) -> float | None:
        one = trial(tunnel, size, rate, seconds, setting.say)
        return one.offered if one.passed else None

    known = guesses.get(tunnel.kind)
    found = highest(
        passes,
        known or 30_000.0,
        factor=1.5 if known is None else 1.2,
        resolution=1.1 if setting.quick else 1.02,
    )
    if not found:
        raise LabError(f"{tunnel.kind}: no rate at which UDP of {size} bytes is carried whole")
    guesses[tunnel.kind] = found
    if not overload:
        return Figures(found)
    twice = trial(tunnel, size, 2 * found, seconds, setting.say)
    return Figures(found, twice.offered / found, twice.carried / found)


def trial(tunnel: Tunnel, size: int, rate: float, seconds: float, say: Callable[[str], None]) -> Trial:
    """Send packets of `size` bytes at `rate` a second from the left host to the right one. LabError."""
    with sink(tunnel.bed.right_host) as process:
        words = ("send", pair.RIGHT_HOST, str(PORT), str(size - HEADERS), str(rate), str(seconds))
        sent = json.loads(tunnel.bed.left_host.run(sys.executable, "-I", PROGRAM, *words))
        try:
            got = json.loads(process.communicate(timeout=DRAIN)[0].splitlines()[-1])
        except subprocess.TimeoutExpired:
            raise LabError(f"{tunnel.kind}: UDP still arrives {DRAIN:g} s after the last was sent") from None
    arrived = got["received"] + got["dropped"]
    made = Trial(
        offered=sent["sent"] / sent["seconds"],
        carried=arrived / max(got["seconds"], seconds / 2),
        loss=1 - arrived / sent["sent"],
        lateness=(got["seconds"] - SLACK) / sent["seconds"],
    )
    at_socket = f", {got['dropped']} of it at the sink's socket" if got["dropped"] else ""
    say(
        f"    {size} bytes, {made.offered:,.0f} packets/s: {100 * made.loss:.3f} % lost, "
        f"{made.carried:,.0f} arrive{at_socket}"
    )
    return made


@contextmanager
def sink(node: Namespace) -> Iterator[subprocess.Popen[str]]:
    """A sink that listens; it ends when its standard input does and nothing comes any more."""
    with subprocess.Popen(
        node.command(sys.executable, "-I", PROGRAM, "sink", str(PORT)),
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    ) as process:
        try:
            if process.stdout is None or not process.stdout.readline():
                raise LabError(f"no sink for UDP in {node.name}")
            yield process
        finally:
            process.kill()
