"""docs/troubleshooting.md: every drop reason and counter, and no log line that the code does not write."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from functools import cache

import pytest

from esp.packet.drop_reasons import Drop
from ikepy.daemon.diagnosis.findings import Code
from ikepy.sa.api.unserved import Unserved
from tests.unit.docs.pages import DOCS, ROOT, quoted, tables

PAGE = DOCS / "troubleshooting.md"
GAP = "…"  # what differs from line to line
REASONS, COUNTERS, FINDINGS = "Drop reasons", "What control counts", "Findings"
LINES = [
    quoted(row[0])[0]
    for heading, rows in tables(PAGE).items()
    if heading not in (REASONS, COUNTERS, FINDINGS)
    for row in rows
]


def _first_cells(heading: str) -> list[str]:
    return [quoted(row[0])[0] for row in tables(PAGE)[heading]]


def test_every_finding() -> None:
    assert sorted(_first_cells(FINDINGS)) == sorted(Code)


def test_every_drop_reason() -> None:
    assert sorted(_first_cells(REASONS)) == sorted(reason.text for reason in Drop)


def test_drop_reasons_are_explained() -> None:
    for row in tables(PAGE)[REASONS]:
        assert len(row) == 4, row
        assert all(row), row
        assert row[1] in ("in", "out"), row


def test_every_counter_of_the_machine() -> None:
    counters = _first_cells(COUNTERS)
    assert {counter.value for counter in Unserved} <= set(counters)
    assert len(set(counters)) == len(counters)


def _texts(tree: ast.AST) -> Iterator[str]:
    """The strings of a module; what an f-string fills in is a gap."""
    for node in ast.walk(tree):
        if isinstance(node, ast.JoinedStr):
            parts = (str(part.value) if isinstance(part, ast.Constant) else GAP for part in node.values)
            yield "".join(parts)
        elif isinstance(node, ast.Constant) and isinstance(node.value, str):
            yield node.value


@cache
def written() -> frozenset[str]:
    """All strings of ours: workers have control write their lines."""
    paths = (path for part in ("ikepy", "esp", "tun") for path in (ROOT / part).rglob("*.py"))
    return frozenset(text for path in paths for text in _texts(ast.parse(path.read_text())))


def _in_order(parts: list[str], text: str) -> bool:
    position = 0
    for part in parts:
        position = text.find(part, position)
        if position < 0:
            return False
        position += len(part)
    return True


@pytest.mark.parametrize("line", [*LINES, *_first_cells(COUNTERS)])
def test_lines_are_what_the_code_writes(line: str) -> None:
    parts = [part.strip(" ,;.") for part in line.split(GAP)]
    assert any(parts), line
    assert any(_in_order(parts, text) for text in written()), line


def test_a_line_that_nothing_writes_is_found() -> None:
    assert not any(_in_order(["the peer", "is made of cheese"], text) for text in written())
