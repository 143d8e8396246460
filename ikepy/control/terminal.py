"""Prints lines with styles: colours on a terminal only, and nothing that a terminal would act on."""

from __future__ import annotations

from collections.abc import Iterable

from rich.console import Console
from rich.text import Text


def console() -> Console:
    """The console of standard output, without emphasis of its own."""
    return Console(highlight=False, markup=False, emoji=False)


def harmless(line: Text) -> Text:
    """The line without control characters: peers choose their identities, and much of what is quoted."""
    line.plain = "".join(c if c.isprintable() else "?" for c in line.plain)
    return line


def print_lines(lines: Iterable[Text], to: Console) -> None:
    for line in lines:
        to.print(harmless(line), soft_wrap=True)
