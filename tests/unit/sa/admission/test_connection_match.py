"""Which connection a peer belongs to."""

from __future__ import annotations

from ipaddress import ip_address

import pytest

from ikepy.config.identity import Identity
from ikepy.config.model import Config
from ikepy.config.toml_source import parse
from ikepy.sa.admission.connection_match import MOST_PATHS, ConnectionMatch
from ikepy.sa.api.names import NameTable
from ikepy.sa.api.path import Endpoint, Path

OURS = ip_address("192.0.2.1")


def config(*connections: tuple[str, str, str, str]) -> Config:
    """(name, remote_addrs, local.id, remote.id) of each."""
    return parse(
        "".join(
            f"""
[connections.{name}]
local_addrs = ["{OURS}"]
remote_addrs = ["{remote}"]
proposals = ["aes128gcm16-prfsha256-x25519"]
[connections.{name}.local]
id = "{local_id}"
[connections.{name}.remote]
id = "{remote_id}"
[connections.{name}.children.net]
"""
            for name, remote, local_id, remote_id in connections
        )
        + '[secrets.ike]\nsecret = "correct horse"\n'
    )


def path(remote: str) -> Path:
    return Path(Endpoint(OURS, 500), Endpoint(ip_address(remote), 500))


CONNECTIONS = config(
    ("anybody", "%any", "gw", "%any"),
    ("pattern", "%any", "gw", "*.example.org"),
    ("named", "%any", "gw", "One.example.org"),
    ("network", "198.51.100.0/24", "gw", "%any"),
    ("address", "198.51.100.7", "gw", "%any"),
    ("other", "%any", "other", "one.example.org"),
)


@pytest.mark.parametrize(
    ("remote", "names"),
    [
        ("203.0.113.1", ["anybody", "pattern", "named", "other"]),
        ("198.51.100.9", ["network", "anybody", "pattern", "named", "other"]),
        ("198.51.100.7", ["address", "network", "anybody", "pattern", "named", "other"]),
    ],
)
def test_those_that_name_the_address_go_first(remote: str, names: list[str]) -> None:
    peers = ConnectionMatch(CONNECTIONS, NameTable())
    for _ in range(2):
        found = peers.candidates(path(remote))
        assert [one.name for one in found.connections] == names
        assert [one.name for one in found.offers] == names[:1], "all have the same proposals"


def test_many_addresses_cost_no_memory_each() -> None:
    """Addresses with the same candidates share them, until the cache is full and is emptied."""
    peers = ConnectionMatch(CONNECTIONS, NameTable())
    found = [
        peers.candidates(path(f"203.0.{113 + host // 250}.{host % 250}")) for host in range(4 * MOST_PATHS)
    ]
    parts = [found[at : at + MOST_PATHS] for at in range(0, len(found), MOST_PATHS)]
    assert all(one is part[0] for part in parts for one in part)
    assert len({id(one) for one in found}) == len(parts)


@pytest.mark.parametrize(
    ("id_i", "id_r", "remote", "name"),
    [
        ("one.example.org", None, "203.0.113.1", "named"),
        ("ONE.example.org", "gw", "203.0.113.1", "named"),
        ("one.example.org", "other", "203.0.113.1", "other"),
        ("two.example.org", "gw", "203.0.113.1", "pattern"),
        ("two.example.com", "gw", "203.0.113.1", "anybody"),
        ("two.example.com", "gw", "198.51.100.7", "address"),
        ("two.example.com", "other", "198.51.100.7", None),
        ("fqdn:192.0.2.9", "somebody", "203.0.113.1", None),
    ],
)
def test_the_identities_decide(id_i: str, id_r: str | None, remote: str, name: str | None) -> None:
    """An identity by its name goes before a pattern, and that before anybody's; then the address counts."""
    found = ConnectionMatch(CONNECTIONS, NameTable()).candidates(path(remote))
    (chosen,) = CONNECTIONS.connections["named"].proposals
    theirs, ours = Identity.parse(id_i), None if id_r is None else Identity.parse(id_r)
    assert theirs is not None
    connection = found.match(chosen, ours, theirs, OURS)
    assert (None if connection is None else connection.name) == name
