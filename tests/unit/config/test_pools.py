"""Pools and virtual addresses as they are configured: TOML, swanctl.conf, ipsec.conf; mistakes in words."""

from __future__ import annotations

from ipaddress import ip_address
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ikepy.config.model import Config, Pool
from ikepy.config.pools import AddressRange
from ikepy.config.sources import ipsec, swanctl
from ikepy.config.toml_source import parse
from ikepy.errors import ConfigError
from ikepy.wire.payloads import Attribute

CONNECTION = """
[connections.a]
{extra}
[connections.a.children.net]
[secrets.ike]
secret = "LzU0vX3nRkq9TfWm7cYh"
"""
POOL = '[pools.users]\naddrs = "10.3.0.0/24"\n'


def config(pool: str = POOL, extra: str = "") -> Config:
    return parse(CONNECTION.format(extra=extra) + pool)


def problem(pool: str = POOL, extra: str = "") -> tuple[str, str]:
    """The only mistake: its key and text."""
    with pytest.raises(ConfigError) as caught:
        config(pool, extra)
    (found,) = caught.value.problems
    return found


def told(pool: str) -> list[Attribute]:
    return list(config(POOL + pool).pools["users"].told)


@pytest.mark.parametrize(
    ("text", "first", "last"),
    [
        ("10.3.0.0/24", "10.3.0.1", "10.3.0.254"),
        ("10.3.0.7/24", "10.3.0.7", "10.3.0.254"),
        ("10.3.0.0/31", "10.3.0.0", "10.3.0.1"),
        ("10.3.0.1/31", "10.3.0.1", "10.3.0.1"),
        ("10.3.0.1/32", "10.3.0.1", "10.3.0.1"),
        ("10.3.0.1", "10.3.0.1", "10.3.0.1"),
        (" 10.3.0.5 - 10.3.0.9 ", "10.3.0.5", "10.3.0.9"),
        ("fd00::/120", "fd00::1", "fd00::fe"),
        ("fd00::/64", "fd00::1", "fd00::7fff:fffe"),
    ],
)
def test_addresses(text: str, first: str, last: str) -> None:
    found = AddressRange.parse(text)
    assert (found.first, found.last) == (ip_address(first), ip_address(last))
    assert found.first in found and found.last in found
    assert found.size == int(found.last) - int(found.first) + 1


@pytest.mark.parametrize(
    "text",
    ["", "x", "10.3.0.0/33", "10.3.0.9-10.3.0.5", "10.3.0.1-fd00::1", "fd00::-fd01::", "10.3.0.255/24"],
)
def test_what_are_none(text: str) -> None:
    assert problem(f'[pools.users]\naddrs = "{text}"\n')[0] == "pools.users.addrs"


@given(st.text(max_size=20))
def test_any_text(text: str) -> None:
    try:
        found = AddressRange.parse(text)
    except ValueError as error:
        assert "allowed" in str(error)
    else:
        assert 1 <= found.size <= 2**31


def test_attributes() -> None:
    assert told('dns = "10.8.0.53, fd08::53"') == [
        Attribute(3, ip_address("10.8.0.53").packed),
        Attribute(10, ip_address("fd08::53").packed),
    ]
    assert told('netmask = ["255.255.255.0"]') == [Attribute(2, b"\xff\xff\xff\0")]
    assert told('nbns = ["10.8.0.1"]\ndhcp = ["10.8.0.2"]\nserver = ["10.8.0.3"]') == [
        Attribute(6, bytes([10, 8, 0, 2])),
        Attribute(23456, bytes([10, 8, 0, 3])),
        Attribute(4, bytes([10, 8, 0, 1])),
    ]
    assert told('subnet = ["10.8.0.1/16", "fd08::/32"]') == [
        Attribute(13, bytes.fromhex("0a080000 ffff0000")),
        Attribute(15, ip_address("fd08::").packed + b"\x20"),
    ]
    assert told('split_include = ["10.8.0.0/16"]\nsplit_exclude = ["10.9.0.0/16"]') == [
        Attribute(28676, bytes.fromhex("0a080000 ffff0000 000000000000")),
        Attribute(28678, bytes.fromhex("0a090000 ffff0000 000000000000")),
    ]
    assert told('domains = ["Example.ORG."]') == [Attribute(25, b"example.org")]


def test_encrypted_dns() -> None:
    value = b"\0\1\1\x0f" + bytes([10, 8, 0, 53]) + b"dns.example.org"
    parameters = b"\0\1\0\6\2h2\2h3" + b"\0\3\0\2\x21\x5b" + b"\0\7\0\x10/dns-query{?dns}"
    text = "dns.example.org 10.8.0.53 alpn=h2 alpn=h3 port=8539 dohpath=/dns-query{?dns}"
    assert told(f'encrypted_dns = ["{text}"]') == [Attribute(27, value + parameters)]
    assert told('encrypted_dns = ["d.example fd08::53 fd08::54"]')[0].type == 28


def test_numbers_stand_for_what_has_no_name() -> None:
    found = [Attribute(25, b"a.example"), Attribute(25, b"b.example"), Attribute(20, bytes([10, 8, 0, 1]))]
    assert told('25 = ["a.example", "b.example"]\n20 = "10.8.0.1"') == found
    assert told('[pools.users.attributes]\n25 = "a.example, b.example"\n20 = ["0x0a080001"]') == found
    assert told("13 = ['10.8.0.0/16']") == [Attribute(13, bytes.fromhex("0a080000 ffff0000"))]


@pytest.mark.parametrize(
    ("line", "key"),
    [
        ("dns = ['x']", "dns[0]"),
        ("dns = ['10.0.0.1', '']", "dns[1]"),
        ("nbns = ['fd00::1']", "nbns[0]"),
        ("netmask = ['255.0.255.0']", "netmask[0]"),
        ("subnet = ['10.8.0.0/40']", "subnet[0]"),
        ("split_include = ['fd08::/32']", "split_include[0]"),
        ("domains = ['not a domain']", "domains[0]"),
        ("domains = ['a\\u0000b']", "domains[0]"),
        ("encrypted_dns = ['dns.example.org']", "encrypted_dns[0]"),
        ("encrypted_dns = ['dns.example.org 10.8.0.1 fd00::1']", "encrypted_dns[0]"),
        ("encrypted_dns = ['dns.example.org 10.8.0.1 port=0']", "encrypted_dns[0]"),
        ("encrypted_dns = ['dns.example.org 10.8.0.1 color=red']", "encrypted_dns[0]"),
        ("0 = ['x']", "attributes"),
        ("32768 = ['x']", "attributes"),
        ("attributes = 'x'", "attributes"),
        (f"25 = ['{'x' * 600}']", "attributes"),
        (f"dns = {['10.0.0.1'] * 33}", "dns"),
        ("dnss = ['10.0.0.1']", "dnss"),
    ],
)
def test_mistakes(line: str, key: str) -> None:
    assert problem(POOL + line.replace("\\u0000", "_ ") + "\n")[0] == f"pools.users.{key}"


def test_a_pool_has_to_have_addresses() -> None:
    assert problem("[pools.users]\n") == ("pools.users.addrs", "is missing")


def test_connections_name_pools() -> None:
    assert config(extra='pools = ["users"]').connections["a"].pools == ("users",)
    key, text = problem(extra='pools = ["user"]')
    assert key == "connections.a.pools[0]"
    assert "there is no such pool" in text


def test_nobody_asks_where_he_gives() -> None:
    assert problem(extra='pools = ["users"]\nvips = ["0.0.0.0"]')[0] == "connections.a.vips"


def test_the_family_of_dynamic_is_the_pools() -> None:
    """An IPv6 pool over IPv4 is no mistake where the networks are IPv6."""
    text = CONNECTION.format(extra='pools = ["six"]\nlocal_addrs = ["192.0.2.1"]')
    text = text.replace("[secrets", 'local_ts = ["fd08::/32"]\n[secrets')
    assert parse(text + '[pools.six]\naddrs = "fd03::/64"\n').pools["six"].addrs.version == 6


SWANCTL = """
connections {
  users {
    pools = four, six
    local { auth = psk }
    remote { auth = psk }
    children { net { local_ts = 10.8.0.0/16 } }
  }
  office {
    remote_addrs = 192.0.2.9
    vips = 0.0.0.0, ::
    local { auth = psk }
    remote { auth = psk }
    children { net { remote_ts = 10.8.0.0/16 } }
  }
}
pools {
  four {
    addrs = 10.3.0.0/24
    dns = 10.8.0.53, fd08::53
    split_include = 10.8.0.0/16
    25 = example.org, example.net
  }
  six { addrs = fd03::/64 }
}
secrets { ike { secret = LzU0vX3nRkq9TfWm7cYh } }
"""


def test_swanctl_conf() -> None:
    found = swanctl.draft(Path("swanctl.conf"), SWANCTL).read().config
    assert found.connections["users"].pools == ("four", "six")
    assert found.connections["office"].vips == (ip_address("0.0.0.0"), ip_address("::"))
    four: Pool = found.pools["four"]
    assert four.dns == (ip_address("10.8.0.53"), ip_address("fd08::53"))
    assert four.attributes == (Attribute(25, b"example.org"), Attribute(25, b"example.net"))
    with pytest.raises(ConfigError) as caught:
        swanctl.draft(Path("swanctl.conf"), SWANCTL.replace("10.3.0.0/24", "10.3.0.0/99")).read()
    assert "swanctl.conf:19: pools.four.addrs" in str(caught.value)


IPSEC = """
conn %default
    authby=psk
    auto=add
conn users
    rightsourceip=10.3.0.0/24,fd03::/64
    rightdns=10.8.0.53
    leftsubnet=10.8.0.0/16
conn more
    rightsourceip=10.3.0.0/24
    rightdns=10.8.0.53
    leftsubnet=10.8.0.0/16
    rightid=somebody
conn office
    right=192.0.2.9
    rightsubnet=10.8.0.0/16
    leftsourceip=%config,%config6
"""


def test_ipsec_conf(tmp_path: Path) -> None:
    (tmp_path / "ipsec.secrets").write_text(': PSK "LzU0vX3nRkq9TfWm7cYh"\n')
    (tmp_path / "ipsec.conf").write_text(IPSEC)
    found = ipsec.draft(tmp_path / "ipsec.conf", IPSEC).read().config
    assert found.connections["users"].pools == ("10.3.0.0-24", "fd03::-64")
    assert found.connections["more"].pools == ("10.3.0.0-24",)
    assert found.connections["office"].vips == (ip_address("0.0.0.0"), ip_address("::"))
    assert found.pools["10.3.0.0-24"].addrs == AddressRange.parse("10.3.0.0/24")
    assert found.pools["fd03::-64"].dns == (ip_address("10.8.0.53"),)
    with pytest.raises(ConfigError) as caught:
        ipsec.draft(tmp_path / "ipsec.conf", IPSEC.replace("=10.3.0.0/24,", "=%dhcp,")).read()
    assert "conn users.rightsourceip" in str(caught.value)


@pytest.mark.parametrize(("others", "key"), [("rightdns=10.8.0.54", "rightdns"), ("# none", "rightsourceip")])
def test_conns_that_share_addresses_share_name_servers(tmp_path: Path, others: str, key: str) -> None:
    """A pool of ours tells the same to all: charon tells each conn's clients its own."""
    (tmp_path / "ipsec.secrets").write_text(': PSK "LzU0vX3nRkq9TfWm7cYh"\n')
    first, more, second = IPSEC.partition("conn more")
    text = first + more + second.replace("rightdns=10.8.0.53", others)
    with pytest.raises(ConfigError) as caught:
        ipsec.draft(tmp_path / "ipsec.conf", text).read()
    told = str(caught.value)
    assert (
        f"conn more.{key}: conn users.rightdns ({tmp_path / 'ipsec.conf'}:7) has the same addresses" in told
    )
    ipsec.draft(tmp_path / "ipsec.conf", text.replace("10.3.0.0/24\n", "10.4.0.0/24\n")).read()
