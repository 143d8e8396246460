"""NAT detection hashes against the standard library's SHA-1 (RFC 7296 2.23)."""

import hashlib
from ipaddress import IPv4Address, IPv6Address

import pytest

from ikepy.crypto.nat import nat_detection_hash

SPI_I, SPI_R = bytes(range(8)), bytes(8)


@pytest.mark.parametrize(
    ("address", "port", "packed"),
    [
        (IPv4Address("192.0.2.1"), 500, "c000020101f4"),
        (IPv4Address("192.0.2.1"), 4500, "c00002011194"),
        (IPv6Address("2001:db8::1"), 65535, "20010db8000000000000000000000001ffff"),
        (IPv4Address("0.0.0.0"), 0, "000000000000"),
    ],
)
def test_hash(address: IPv4Address | IPv6Address, port: int, packed: str) -> None:
    expected = hashlib.sha1(SPI_I + SPI_R + bytes.fromhex(packed)).digest()
    assert nat_detection_hash(SPI_I, SPI_R, address, port) == expected
