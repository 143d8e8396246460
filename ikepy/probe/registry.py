"""The conformance cases that there are: what `@case` registers, found by glob, in a stable order."""

from __future__ import annotations

import re
from collections.abc import Awaitable, Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from fnmatch import fnmatchcase
from inspect import cleandoc
from typing import Literal

from ikepy.errors import LocalMisuse
from ikepy.probe.peer import Peer

Level = Literal["MUST", "SHOULD", "MAY"]
Role = Literal["responder", "initiator"]
Function = Callable[[Peer], Awaitable[None]]


@dataclass(frozen=True, slots=True)
class Case:
    """A case. `rfc`: the section that it holds the peer to; `level`: how strongly that says so; `role`: the
    peer's under test; `group`: BASIC or ADVANCED in the IPv6 Ready specification, or a set's name."""

    id: str
    title: str
    rfc: str
    level: Level
    role: Role
    group: str
    function: Function
    note: str = ""  # what else there is to say

    @property
    def order(self) -> list[tuple[int, int, str]]:
        """IDs sorted as people count: R.1.1.10 behind R.1.1.9."""
        parts = re.findall(r"\d+|[^\d.]+", self.id)
        return [(0, int(part), "") if part.isdigit() else (1, 0, part) for part in parts]


_CASES: dict[str, Case] = {}


def case(
    id: str,
    *,
    rfc: str,
    level: Level = "MUST",
    title: str = "",
    role: Role = "responder",
    group: str = "BASIC",
) -> Callable[[Function], Function]:
    """Register an async function of one `Peer` as a case. Without `title`: its docstring's first line.

    LocalMisuse if the ID is taken. The function passes by returning; what it raises is the verdict.
    """

    def register(function: Function) -> Function:
        if id in _CASES:
            raise LocalMisuse(f"case {id} is there twice")
        first, _, rest = cleandoc(function.__doc__ or "").partition("\n")
        told = title or first.rstrip(".")
        _CASES[id] = Case(id, told, rfc, level, role, group, function, " ".join(rest.split()))
        return function

    return register


@contextmanager
def aside() -> Iterator[None]:
    """Cases that are registered inside are forgotten at its end."""
    before = dict(_CASES)
    try:
        yield
    finally:
        _CASES.clear()
        _CASES.update(before)


def case_of(function: object) -> Case | None:
    """The case that a function was registered as."""
    return next((one for one in _CASES.values() if one.function is function), None)


def cases(patterns: Sequence[str] = ("*",), role: Role | None = None) -> list[Case]:
    """The cases whose IDs match one of the globs, in their order."""
    found = [one for one in _CASES.values() if role in (None, one.role) and matches(one.id, patterns)]
    return sorted(found, key=lambda one: one.order)


def matches(id: str, patterns: Iterable[str]) -> bool:
    """Whether an ID matches one of the globs; a glob matches the parts of a test that it names, too."""
    return any(fnmatchcase(id, one) or fnmatchcase(id, f"{one}.?") for one in patterns)
