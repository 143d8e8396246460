"""Why a case fails: docs/conformance/explanations.toml, read and checked."""

from __future__ import annotations

import tomllib
from dataclasses import dataclass
from fnmatch import fnmatchcase
from pathlib import Path

DOCS = Path(__file__).resolve().parents[2] / "docs/conformance"
WHOSE = ("the implementation's", "the set-up's", "the case's")


@dataclass(frozen=True, slots=True)
class Explanation:
    """Why some cases fail with an implementation. `cases`: globs; `whose`: one of WHOSE; `sometimes`: they
    pass in other runs."""

    implementation: str
    cases: tuple[str, ...]
    whose: str
    text: str
    sometimes: bool = False

    def covers(self, implementation: str, case: str) -> bool:
        return self.implementation == implementation and any(fnmatchcase(case, one) for one in self.cases)


def explanations() -> list[Explanation]:
    """All of them, in the file's order."""
    found = tomllib.loads((DOCS / "explanations.toml").read_text())
    return [
        Explanation(
            implementation,
            tuple(one["cases"]),
            one["whose"],
            one["text"].strip(),
            one.get("sometimes", False),
        )
        for implementation, entries in found.items()
        for one in entries
    ]


def explanation(implementation: str, case: str) -> Explanation | None:
    """The first one that covers a case."""
    return next((one for one in explanations() if one.covers(implementation, case)), None)
