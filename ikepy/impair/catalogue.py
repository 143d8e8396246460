"""All impairments, by name, and how one is asked for: NAME or NAME=VALUE."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from difflib import get_close_matches

from ikepy.impair import (
    answers,
    delivery,
    esp,
    headers,
    leniency,
    lifetimes,
    packets,
    payloads,
    proofs,
    proposals,
    selectors,
)
from ikepy.impair.impairment import Impairment

MODULES = (
    delivery,
    headers,
    payloads,
    proposals,
    selectors,
    proofs,
    answers,
    leniency,
    lifetimes,
    esp,
    packets,
)
CATALOGUE: Mapping[str, Impairment] = {one.name: one for module in MODULES for one in module.IMPAIRMENTS}
LIST = "ikepy impair lists them"


@dataclass(frozen=True, slots=True)
class Chosen:
    """An impairment with its value, as `text` asks for it."""

    text: str
    impairment: Impairment
    value: int

    def __str__(self) -> str:
        return f"{self.text}: it {self.impairment.does} ({self.impairment.source})"


def choose(text: str) -> Chosen:
    """The impairment that NAME or NAME=VALUE asks for. Raises ValueError, with what is allowed."""
    name, given, value = text.partition("=")
    found = CATALOGUE.get(name.strip())
    if found is None:
        near = get_close_matches(name.strip(), CATALOGUE, 1)
        meant = f"; {near[0]} is one" if near else ""
        raise ValueError(f'there is no impairment "{name.strip()}"{meant}: {LIST}')
    try:
        return Chosen(text.strip(), found, found.value.parse(value.strip() if given else None))
    except ValueError as error:
        raise ValueError(f"{found.name} {error}") from None


def ordered() -> list[Impairment]:
    """All of them, by name."""
    return sorted(CATALOGUE.values(), key=lambda one: one.name.lower())


def listing() -> str:
    """All of them with a sentence each, for people."""
    lines = []
    for one in ordered():
        mark = "; libreswan's name" if one.libreswan else ""
        values = f"  VALUE: {one.value}" if str(one.value) else ""
        lines += [f"{one.usage}{values}", f"    The daemon {one.does} ({one.source}{mark})."]
    return "\n".join(lines)


def items() -> list[dict[str, str | bool]]:
    """The same for programs."""
    return [
        {
            "name": one.name,
            "usage": one.usage,
            "value": str(one.value),
            "does": one.does,
            "rfc": one.source,
            "libreswan": one.libreswan,
        }
        for one in ordered()
    ]
