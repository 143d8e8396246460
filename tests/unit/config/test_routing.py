"""Routes and routing tables, as text and as tables."""

from __future__ import annotations

from ipaddress import ip_address, ip_network
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from jsonschema import Draft202012Validator

from ikepy.config import routing
from ikepy.config.reference.tables import schema
from ikepy.config.routing import StaticRoute, route, routing_table, table_names
from ikepy.config.toml_source import parse
from ikepy.errors import ConfigError
from tests.unit.config.example import EXAMPLE

TO = ip_network("10.2.0.0/24")
VALIDATOR = Draft202012Validator(schema())


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        ("10.2.0.0/24", StaticRoute(TO)),
        ("10.2.0.0/24 metric 50", StaticRoute(TO, metric=50)),
        ("10.2.0.0/24 table main src 10.1.0.1", StaticRoute(TO, 254, src=ip_address("10.1.0.1"))),
        ({"to": "10.2.0.0/24", "table": 100}, StaticRoute(TO, 100)),
        ({"to": "fd02::/64", "src": "::1"}, StaticRoute(ip_network("fd02::/64"), src=ip_address("::1"))),
    ],
)
def test_what_a_route_says(value: object, expected: StaticRoute) -> None:
    assert route(value) == expected


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (5, "no route"),
        ("", "a network"),
        ("10.2.0.1/24", 'did you mean "10.2.0.0/24"'),
        ("10.2.0.0/24 metric", 'the word "metric" has no value'),
        ("10.2.0.0/24 metric 5 metric 6", "a word stands twice"),
        ("10.2.0.0/24 to 10.3.0.0/24", '"to" is unknown here'),
        ("10.2.0.0/24 via 10.1.0.1", '"via" is unknown here'),
        ({"metric": 5}, "to is missing"),
        ({"to": "10.2.0.0/24", "metric": 0}, "metric: allowed"),
        ({"to": "10.2.0.0/24", "metric": True}, "metric: allowed"),
        ({"to": "10.2.0.0/24", "table": "no-such"}, "table: no routing table has this name"),
        ({"to": "10.2.0.0/24", "table": "local"}, "table: the table local is the kernel's own"),
        ({"to": "10.2.0.0/24", "table": 255}, "table: the table local is the kernel's own"),
        ({"to": "10.2.0.0/24", "table": 2**32}, "table: allowed"),
        ({"to": "10.2.0.0/24", "src": "fd01::1"}, "src: must be an IPv4 address"),
    ],
)
def test_what_is_no_route(value: object, text: str) -> None:
    with pytest.raises(ValueError, match=text):
        route(value)


@given(
    st.builds(
        StaticRoute,
        st.sampled_from([TO, ip_network("0.0.0.0/0")]),
        st.none() | st.integers(256, 2**32 - 1),
        st.none() | st.integers(1, 2**32 - 1),
        st.none() | st.ip_addresses(v=4),
    )
)
def test_a_routes_own_text_says_the_same(one: StaticRoute) -> None:
    assert route(str(one)) == one


@given(st.one_of(st.text(), st.dictionaries(st.sampled_from(["to", "table", "metric", "x"]), st.text())))
def test_anything_else_is_a_mistake_with_words(value: object) -> None:
    try:
        assert isinstance(route(value), StaticRoute)
    except ValueError as error:
        assert "allowed" in str(error) or "did you mean" in str(error)


def test_names_of_tables_are_iproute2s(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    more = tmp_path / "rt_tables.d"
    more.mkdir()
    text = b"# a comment\n\n100 customers # theirs\n0x65\thex\nx y\n1 2 3\n\xff \xff\n"
    (tmp_path / "rt_tables").write_bytes(text)
    (more / "one.conf").write_text("102 further\n")
    (more / "two.txt").write_text("103 not-read\n")
    monkeypatch.setattr(routing, "TABLE_FILES", (str(tmp_path / "none"), str(tmp_path / "rt_tables")))
    monkeypatch.setattr(routing, "TABLE_DIRECTORIES", (str(tmp_path / "none.d"), str(more)))
    assert table_names() == {**routing.KERNEL_TABLES, "customers": 100, "hex": 101, "further": 102}
    assert routing_table("customers") == routing_table(100) == routing_table("100") == 100


def _example(routes: str) -> str:
    line = 'routes    = ["10.2.0.0/24"]'
    assert line in EXAMPLE
    return EXAMPLE.replace(line, routes)


@pytest.mark.parametrize(
    ("routes", "key", "text"),
    [
        ('routes = ["10.2.0.0/24", "10.2.0.0/33"]', "vti.routes[1]", "a network like"),
        ('routes = [{ to = "10.2.0.0/24", via = "x" }]', "vti.routes[0]", '"via" is unknown'),
        ('src = ["10.1.0.1", "10.1.0.2"]', "vti.src[1]", "is the second IPv4 address"),
        ('routes = ["10.2.0.0/24", "10.2.0.0/24 src 10.1.0.1"]', "vti.routes[1]", "stands there before"),
        ('table = "no-such"', "vti.table", "no routing table"),
    ],
)
def test_a_mistake_has_its_key(routes: str, key: str, text: str) -> None:
    with pytest.raises(ConfigError) as caught:
        parse(_example(routes))
    ((found, said),) = caught.value.problems
    assert found.endswith(key)
    assert text in said


def test_the_same_network_may_lead_into_several_tables() -> None:
    config = parse(_example('routes = ["10.2.0.0/24", "10.2.0.0/24 table 7", "10.2.0.0/24 metric 7"]'))
    (connection,) = config.connections.values()
    assert connection.vti.routes is not None
    assert len(connection.vti.routes) == 3


@pytest.mark.parametrize("key", ["to", "table", "metric", "src", "via"])
def test_the_schema_knows_the_words(key: str) -> None:
    values = {"to": "10.2.0.0/24", "table": 7, "metric": 7, "src": "10.1.0.1", "via": "x"}
    field = Draft202012Validator(schema()["$defs"]["vti"]["properties"]["routes"])  # type: ignore[index]
    assert field.is_valid([{"to": "10.2.0.0/24", key: values[key]}]) is (key != "via")
    assert field.is_valid(["10.2.0.0/24"])
    assert not field.is_valid([5])
