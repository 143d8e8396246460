"""The hash that shows whether a NAT changed an address or port on the way (RFC 7296 2.23)."""

from hashlib import sha1
from ipaddress import IPv4Address, IPv6Address


def nat_detection_hash(spi_i: bytes, spi_r: bytes, address: IPv4Address | IPv6Address, port: int) -> bytes:
    """Data of NAT_DETECTION_SOURCE_IP and NAT_DETECTION_DESTINATION_IP: SHA-1, 20 bytes.

    SPIs as in the IKE header (8 bytes each, `spi_r` zero in the first request); `port` 0..65535.
    """
    covered = spi_i + spi_r + address.packed + port.to_bytes(2, "big")
    return sha1(covered, usedforsecurity=False).digest()
