"""`[daemon.http]`: where the server listens."""

from __future__ import annotations

from ipaddress import ip_address

import pytest

from ikepy.config.difference import difference
from ikepy.config.toml_source import parse
from tests.unit.config.example import problems


def text(*lines: str) -> str:
    return "[daemon.http]\n" + "\n".join(lines)


@pytest.mark.parametrize(
    ("listen", "address", "port"),
    [
        ("127.0.0.1:9427", "127.0.0.1", 9427),
        ("[::1]:80", "::1", 80),
        ("0.0.0.0:65535", "0.0.0.0", 65535),
        ("[::]:1", "::", 1),
    ],
)
def test_where_it_listens(listen: str, address: str, port: int) -> None:
    http = parse(text(f'listen = "{listen}"')).daemon.http
    assert http is not None
    assert http.listen == (ip_address(address), port)
    assert (http.ready, http.strongswan_names) == ("all", False)


@pytest.mark.parametrize(
    "listen",
    [
        *('"9427"', '":9427"', '"127.0.0.1"', '"127.0.0.1:"', '"127.0.0.1:0"', '"127.0.0.1:65536"'),
        *('"::1:9427"', '"[127.0.0.1]:9427"', '"localhost:9427"', '"127.0.0.1:http"', '"127.0.0.1:+80"'),
        *('"127.0.0.1:\u0661"', "9427", "true", '["127.0.0.1:9427"]', '""'),
    ],
)
def test_nowhere(listen: str) -> None:
    assert set(problems(text(f"listen = {listen}"))) == {"daemon.http.listen"}


def test_mistakes_have_their_key() -> None:
    assert problems(text('ready = "some"', "port = 1")) == {
        "daemon.http.listen": "is missing",
        "daemon.http.ready": 'unknown condition; allowed: "all", "any", "none"',
        "daemon.http.port": "unknown key; allowed: listen, ready, strongswan_names, ladder",
    }
    assert problems("[daemon]\nhttp = true") == {"daemon.http": "must be a section: [daemon.http]"}


def test_it_stays_until_a_restart() -> None:
    old, new = parse(text('listen = "127.0.0.1:1"')), parse(text('listen = "127.0.0.1:2"'))
    change = difference(old, new)
    assert not change
    assert change.fixed == (("daemon.http", "stays as it is until the daemon is started anew"),)
    assert change.config.daemon.http == old.daemon.http


def test_the_ladder_is_for_loopback_alone() -> None:
    assert problems(text('listen = "127.0.0.1:9427"', "ladder = true")) == {}
    assert problems(text('listen = "[::1]:9427"', "ladder = true")) == {}
    found = problems(text('listen = "0.0.0.0:9427"', "ladder = true"))
    assert set(found) == {"daemon.http.ladder"}
    assert "127.0.0.1:9427" in found["daemon.http.ladder"]
