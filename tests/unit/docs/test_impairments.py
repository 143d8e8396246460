"""docs/impairments.md: every impairment and no other, as `ikepy impair` has them."""

from __future__ import annotations

import json

from click.testing import CliRunner

from ikepy.cli import main
from ikepy.impair.catalogue import CATALOGUE
from tests.impairments_page import PAGE, with_list


def test_the_page_is_the_generated_one() -> None:
    """`python -m tests.impairments_page` makes it."""
    assert with_list(PAGE.read_text()) == PAGE.read_text()


def test_there_are_many() -> None:
    assert len(CATALOGUE) >= 40


def test_the_command_lists_all() -> None:
    text = CliRunner().invoke(main, ["impair"]).output
    assert all(f"\n{one.usage}" in f"\n{text}" and one.does in text for one in CATALOGUE.values())
    assert CliRunner().invoke(main, ["run", "--impair", "list"]).output == text
    listed = json.loads(CliRunner().invoke(main, ["impair", "--json"]).output)
    assert {one["name"] for one in listed} == set(CATALOGUE)
