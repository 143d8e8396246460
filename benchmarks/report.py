"""The table that `make bench` prints: medians, ours beside strongSwan's, and the targets."""

from __future__ import annotations

import os
import platform
import statistics
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path

from rich.table import Table

from ikepy.lab import strongswan
from ikepy.lab.netns import run

BEGIN, END = "<!-- a run's table begins -->", "<!-- a run's table ends -->"
HEADINGS = ("", "ikepy", "strongSwan", "ratio", "target", "reached")


@dataclass(frozen=True, slots=True)
class Target:
    """At least `limit`, or at most. It is for the ratio, or for our figure itself (`of_figure`)."""

    limit: float
    at_most: bool = False
    of_figure: bool = False

    def met(self, value: float) -> bool:
        """Is `value`, a figure or a ratio, good enough?"""
        return value <= self.limit if self.at_most else value >= self.limit


@dataclass(frozen=True, slots=True)
class Row:
    """One thing measured. `ours` and `theirs` (strongSwan's; may be empty) hold one figure a round.

    A target for a ratio is for ours to theirs, or to `beside`, another figure of ours whose name is
    `beside_what`. Without a target the row is only printed. `aim` is what is hoped for beyond the target.
    """

    what: str
    unit: str
    ours: Sequence[float]
    theirs: Sequence[float] = ()
    target: Target | None = None
    beside: Sequence[float] = ()
    beside_what: str = ""
    aim: str = ""

    @property
    def ratio(self) -> float | None:
        """Of the medians of ours and theirs; None without theirs."""
        return _ratio(self.ours, self.theirs) if self.theirs else None

    @property
    def judged(self) -> float | None:
        """What a target is for: our figure, or the ratio. None where there is nothing to compare with."""
        if self.target is not None and self.target.of_figure:
            return statistics.median(self.ours)
        return _ratio(self.ours, self.beside) if self.beside else self.ratio

    def cells(self) -> tuple[str, ...]:
        """One text a heading."""
        ratio = self.ratio
        return (
            f"{self.what}, {self.unit}" if self.unit else self.what,
            spread(self.ours),
            spread(self.theirs) if self.theirs else "",
            "" if ratio is None else number(ratio),
            self._target(),
            self._reached(),
        )

    def _target(self) -> str:
        if self.target is None:
            return self.aim
        words = f"{'≤' if self.target.at_most else '≥'} {number(self.target.limit)}"
        if not self.target.of_figure:
            words += f" × {self.beside_what or 'strongSwan'}"
        return f"{words}; {self.aim}" if self.aim else words

    def _reached(self) -> str:
        judged = self.judged
        if judged is None:
            return ""
        if self.target is None:
            return f"{number(judged)} × {self.beside_what}" if self.beside else ""
        return f"{number(judged)} {'✓' if self.target.met(judged) else '✗'}"


def _ratio(one: Sequence[float], other: Sequence[float]) -> float:
    divisor = statistics.median(other)
    return statistics.median(one) / divisor if divisor else float("inf")


def number(value: float) -> str:
    """Three digits or so, with a comma at the thousands."""
    if abs(value) >= 100 or float(value).is_integer():
        return f"{value:,.0f}"
    return f"{value:.1f}" if abs(value) >= 10 else f"{value:.2f}"


def spread(values: Sequence[float]) -> str:
    """The median, and the lowest and the highest behind it if there are several."""
    median = number(statistics.median(values))
    return f"{median} ({number(min(values))} - {number(max(values))})" if len(values) > 1 else median


def table(rows: Iterable[Row], title: str) -> Table:
    """For a terminal."""
    made = Table(title=title)
    for heading in HEADINGS:
        made.add_column(heading, justify="left" if heading in ("", "target") else "right")
    for row in rows:
        made.add_row(*row.cells())
    return made


def markdown(rows: Iterable[Row], title: str, machine: str) -> str:
    """The same as Markdown."""
    lines = [f"{title}.", "", _line(HEADINGS), _line(["---"] * len(HEADINGS))]
    lines += [_line(row.cells()) for row in rows]
    return "\n".join([*lines, "", f"{machine}.", ""])


def write(path: Path, text: str) -> None:
    """Put `text` between the marks `BEGIN` and `END` of a file that has them; else it is the whole file.

    Raises OSError.
    """
    page = path.read_text() if path.exists() else ""
    before, begin, rest = page.partition(BEGIN)
    _, end, after = rest.partition(END)
    path.write_text(f"{before}{begin}\n\n{text}\n{end}{after}" if begin and end else text)


def _line(cells: Iterable[str]) -> str:
    return f"| {' | '.join(cells)} |"


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
