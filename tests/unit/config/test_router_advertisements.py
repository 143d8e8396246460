"""`[router_advertisements.INTERFACE]`: what is absent, what is a mistake, what is hardly meant."""

from __future__ import annotations

from ipaddress import IPv6Address, IPv6Network

import pytest

from ikepy.config.difference import difference
from ikepy.config.layers import Layers
from ikepy.config.router_advertisement import RouterAdvertisement
from ikepy.config.toml_source import parse
from tests.unit.config.example import EXAMPLE, good, minimal, problems, remarks

KEY = "router_advertisements.vxeth0"


def text(*lines: str) -> str:
    return "\n[router_advertisements.vxeth0]\n" + "\n".join(lines) + "\n"


def read(*lines: str) -> RouterAdvertisement:
    return parse(text(*lines)).router_advertisements["vxeth0"]


def test_what_is_absent() -> None:
    """RFC 4861 6.2.1, RFC 8106 5.1."""
    one = read()
    assert (one.name, one.connections, one.require) == ("vxeth0", (), "any")
    assert (one.default_router, one.default_lifetime, one.preference) == (True, 1800, "medium")
    assert (one.routes, one.routes_lifetime, one.prefixes) == (None, 1800, ())
    assert (one.valid_lifetime, one.preferred_lifetime) == (2_592_000, 604_800)
    assert (one.rdnss, one.dnssl, one.dns_servers_lifetime) == ((), (), 1800)
    assert (one.mtu, one.hop_limit, one.managed, one.other_config) == (None, 64, False, False)
    assert one.intervals == (198, 600)
    assert read("max_interval = 4").intervals == (3, 4)


def test_all_of_it() -> None:
    one = read(
        'connections = ["a", "b"]',
        'require = "all"',
        "router_lifetime = '1h'",
        'preference = "high"',
        'routes = ["fd02::/64", "::/0"]',
        "route_lifetime = '20m'",
        'prefixes = "fd01::/64"',
        'rdnss = ["fd02::53"]',
        'dnssl = ["Site-B.example."]',
        "mtu = 1280",
        "max_interval = 30",
        "min_interval = 22.5",
    )
    assert one.connections == ("a", "b")
    assert (one.default_lifetime, one.routes_lifetime, one.dns_servers_lifetime) == (3600, 1200, 90)
    assert one.routes == (IPv6Network("fd02::/64"), IPv6Network("::/0"))
    assert (one.rdnss, one.dnssl) == ((IPv6Address("fd02::53"),), ("site-b.example",))
    assert one.intervals == (22.5, 30)


@pytest.mark.parametrize(
    ("line", "key", "part"),
    [
        ("max_interval = 3", "max_interval", "from 4 to 1800"),
        ("min_interval = 500", "min_interval", "3 to 450 seconds"),
        ("router_lifetime = 500", "router_lifetime", "600 (max_interval) to 9000"),
        ("router_lifetime = 0", "router_lifetime", "default_router = false"),
        ("router_lifetime = 9001", "router_lifetime", "to 9000"),
        ("route_lifetime = 10", "route_lifetime", "at least max_interval"),
        ("dns_lifetime = 599", "dns_lifetime", "at least max_interval"),
        ("preferred_lifetime = '31d'", "preferred_lifetime", "at most valid_lifetime"),
        ('routes = ["10.2.0.0/24"]', "routes[0]", "an IPv6 network"),
        ('prefixes = ["fe80::/64"]', "prefixes[0]", "not link-local"),
        ('prefixes = ["::/0"]', "prefixes[0]", "not link-local"),
        ('rdnss = ["10.0.0.1"]', "rdnss[0]", "IPv6 address of a DNS server"),
        ('rdnss = ["ff02::fb"]', "rdnss[0]", "IPv6 address of a DNS server"),
        ('dnssl = ["a..b"]', "dnssl[0]", "a domain name"),
        (f'dnssl = ["{"a" * 64}"]', "dnssl[0]", "a domain name"),
        (f"dnssl = {['a' * 63 + '.' + 'b' * 63] * 10}", "dnssl", "at most 1200 octets"),
        (f"routes = {[f'fd00:{number:x}::/64' for number in range(257)]}", "routes", "at most 256"),
        ("mtu = 1279", "mtu", "from 1280"),
        ('require = "both"', "require", '"any", "all"'),
        ('preference = "highest"', "preference", '"low", "medium", "high"'),
        ('name = "x"', "name", "section's heading"),
        ("lifetime = 1", "lifetime", "unknown key"),
    ],
)
def test_mistakes(line: str, key: str, part: str) -> None:
    found = problems(text(line))
    assert list(found) == [f"{KEY}.{key}"]
    assert part in found[f"{KEY}.{key}"]


def test_an_interface_has_a_name_that_the_kernel_takes() -> None:
    assert list(problems("[router_advertisements.a-name-that-is-too-long]")) == [
        "router_advertisements.a-name-that-is-too-long.name"
    ]


IPV6 = minimal(child='remote_ts = ["::/0"]\nlocal_ts = ["::/0"]')


@pytest.mark.parametrize(
    ("config", "key", "part"),
    [
        (minimal(child='remote_ts = "10.0.0.0/8"') + text(), KEY, "no connection has IPv6"),
        (IPV6 + text('connections = "b"'), f"{KEY}.connections[0]", "no connection has this name"),
        (
            minimal(child='remote_ts = "10.0.0.0/8"') + text('connections = "a"'),
            f"{KEY}.connections[0]",
            "never up",
        ),
        (IPV6 + "[router_advertisements.a]", "router_advertisements.a", "is the device of a"),
    ],
)
def test_what_is_hardly_meant(config: str, key: str, part: str) -> None:
    assert part in remarks(config)[key]


def test_nothing_is_remarkable_about_it() -> None:
    assert not [key for key in remarks(IPV6 + text()) if key.startswith("router")]


def test_another_configuration_changes_it_alone() -> None:
    old, new = good(EXAMPLE), good(EXAMPLE + text())
    change = difference(old, new)
    assert change and change.router_advertisements == {"vxeth0"}
    assert str(change) == "router advertisements of vxeth0 changed"
    assert change.config.router_advertisements == new.router_advertisements
    assert not difference(new, good(EXAMPLE + text()))
    assert Layers(new).merged().router_advertisements == new.router_advertisements
