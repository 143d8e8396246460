"""Frames of segmentation offload as the kernel hands them over, and a plain splitter to compare with.

The splitter knows nothing of `tun`: one packet after the other, one octet after the other.
"""

from __future__ import annotations

import struct
from collections.abc import Iterator
from dataclasses import dataclass, field
from ipaddress import IPv4Address, IPv6Address

TCP, UDP = 6, 17
FIN, SYN, RST, PSH, ACK, URG, ECE, CWR = (1 << bit for bit in range(8))
NONE, TCPV4, TCPV6, UDP_L4 = 0, 1, 4, 5
_ADDRESSES = {
    4: IPv4Address("10.1.0.1").packed + IPv4Address("10.2.0.1").packed,
    6: IPv6Address("fd01::1").packed + IPv6Address("fd02::1").packed,
}


def checksum(data: bytes) -> int:
    """RFC 1071, as it stands there."""
    total = 0
    for at in range(0, len(data), 2):
        total += int.from_bytes(data[at : at + 2].ljust(2, b"\0"), "big")
        total = (total & 0xFFFF) + (total >> 16)
    return ~total & 0xFFFF


@dataclass(frozen=True)
class Flow:
    """Where packets go and what their headers have in common."""

    version: int = 4
    protocol: int = TCP
    ports: tuple[int, int] = (40000, 5201)
    tos: int = 0
    ttl: int = 64
    tcp_options: bytes = b""  # whole words
    ip_options: bytes = b""  # whole words, IPv4 only
    window: int = 501
    acknowledged: int = 7
    addresses: bytes = b""  # source and destination, if they are not the usual ones

    def both_addresses(self) -> bytes:
        return self.addresses or _ADDRESSES[self.version]


@dataclass(frozen=True)
class Packet:
    """One TCP segment or UDP datagram. `spoil`: what is added to the upper checksum."""

    flow: Flow = field(default_factory=Flow)
    payload: bytes = b""
    sequence: int = 1000
    flags: int = ACK
    identification: int = 1
    spoil: int = 0

    def upper(self) -> bytes:
        """TCP's or UDP's header without a checksum."""
        flow = self.flow
        if flow.protocol == UDP:
            return struct.pack("!HHHH", *flow.ports, 8 + len(self.payload) & 0xFFFF, 0)
        words = 5 + len(flow.tcp_options) // 4
        fixed = struct.pack(
            "!HHIIBBHHH",
            *flow.ports,
            self.sequence & 0xFFFFFFFF,
            flow.acknowledged,
            words << 4,
            self.flags,
            flow.window,
            0,
            0,
        )
        return fixed + flow.tcp_options

    @property
    def l4(self) -> int:
        return 40 if self.flow.version == 6 else 20 + len(self.flow.ip_options)

    @property
    def headers(self) -> int:
        return self.l4 + len(self.upper())

    def ip(self) -> bytes:
        flow, length = self.flow, len(self.upper()) + len(self.payload)
        if flow.version == 6:
            first = struct.pack("!IHBB", 6 << 28 | flow.tos << 20 | 0x12345, length, flow.protocol, flow.ttl)
            return first + flow.both_addresses()
        first = struct.pack(
            "!BBHHHBBH",
            0x40 | self.l4 // 4,
            flow.tos,
            (self.l4 + length) & 0xFFFF,
            self.identification & 0xFFFF,
            0x4000,
            flow.ttl,
            flow.protocol,
            0,
        )
        whole = first + flow.both_addresses() + flow.ip_options
        return whole[:10] + checksum(whole).to_bytes(2, "big") + whole[12:]

    def pseudo(self) -> bytes:
        length = len(self.upper()) + len(self.payload)
        return self.flow.both_addresses() + struct.pack("!II", length, self.flow.protocol)

    @property
    def field(self) -> int:
        """Where the upper checksum is."""
        return self.l4 + (16 if self.flow.protocol == TCP else 6)

    def with_checksum(self, value: int) -> bytes:
        plain = self.ip() + self.upper() + self.payload
        return plain[: self.field] + value.to_bytes(2, "big") + plain[self.field + 2 :]

    def octets(self) -> bytes:
        """The packet as it travels."""
        value = checksum(self.pseudo() + self.upper() + self.payload)
        if self.flow.protocol == UDP and value == 0:
            value = 0xFFFF
        return self.with_checksum((value + self.spoil) & 0xFFFF)

    def frame(self, gso: int) -> bytes:
        """The packet as the kernel's frame: header in front, checksum begun (0: no segmentation)."""
        kinds = {(4, TCP): TCPV4, (6, TCP): TCPV6, (4, UDP): UDP_L4, (6, UDP): UDP_L4}
        kind = kinds[self.flow.version, self.flow.protocol] if gso else NONE
        if gso and self.flow.protocol == TCP and self.flags & CWR:
            kind |= 0x80
        header = struct.pack(
            "=BBHHHH", 1, kind, self.headers if gso else 0, gso, self.l4, self.field - self.l4
        )
        return header + self.with_checksum(checksum(self.pseudo()) ^ 0xFFFF)

    def split(self, gso: int) -> Iterator[Packet]:
        """The packets that the kernel would make of it."""
        pieces = [self.payload[at : at + gso] for at in range(0, len(self.payload), gso)]
        for number, piece in enumerate(pieces):
            flags = self.flags
            if number:
                flags &= ~CWR
            if number < len(pieces) - 1:
                flags &= ~(FIN | PSH)
            at = self.sequence + number * gso
            yield Packet(self.flow, piece, at, flags, self.identification + number)


def separate(frame: bytes) -> list[bytes]:
    """What a frame written to a TUN device is on the wire: the kernel's segmentation, done by hand."""
    flags, kind, headers, gso, l4, offset = struct.unpack("=BBHHHH", frame[:10])
    packet = frame[10:]
    if kind == NONE:
        assert flags == 0
        return [packet]
    assert flags == 1
    version, protocol = packet[0] >> 4, TCP if kind & 0x7F in (TCPV4, TCPV6) else UDP
    assert kind == {(4, TCP): TCPV4, (6, TCP): TCPV6}.get((version, protocol), UDP_L4)
    assert offset == (16 if protocol == TCP else 6)
    assert headers == l4 + ((packet[l4 + 12] >> 4) * 4 if protocol == TCP else 8)
    claimed = int.from_bytes(packet[2:4], "big") if version == 4 else 40 + int.from_bytes(packet[4:6], "big")
    assert claimed == len(packet)
    addresses = packet[12:20] if version == 4 else packet[8:40]
    begun = checksum(addresses + struct.pack("!II", len(packet) - l4, protocol)) ^ 0xFFFF
    assert int.from_bytes(packet[l4 + offset : l4 + offset + 2], "big") == begun
    if version == 4:
        assert checksum(packet[:l4]) == 0
    pieces = [packet[at : at + gso] for at in range(headers, len(packet), gso)]
    assert len(pieces) > 1
    return [
        _piece(packet, piece, number, number == len(pieces) - 1, (l4, offset, headers, gso))
        for number, piece in enumerate(pieces)
    ]


def _piece(
    packet: bytes, payload: bytes, number: int, last: bool, layout: tuple[int, int, int, int]
) -> bytes:
    l4, offset, headers, gso = layout
    head = bytearray(packet[:headers])
    length = headers - l4 + len(payload)
    if head[0] >> 4 == 4:
        head[2:4] = (l4 + length).to_bytes(2, "big")
        head[4:6] = (int.from_bytes(head[4:6], "big") + number & 0xFFFF).to_bytes(2, "big")
        head[10:12] = bytes(2)
        head[10:12] = checksum(bytes(head[:l4])).to_bytes(2, "big")
        addresses = bytes(head[12:20])
    else:
        head[4:6] = length.to_bytes(2, "big")
        addresses = bytes(head[8:40])
    protocol = TCP if offset == 16 else UDP
    if protocol == TCP:
        sequence = int.from_bytes(head[l4 + 4 : l4 + 8], "big") + number * gso
        head[l4 + 4 : l4 + 8] = (sequence & 0xFFFFFFFF).to_bytes(4, "big")
        head[l4 + 13] &= ~((CWR if number else 0) | (0 if last else FIN | PSH))
    else:
        head[l4 + 4 : l4 + 6] = length.to_bytes(2, "big")
    head[l4 + offset : l4 + offset + 2] = bytes(2)
    value = checksum(addresses + struct.pack("!II", length, protocol) + bytes(head[l4:]) + payload)
    if protocol == UDP and value == 0:
        value = 0xFFFF
    head[l4 + offset : l4 + offset + 2] = value.to_bytes(2, "big")
    return bytes(head) + payload
