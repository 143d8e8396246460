"""Writes pcapng files of datagrams that were seen, with their keys as the section's comment.

draft-ietf-opsawg-pcapng 4. IP and UDP headers are made anew (RFC 791, RFC 8200, RFC 768): link type RAW.
`ikepy decode` finds the keys in the comment; Wireshark shows it with the file's properties.
"""

from __future__ import annotations

import struct
from collections.abc import Iterable
from typing import BinaryIO

from ikepy.dissect.datagrams import UDP, Datagram
from ikepy.dissect.keyfile import lines_of
from ikepy.dissect.keys import Keys

RAW = 101  # LINKTYPE
_NANOSECONDS = 9
MAX_COMMENT = 0xFFFF  # octets of an option


def write(stream: BinaryIO, datagrams: Iterable[Datagram], keys: Keys | None = None) -> None:
    """A whole file. Keys that don't fit one comment go into several."""
    options = b"".join(_option(1, one.encode()) for one in _comments(keys))
    stream.write(_block(0x0A0D0D0A, struct.pack("<IHHq", 0x1A2B3C4D, 1, 0, -1), options))
    resolution = _option(9, bytes([_NANOSECONDS]))
    stream.write(_block(1, struct.pack("<HHI", RAW, 0, 0), resolution))
    for datagram in datagrams:
        packet = ip_packet(datagram)
        ticks = round(datagram.time_s * 10**_NANOSECONDS)
        head = struct.pack("<IIIII", 0, ticks >> 32, ticks & 0xFFFFFFFF, len(packet), len(packet))
        stream.write(_block(6, head + packet + bytes(-len(packet) % 4)))


def ip_packet(datagram: Datagram) -> bytes:
    """The datagram with IP and UDP headers as they may have been."""
    payload = datagram.payload
    source, destination = datagram.source.address.packed, datagram.destination.address.packed
    if datagram.protocol == UDP:
        ports = struct.pack("!HH", datagram.source.port, datagram.destination.port)
        length = struct.pack("!H", 8 + len(payload))
        pseudo = source + destination + struct.pack("!II", 8 + len(payload), UDP)
        checksum = _checksum(pseudo + ports + length + payload)
        payload = ports + length + (b"\xff\xff" if checksum == bytes(2) else checksum) + payload
    if len(source) == 16:
        return (
            struct.pack("!IHBB", 6 << 28, len(payload), datagram.protocol, 64)
            + source
            + destination
            + payload
        )
    head = struct.pack("!BBHHHBB", 0x45, 0, 20 + len(payload), 0, 0, 64, datagram.protocol)
    checksum = _checksum(head + source + destination)
    return head + checksum + source + destination + payload


def _checksum(data: bytes) -> bytes:
    """RFC 1071."""
    padded = data + bytes(len(data) % 2)
    return ((0xFFFF - int.from_bytes(padded, "big") % 0xFFFF) % 0xFFFF).to_bytes(2, "big")


def _comments(keys: Keys | None) -> list[str]:
    found: list[str] = []
    for line in () if keys is None else lines_of(keys):
        if not found or len(found[-1]) + len(line) >= MAX_COMMENT:
            found.append("")
        found[-1] += f"{line}\n"
    return found


def _option(code: int, value: bytes) -> bytes:
    return struct.pack("<HH", code, len(value)) + value + bytes(-len(value) % 4)


def _block(type: int, body: bytes, options: bytes = b"") -> bytes:
    if options:
        body += options + bytes(4)
    size = struct.pack("<I", 12 + len(body))
    return struct.pack("<I", type) + size + body + size
