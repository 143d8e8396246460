"""ICMP echo messages: RFC 792 (page 14) for IPv4, RFC 4443 4.1 and 4.2 for IPv6."""

from __future__ import annotations

import struct
from typing import NamedTuple

HEADER = struct.Struct(">BBHHH")  # type, code, checksum, identifier, sequence number
REQUEST = {4: 8, 6: 128}
REPLY = {4: 0, 6: 129}
IDENTIFIERS = 1 << 16
IP_HEADER = {4: 20, 6: 40}  # octets, without options
LEAST = {version: octets + HEADER.size for version, octets in IP_HEADER.items()}  # octets of a whole packet


class Reply(NamedTuple):
    """An echo reply. `size`: octets of the whole IP packet."""

    identifier: int
    sequence: int
    size: int


def request(version: int, identifier: int, sequence: int, size: int) -> bytes:
    """An echo request that makes an IP packet of `size` octets (at least LEAST); both numbers have 16 bits.

    The kernel computes ICMPv6's checksum, which covers the IPv6 header (RFC 3542 3.1).
    """
    if size < LEAST[version]:
        raise ValueError(f"{size} octets are less than an echo request has")
    data = bytes(size - LEAST[version])
    empty = HEADER.pack(REQUEST[version], 0, 0, identifier, sequence) + data
    if version == 6:
        return empty
    return HEADER.pack(REQUEST[version], 0, checksum(empty), identifier, sequence) + data


def reply(version: int, start: bytes, size: int) -> Reply | None:
    """The reply that a raw socket received; None if it is anything else.

    `start`: at least its first 68 octets, with the IP header if it is IPv4 (raw(7)); `size`: octets in all.
    """
    header = 0
    if version == 4:
        if not start or start[0] >> 4 != 4:
            return None
        header = (start[0] & 15) * 4
    if len(start) < header + HEADER.size or (version == 4 and header < IP_HEADER[4]):
        return None
    kind, code, _, identifier, sequence = HEADER.unpack_from(start, header)
    if kind != REPLY[version] or code:
        return None
    return Reply(identifier, sequence, size if version == 4 else size + IP_HEADER[6])


def checksum(data: bytes) -> int:
    """The one's complement of the one's complement sum of the 16-bit words (RFC 1071)."""
    padded = data if len(data) % 2 == 0 else data + b"\0"
    total: int = sum(struct.unpack(f">{len(padded) // 2}H", padded))
    while total >> 16:
        total = (total & 0xFFFF) + (total >> 16)
    return ~total & 0xFFFF
