"""Prints lines with styles: colours on a terminal only, and nothing that a terminal would act on."""

from __future__ import annotations

import sys
from collections.abc import Iterable
from io import TextIOWrapper

from rich.console import Console
from rich.text import Text

ANY_WIDTH = 10_000  # columns


def console() -> Console:
    """The console of standard output, without emphasis of its own; lines are as long as they need to be where
    it is no terminal. Characters that its encoding lacks become "?"."""
    if isinstance(sys.stdout, TextIOWrapper):
        sys.stdout.reconfigure(errors="replace")
    made = Console(highlight=False, markup=False, emoji=False)
    if not made.is_terminal:
        made.width = ANY_WIDTH
    return made


def harmless(line: Text) -> Text:
    """The line without control characters: peers choose their identities, and much of what is quoted."""
    line.plain = "".join(c if c.isprintable() else "?" for c in line.plain)
    return line


def print_lines(lines: Iterable[Text], to: Console) -> None:
    for line in lines:
        to.print(harmless(line), soft_wrap=True)
