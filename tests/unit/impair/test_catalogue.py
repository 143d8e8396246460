"""`impair.catalogue`: how impairments are asked for, and what is said of what is none."""

from __future__ import annotations

import pytest

from ikepy.impair.catalogue import CATALOGUE, choose
from ikepy.impair.impairment import Flag, Number, Word


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("corrupt-auth", 1),
        ("drop-outbound=3", 3),
        (" drop-outbound = 3 ", 3),
        ("nonce-size", 8),
        ("ike-responder-spi=0x10", 16),
        ("ignore-requests=CREATE_CHILD_SA", 36),
        ("ignore-requests", 37),
    ],
)
def test_values(text: str, value: int) -> None:
    assert choose(text).value == value


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("corupt-auth", 'there is no impairment "corupt-auth"; corrupt-auth is one: ikepy impair lists them'),
        ("", 'there is no impairment "": ikepy impair lists them'),
        ("corrupt-auth=1", "corrupt-auth takes no value"),
        ("corrupt-auth=", "corrupt-auth takes no value"),
        ("drop-outbound", "drop-outbound needs a value: 1 to 1000000, which one, counted from 1 on"),
        ("drop-outbound=0", "drop-outbound needs a value: 1 to 1000000, which one, counted from 1 on"),
        ("drop-outbound=two", "drop-outbound needs a value: 1 to 1000000, which one, counted from 1 on"),
        ("ke-payload=fill", "ke-payload needs a value: one of omit, empty, duplicate, zeros, ones"),
        ("omit-payload", "omit-payload needs a value: one of SA, KE, NONCE"),
    ],
)
def test_what_is_none(text: str, told: str) -> None:
    with pytest.raises(ValueError, match=f"^{told}"):
        choose(text)


def test_each_says_what_it_does() -> None:
    for name, one in CATALOGUE.items():
        assert name == one.name
        assert one.does[0].islower(), name
        assert not one.does.endswith("."), name
        assert one.rfc
        assert one.make(_any(one.value)).at(), name


def _any(value: Flag | Number | Word) -> int:
    match value:
        case Flag():
            return 1
        case Number():
            return value.least
        case Word():
            return next(iter(value.words.values()))


def test_no_two_have_a_name() -> None:
    names = [one.name for one in CATALOGUE.values()]
    assert len(names) == len(set(names))
