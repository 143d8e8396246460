"""Tests and benchmarks use public names only: they hold behaviour, and internals are free to change."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
FILES = sorted(path for part in ("tests", "benchmarks") for path in (ROOT / part).rglob("*.py"))
PRIVATE = re.compile(r"_[A-Za-z]\w*")
# The text of `setattr(one, "_name", …)`, `vars(one)["_name"]` or `monkeypatch.setattr("module._name", …)`.
PRIVATE_TEXT = re.compile(r"_[a-z]\w*|\w+(\.\w+)*\._[A-Za-z]\w*")
OWN = ("self", "cls")
# Methods of every namedtuple, whose names begin with "_" so that no field can have them.
NAMEDTUPLE = ("_asdict", "_fields", "_make", "_replace")


def private_uses(source: str) -> Iterator[tuple[int, str]]:
    """The line and the name of every private name that a module uses of somebody else."""
    nodes = list(ast.walk(ast.parse(source)))
    formatted = {id(part) for node in nodes if isinstance(node, ast.JoinedStr) for part in node.values}
    for node in nodes:
        match node:
            case ast.Attribute(value=ast.Name(id=owner)) if owner in OWN:
                continue
            case ast.Attribute(attr=name) if PRIVATE.fullmatch(name) and name not in NAMEDTUPLE:
                yield node.lineno, name
            case ast.ImportFrom(names=names):
                yield from ((node.lineno, one.name) for one in names if PRIVATE.fullmatch(one.name))
            case ast.Constant(value=str() as text) if (
                PRIVATE_TEXT.fullmatch(text) and id(node) not in formatted
            ):
                yield node.lineno, text


@pytest.mark.parametrize(
    "source",
    [
        "worker._close()",
        "super()._serve()",
        "one.two._three = 4",
        "from esp.worker import _POLL",
        'setattr(one, "_two", 3)',
        'vars(one)["_two"]',
        'patch.setattr("esp.datapath.codel._INTERVAL", 0)',
    ],
)
def test_private_uses_are_found(source: str) -> None:
    assert len(list(private_uses(source))) == 1


@pytest.mark.parametrize(
    "source",
    [
        "self._own = 1",
        "cls._own",
        "one._replace(two=3)",
        "one.__class__",
        "from a import b",
        'f"{a}_b"',
        '"_"',
    ],
)
def test_other_names_are_not(source: str) -> None:
    assert list(private_uses(source)) == []


@pytest.mark.parametrize("path", FILES, ids=lambda path: str(path.relative_to(ROOT)))
def test_tests_use_public_names(path: Path) -> None:
    if path == Path(__file__).resolve():
        return
    found = [f"line {line}: {name}" for line, name in private_uses(path.read_text())]
    assert found == []
