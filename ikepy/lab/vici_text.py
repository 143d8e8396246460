"""Read the VICI messages that `swanctl --pretty` prints: sections, lists and key-value pairs, one a line."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TypeAlias

Value: TypeAlias = "str | list[str] | Section"
Section: TypeAlias = dict[str, "Value"]


def parse_events(text: str, label: str) -> list[Section]:
    """Every message in `text` that is headed `label event {` (or `label reply {`), in order.

    Anything unexpected is a ValueError: swanctl's output is trusted, but its format may change.
    """
    lines = iter(text.splitlines())
    events = []
    for line in lines:
        words = line.split()
        if len(words) == 3 and words[1] in ("event", "reply") and words[2] == "{":
            section = _section(lines)
            if words[0] == label:
                events.append(section)
    return events


def _section(lines: Iterator[str]) -> Section:
    section: Section = {}
    for line in lines:
        line = line.strip()
        if line == "}":
            return section
        if line.endswith(" {"):
            section[line[:-2]] = _section(lines)
        elif line.endswith(" = ["):
            section[line[:-4]] = _list(lines)
        elif " = " in line or line.endswith(" ="):
            key, _, value = line.partition(" =")
            section[key] = value.strip()
        elif line:
            raise ValueError(f"unexpected line {line!r}")
    raise ValueError("a section without an end")


def _list(lines: Iterator[str]) -> list[str]:
    items: list[str] = []
    for line in lines:
        line = line.strip()
        if line == "]":
            return items
        items.append(line)
    raise ValueError("a list without an end")
