"""Names in commands: of a wrong one the right ones are told, however many there are."""

from __future__ import annotations

import pytest

from ikepy.config.model import Config
from ikepy.daemon.control.names import UnknownNameError, check_names, find_child
from tests.unit.daemon.fakes import connection


def config(*names: str) -> Config:
    return Config.model_validate({"connections": {name: connection(name) for name in names}})


def test_the_one_that_is_meant() -> None:
    both = config("site-a", "site-b")
    assert find_child(both, "site-b", "net") == find_child(both, "site-b", None) == ("site-b", "net")
    assert find_child(config("site-a"), None, "net") == ("site-a", "net")
    check_names(both, "site-a", "net")
    check_names(both, None, "net")
    check_names(both, None, None)


@pytest.mark.parametrize(
    ("ike", "child", "text"),
    [
        (
            "site_b",
            None,
            "no connection 'site_b' is configured (did you mean 'site-b'?); there is site-a, site-b",
        ),
        ("x", "net", "no connection 'x' is configured; there is site-a, site-b"),
        (None, "nett", "no child 'nett' is configured (did you mean 'net'?); there is net"),
        ("site-a", "other", "no child of site-a 'other' is configured; there is net"),
        (None, "net", "child 'net' is ambiguous, name both: site-a/net, site-b/net"),
        (None, None, "a child is needed"),
    ],
)
def test_one_that_nobody_can_mean(ike: str | None, child: str | None, text: str) -> None:
    with pytest.raises(UnknownNameError) as caught:
        find_child(config("site-a", "site-b"), ike, child)
    assert str(caught.value) == text


def test_an_answer_is_short_whatever_is_asked_and_configured() -> None:
    many = config(*(f"a{number}" for number in range(200)))
    for ike, child in (("z" * 60000, None), (None, "z" * 60000), (None, "net")):
        with pytest.raises(UnknownNameError) as caught:
            find_child(many, ike, child)
        assert len(str(caught.value)) < 250
    with pytest.raises(UnknownNameError, match=r"a9 and 190 more$"):
        check_names(many, "b", None)
