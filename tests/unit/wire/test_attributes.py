"""Values of configuration attributes: bytes as the RFCs draw them, and what is none (RFC 7296 3.15.1)."""

from __future__ import annotations

from collections.abc import Callable
from ipaddress import IPv4Network, ip_address, ip_network

import pytest

from ikepy.errors import LocalMisuse, WireError
from ikepy.wire import attributes
from ikepy.wire.attributes import EncryptedDns
from ikepy.wire.constants import ConfigAttribute
from ikepy.wire.payloads import Attribute

A, SIX = ip_address("10.3.0.7"), ip_address("2001:db8::7")


def test_addresses() -> None:
    assert attributes.of_internal_address(A) == Attribute(1, b"\x0a\x03\0\x07")
    assert attributes.of_internal_address(SIX) == Attribute(8, SIX.packed + b"\x80")
    assert attributes.of_address(attributes.DNS, A) == Attribute(3, A.packed)
    assert attributes.of_address(attributes.DNS, SIX) == Attribute(10, SIX.packed)
    assert attributes.read_internal_address(A.packed) == A
    assert attributes.read_internal_address(SIX.packed + b"\x40") == SIX
    assert attributes.read_internal_address(SIX.packed) == SIX  # without prefix length, as some clients do


def test_subnets() -> None:
    four, six = IPv4Network("10.8.0.0/14"), ip_network("2001:db8:8::/48")
    assert attributes.of_subnet(four) == Attribute(13, bytes.fromhex("0a080000 fffc0000"))
    assert attributes.of_subnet(six) == Attribute(15, six.network_address.packed + b"\x30")
    assert attributes.read_subnet(bytes.fromhex("0a080001 fffc0000")) == four  # host bits are ignored
    assert attributes.read_netmask(four.netmask.packed) == 14
    unity = attributes.of_unity_network(ConfigAttribute.UNITY_SPLIT_INCLUDE, four)
    assert unity == Attribute(28676, bytes.fromhex("0a080000 fffc0000 000000000000"))
    assert attributes.read_unity_networks(unity.value * 2) == (four, four)
    assert attributes.read_unity_networks(unity.value[:8]) == (four,)


def test_names() -> None:
    assert attributes.of_domain("example.com") == Attribute(25, b"example.com")
    assert attributes.read_domain(b"Example.COM.") == "example.com"
    with pytest.raises(LocalMisuse):
        attributes.of_domain("exam ple")


def test_encrypted_dns() -> None:
    alpn = (1, b"\3dot")
    one = EncryptedDns(4, 1, (A,), "doh1.example.com", (alpn,))
    value = b"\0\1\1\x10" + A.packed + b"doh1.example.com" + b"\0\1\0\4\3dot"
    assert one.attribute() == Attribute(27, value)
    assert EncryptedDns.read(4, value) == one
    alias = EncryptedDns(6, 0, (), "dns.example.com")
    assert alias.attribute() == Attribute(28, b"\0\0\0\x0fdns.example.com")
    with pytest.raises(LocalMisuse):
        EncryptedDns(4, 1, (SIX,), "dns.example.com").attribute()


def test_supported_attributes() -> None:
    ours = attributes.read_supported(attributes.of_supported().value)
    assert {1, 3, 8, 10, 13, 15, 25} <= set(ours)


@pytest.mark.parametrize("size", [0, 1, 3, 5, 15, 18])
def test_addresses_of_another_size(size: int) -> None:
    for read in (attributes.read_address, attributes.read_internal_address):
        with pytest.raises(WireError):
            read(bytes(size))


def read_ip4_resolver(value: bytes) -> EncryptedDns:
    return EncryptedDns.read(4, value)


@pytest.mark.parametrize(
    ("read", "value"),
    [
        (attributes.read_internal_address, SIX.packed + b"\x81"),
        (attributes.read_subnet, SIX.packed + b"\x81"),
        (attributes.read_subnet, bytes.fromhex("0a080000 ff00ff00")),
        (attributes.read_subnet, bytes(7)),
        (attributes.read_unity_networks, bytes(9)),
        (attributes.read_netmask, bytes.fromhex("ff00ff00")),
        (attributes.read_netmask, bytes(3)),
        (attributes.read_domain, b""),
        (attributes.read_domain, b"a\0.example"),
        (attributes.read_domain, b"a" * 300),
        (attributes.read_domain, b"\xff.example"),
        (attributes.read_domain, b"example.com\nnameserver 192.0.2.1"),
        (attributes.read_supported, bytes(3)),
        (read_ip4_resolver, b"\0\1\xff\0"),
        (read_ip4_resolver, b"\0\1\0\xffa"),
        (read_ip4_resolver, b"\0\1\0\0"),
        (read_ip4_resolver, b"\0\1\0\1a\0\1\0\0\0\1\0\0"),  # a key twice
        (read_ip4_resolver, b"\0\1\0\1a\0\1\0\5"),
    ],
)
def test_what_is_no_value(read: Callable[[bytes], object], value: bytes) -> None:
    with pytest.raises(WireError):
        read(value)
