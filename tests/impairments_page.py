"""Puts the list of impairments into `docs/impairments.md`: `python -m tests.impairments_page`."""

from __future__ import annotations

from pathlib import Path

from ikepy.impair.catalogue import ordered
from ikepy.impair.impairment import Impairment
from tests.impaired.caught import CAUGHT, HARMLESS, UNSEEN

PAGE = Path(__file__).resolve().parents[1] / "docs/impairments.md"
HEAD = "| impairment | value | the daemon | must fail |\n|---|---|---|---|\n"


def row(one: Impairment) -> str:
    mark = " (libreswan)" if one.libreswan else ""
    return f"| `{one.name}`{mark} | {one.value} | {one.does} ({one.source}) | {_cases(one.name)} |\n"


def _cases(name: str) -> str:
    """The conformance cases that must fail, by value if they depend on it; or why none does."""
    if name in HARMLESS:
        return f"none: {HARMLESS[name]}"
    if name in UNSEEN:
        return f"none: {UNSEEN[name]}"
    found = []
    for text, ids in CAUGHT.items():
        base, _, value = text.partition("=")
        if base == name:
            found.append(f"{f'`={value}`: ' if value else ''}{', '.join(ids)}")
    return "; ".join(found)


def with_list(page: str) -> str:
    """The text of the page with its table made anew; the table is its end."""
    before, _, _ = page.partition("| impairment |")
    return before + HEAD + "".join(map(row, ordered()))


if __name__ == "__main__":
    PAGE.write_text(with_list(PAGE.read_text()))
