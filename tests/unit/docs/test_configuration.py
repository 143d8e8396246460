"""docs/configuration.md: every key of the model and no other, with its default; its example is right."""

from __future__ import annotations

import tomllib
from pathlib import Path

import pytest
from pydantic import BaseModel
from pydantic.fields import FieldInfo

from ikepy.config.reference.tables import HEADINGS
from ikepy.config.report import MODELS, known_keys
from ikepy.config.toml_source import parse
from tests.unit.docs.pages import DOCS, blocks, quoted, tables

PAGE = DOCS / "configuration.md"
BY_THE_SOURCE = {("connection", "local_port"), ("vti", "name")}  # the TOML file's reader fills these in


def rows(kind: str) -> dict[str, tuple[str, ...]]:
    """By key; a key that stands there twice is an error."""
    found = [(quoted(row[0])[0], row) for row in tables(PAGE)[HEADINGS[kind]]]
    assert len({key for key, _ in found}) == len(found), kind
    return dict(found)


def fields(kind: str) -> dict[str, FieldInfo]:
    """By key, as they stand in the file."""
    model: type[BaseModel] = MODELS[kind]
    return {field.alias or name: field for name, field in model.model_fields.items()}


def test_every_section_has_a_table() -> None:
    assert HEADINGS.keys() == MODELS.keys() - {"root"}


@pytest.mark.parametrize("kind", HEADINGS)
def test_every_key_and_no_other(kind: str) -> None:
    assert set(rows(kind)) == set(known_keys(kind))


@pytest.mark.parametrize("kind", HEADINGS)
def test_every_row_is_whole(kind: str) -> None:
    for key, row in rows(kind).items():
        assert len(row) == 5, key
        assert row[1], key
        assert row[4], key


@pytest.mark.parametrize("kind", HEADINGS)
def test_defaults(kind: str) -> None:
    """A default that is one word or number stands there as in TOML."""
    for key, row in rows(kind).items():
        default = fields(kind)[key].get_default()
        cell = row[2]
        if (kind, key) in BY_THE_SOURCE:
            continue
        if isinstance(default, bool | int | float | str | Path):
            written = str(default) if isinstance(default, Path) else default
            assert tomllib.loads(f"key = {quoted(cell)[0]}")["key"] == written, key
        elif default is None:
            assert cell in ("see meaning", ""), key


@pytest.mark.parametrize("kind", HEADINGS)
def test_keys_without_a_default_say_what_absence_means(kind: str) -> None:
    for key, row in rows(kind).items():
        if row[2] == "see meaning":
            assert "Absent" in row[4], key


def test_example(tmp_path: Path) -> None:
    """It has no mistake, but for the file of the secret, which is not on this machine."""
    example, *parts = blocks(PAGE, "toml")
    (tmp_path / "site-b.psk").write_text("LzU0vX3nRkq9TfWm7cYh\n")
    example = example.replace("/etc/ikepy/site-b.psk", str(tmp_path / "site-b.psk"))
    (bgp,) = [part for part in parts if "routes    = []" in part]
    config = parse("\n".join((example, *(part for part in parts if part is not bgp))))
    assert set(config.connections) == {"site-b"}
