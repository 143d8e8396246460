"""The reference: the page is the generated one, and the schema allows what the model allows."""

from __future__ import annotations

import json
import tomllib

import pytest
from click.testing import CliRunner
from jsonschema import Draft202012Validator
from pydantic import ValidationError

from ikepy.cli import main
from ikepy.config.reference.keys import KEYS
from ikepy.config.reference.tables import HEADINGS, schema, with_tables
from ikepy.config.report import MODELS, known_keys
from tests.unit.config.example import EXAMPLE
from tests.unit.docs.pages import DOCS

PAGE = DOCS / "configuration.md"
VALIDATOR = Draft202012Validator(schema())
INTEGERS = [
    (kind, key)
    for kind, entries in KEYS.items()
    for key, entry in entries.items()
    if entry.type in ("integer", "integer or word", "number", "amount", "time")
]
BOUNDS = (0, 3, 8, 20, 64, 100, 128, 255, 256, 576, 1000, 1280, 4096, 65507, 65535, 1_000_000, 2**32 - 1)
TRIED: list[object] = [*(one + more for one in BOUNDS for more in (-1, 0, 1)), 2**63 - 1, 2**63, "x", "1h"]


def test_the_page_is_the_generated_one() -> None:
    """`python -m ikepy.config.reference.tables docs/configuration.md` makes it."""
    assert with_tables(PAGE.read_text()) == PAGE.read_text()


@pytest.mark.parametrize("kind", HEADINGS)
def test_every_key_of_the_model_has_an_entry(kind: str) -> None:
    assert set(KEYS[kind]) == set(known_keys(kind))


def test_the_schema_is_one_and_takes_the_example() -> None:
    Draft202012Validator.check_schema(schema())
    assert not list(VALIDATOR.iter_errors(tomllib.loads(EXAMPLE)))


@pytest.mark.parametrize(
    "change",
    [
        ("mtu ", "mut "),
        ("= false", '= "perhaps"'),
        ('"start"', '"perhaps"'),
        ("[secrets.ike-", "[secrets.other-"),
        ("secret = ", "secrets = "),
        ("1400", "100"),
    ],
)
def test_the_schema_refuses_what_the_model_refuses(change: tuple[str, str]) -> None:
    assert list(VALIDATOR.iter_errors(tomllib.loads(EXAMPLE.replace(*change))))


@pytest.mark.parametrize(("kind", "key"), INTEGERS)
def test_the_schema_has_the_models_bounds(kind: str, key: str) -> None:
    field = Draft202012Validator(_property(kind, key))
    for value in TRIED:
        assert field.is_valid(value) == _model_takes(kind, key, value), value


def _property(kind: str, key: str) -> dict[str, object]:
    found: dict[str, object] = schema()["$defs"][kind]["properties"][key]  # type: ignore[index]
    return found


def _model_takes(kind: str, key: str, value: object) -> bool:
    try:
        MODELS[kind].model_validate({key: value})
    except ValidationError as error:
        return all(one["loc"][0] != key for one in error.errors(include_input=False, include_url=False))
    return True


def test_ikepy_schema_prints_it() -> None:
    result = CliRunner().invoke(main, ["schema"])
    assert result.exit_code == 0
    assert json.loads(result.stdout) == schema()
