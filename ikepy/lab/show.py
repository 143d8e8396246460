"""Prints the lab and its results, to a terminal or a pipe alike."""

from __future__ import annotations

import sys
from collections.abc import Iterable
from io import TextIOWrapper

from rich.console import Console
from rich.text import Text

from ikepy.lab.bed import Lab
from ikepy.lab.checks import Result
from ikepy.lab.links import Verdict
from ikepy.lab.picture import draw

_MARKS = {True: ("✓", "green"), False: ("✗", "bold red")}


class Show:
    """Everything goes through here; lines are never wrapped, so that a pipe gets what a terminal shows."""

    def __init__(self) -> None:
        if isinstance(sys.stdout, TextIOWrapper):
            sys.stdout.reconfigure(errors="replace")  # a terminal without box characters gets question marks
        self._console = Console(highlight=False, soft_wrap=True)

    def line(self, text: str = "") -> None:
        """Plain text."""
        self._console.print(Text(text))

    def heading(self, text: str) -> None:
        """A section's heading."""
        self._console.print(Text(f"\n{text}", style="bold"))

    def step(self, text: str) -> None:
        """The step in progress."""
        self._console.print(Text(text, style="dim"))

    def error(self, text: str) -> None:
        """An error."""
        self._console.print(Text(text, style="bold red"))

    def picture(self, lab: Lab) -> None:
        """The topology."""
        self.line("\n" + draw(lab).rstrip("\n"))

    def sas(self, lab: Lab) -> None:
        """Both concentrators' SAs in their own words."""
        for name, concentrator in (("cgw", lab.cgw), ("c4", lab.c4)):
            self.heading(f"The SAs of {name} ({concentrator.kind})")
            for text in concentrator.describe().rstrip().splitlines():
                self.line(f"  {text}")

    def results(self, heading: str, results: Iterable[Result]) -> None:
        """One line a result."""
        self.heading(heading)
        rows = list(results)
        width = max((len(row.what) for row in rows), default=0)
        for row in rows:
            self._marked(row.ok, f"{row.what:<{width}}  {row.detail}")

    def verdicts(self, verdicts: Iterable[Verdict]) -> None:
        """The stacks that were captured on each link."""
        self.heading("The protocol stacks captured on each link")
        for verdict in verdicts:
            link = verdict.link
            ends = verdict.ends[0] if len(verdict.ends) == 1 else f"{len(verdict.ends)} pairs of addresses"
            self.line(f"  {link.name}: {link.device} of {link.node}   {ends}")
            for right, count, stack in verdict.rows:
                why = "" if right else "   expected, not seen" if count == 0 else "   not expected here"
                self._marked(right, f"{count:>6}  {' | '.join(stack)}{why}", indent=3)
            if verdict.fragments:
                self._marked(False, f"{verdict.fragments:>6}  fragments", indent=3)

    def _marked(self, ok: bool, text: str, indent: int = 1) -> None:
        mark, style = _MARKS[ok]
        self._console.print(Text.assemble(" " * indent, (mark, style), f" {text}"))
