"""All pages: paths that they name are there, links lead somewhere, README is short."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from tests.unit.docs.pages import DOCS, README, ROOT, quoted, tables

PAGES = sorted(
    [
        README,
        *DOCS.glob("*.md"),
        *(DOCS / "course").glob("*.md"),
        ROOT / "CHANGELOG.md",
        ROOT / "benchmarks" / "README.md",
    ]
)
TOPS = ("benchmarks", "deploy", "docs", "esp", "ikepy", "tests", "tun")
CONTRIBUTING = DOCS / "contributing.md"


def paths(text: str) -> list[str]:
    """What is quoted and looks like a path in this repository."""
    words = [word.strip('"') for one in quoted(text) for word in one.split()]
    return [word for word in words if word.split("/")[0] in TOPS and ("/" in word or word.endswith(".py"))]


def anchors(page: Path) -> set[str]:
    """The headings of a page, as GitHub makes anchors of them."""
    headings = re.findall(r"^#+ (.*)$", page.read_text(), re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-") for heading in headings}


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_paths_exist(page: Path) -> None:
    missing = [path for path in paths(page.read_text()) if not (ROOT / path).exists()]
    assert not missing


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_links_lead_somewhere(page: Path) -> None:
    for target in re.findall(r"\]\(([^)\s]+)\)", page.read_text()):
        if target.startswith(("http://", "https://")):
            continue
        name, _, anchor = target.partition("#")
        other = page.parent / name if name else page
        assert other.exists(), target
        assert not anchor or anchor in anchors(other), target


def test_each_row_names_a_file() -> None:
    rows = [row for found in tables(CONTRIBUTING).values() for row in found if len(row) == 2]
    to_change = [row for row in rows if paths(row[1])]
    assert len(to_change) > 50
    for heading in (
        "IKE messages and keys",
        "The IKE machine",
        "Configuration",
        "The daemon",
        "The data plane",
    ):
        assert all(paths(row[1]) for row in tables(CONTRIBUTING)[heading]), heading


def test_readme_is_short() -> None:
    assert len(README.read_text().splitlines()) < 200
