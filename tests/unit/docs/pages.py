"""The documentation as the tests read it: tables by heading, code blocks by language."""

from __future__ import annotations

import re
from pathlib import Path

ROOT = Path(__file__).resolve().parents[3]
README = ROOT / "README.md"
DOCS = ROOT / "docs"


def tables(page: Path) -> dict[str, list[tuple[str, ...]]]:
    """The rows of all tables below each heading, less the head of each table."""
    found: dict[str, list[tuple[str, ...]]] = {}
    heading, rows = "", 0
    for line in page.read_text().splitlines():
        if line.startswith("#"):
            heading = line.lstrip("# ")
        if not line.startswith("|"):
            rows = 0
            continue
        rows += 1
        if rows > 2:
            cells = re.split(r"(?<!\\)\|", line.strip("|"))
            found.setdefault(heading, []).append(tuple(cell.strip() for cell in cells))
    return found


def blocks(page: Path, language: str) -> list[str]:
    """The code blocks of a language."""
    return re.findall(rf"^```{language}\n(.*?)^```$", page.read_text(), re.MULTILINE | re.DOTALL)


def quoted(text: str) -> list[str]:
    """What stands between backticks."""
    return re.findall(r"`([^`]+)`", text)
