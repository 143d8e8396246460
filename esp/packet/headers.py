"""Reads IP headers: lengths, and the fields that selectors match (RFC 791, RFC 8200, RFC 4301 4.4.1.1)."""

from __future__ import annotations

from ipaddress import IPv4Address, IPv6Address
from typing import NamedTuple

from esp.packet.selectors import NEAR_FRAGMENT, Selector

Buffer = bytes | bytearray | memoryview

IPV4_HEADER, IPV6_HEADER = 20, 40
IPV4_NO_OPTIONS = 0x45  # the first octet of IPv4 without options
NEXT_HEADER = {4: 4, 6: 41}  # IP version -> ESP's next header in tunnel mode

_WITH_PORTS = frozenset({6, 17, 33, 132, 136})  # TCP, UDP, DCCP, SCTP, UDP-Lite
_ICMP = frozenset({1, 58})
_IGMP = 2
_ICMPV6 = 58
_USUAL_IPV6 = frozenset({6, 17, _ICMPV6})  # protocols whose ports stand directly behind the IPv6 header
_LINK_TYPES = frozenset({130, 131, 132, *range(133, 138), 143})  # MLD (RFC 2710, 3810), ND (RFC 4861)
_MOBILITY = 135
_FRAGMENT = 44
# In units of 8 octets: where later fragments of IPv4 begin that can't overlap the first one's ports (RFC 4301
# 7.2; appendix D.3 has "say, 128 or greater")
_MIN_FRAGMENT_OFFSET = 128 // 8
_AUTHENTICATION = 51
_EXTENSIONS = frozenset({0, 43, 60, 135, 139, 140})  # lengths in units of 8 octets, less one
_MAX_EXTENSIONS = 8


class Flow(NamedTuple):
    """The header fields that selectors match. Protocol and ports are None where they cannot be seen (later
    fragments, unknown extension headers); ports are NEAR_FRAGMENT in later fragments that begin too near.

    As RFC 7296 3.13.1 has it, type and code of ICMP stand for the port on both sides, so does the type of a
    Mobile IPv6 message.
    """

    version: int
    source: int
    destination: int
    protocol: int | None
    source_port: int | None
    destination_port: int | None

    @property
    def remote(self) -> IPv4Address | IPv6Address:
        """The destination."""
        return IPv4Address(self.destination) if self.version == 4 else IPv6Address(self.destination)

    @property
    def on_link_only(self) -> bool:
        """Whether it is link-scope control traffic: IGMP, MLD, neighbour discovery."""
        type_and_code = self.source_port or 0
        return self.protocol == _IGMP or (self.protocol == _ICMPV6 and type_and_code >> 8 in _LINK_TYPES)

    def selectors(self) -> tuple[Selector, Selector]:
        """The narrowest selectors that match its source and its destination; fields that cannot be seen are
        not restricted."""
        protocol = self.protocol or 0
        return (
            _narrowest(self.version, self.source, protocol, self.source_port),
            _narrowest(self.version, self.destination, protocol, self.destination_port),
        )


def _narrowest(version: int, address: int, protocol: int, port: int | None) -> Selector:
    ports = (0, 65535) if port is None or port == NEAR_FRAGMENT else (port, port)
    return Selector(version, address, address, protocol, *ports)


def ip_length(packet: Buffer) -> int | None:
    """The length that the IP header claims; None if this is no IP packet or is truncated."""
    available = len(packet)
    version = packet[0] >> 4 if available else 0
    if version == 4 and available >= IPV4_HEADER:
        header = (packet[0] & 0x0F) * 4
        length = packet[2] << 8 | packet[3]
        return length if IPV4_HEADER <= header <= length <= available else None
    if version == 6 and available >= IPV6_HEADER:
        length = IPV6_HEADER + (packet[4] << 8 | packet[5])
        return length if length <= available else None
    return None


def tos_of(packet: Buffer) -> int:
    """The TOS octet or traffic class of a whole IP packet: DSCP and ECN field."""
    return packet[1] if packet[0] >> 4 == 4 else (packet[0] & 0x0F) << 4 | packet[1] >> 4


def address_key(packet: Buffer) -> bytes:
    """Source and destination address of a whole IP packet, as octets: 8 for IPv4, 32 for IPv6."""
    return bytes(packet[12:20] if packet[0] >> 4 == 4 else packet[8:40])


def flow_key(packet: Buffer) -> bytes | None:
    """Protocol, addresses and ports of a whole IP packet, as octets: packets of one key must stay in order.
    None if they can't be read at fixed offsets (options, fragments, extension headers)."""
    if packet[0] == IPV4_NO_OPTIONS:
        fragment = packet[6] & 0x3F or packet[7]
        return None if fragment else bytes(packet[9:10]) + bytes(packet[12 : IPV4_HEADER + 4])
    if packet[0] >> 4 == 6 and packet[6] in _USUAL_IPV6:
        return bytes(packet[6:7]) + bytes(packet[8 : IPV6_HEADER + 4])
    return None


def flow_of(packet: Buffer) -> Flow:
    """The fields that selectors match, of a packet that `ip_length` found whole."""
    if packet[0] >> 4 == 4:
        source, destination = int.from_bytes(packet[12:16], "big"), int.from_bytes(packet[16:20], "big")
        fragment = (packet[6] << 8 | packet[7]) & 0x1FFF
        ports = _unseen(fragment) if fragment else _ports(packet, packet[9], (packet[0] & 0x0F) * 4)
        return Flow(4, source, destination, packet[9], *ports)
    source, destination = int.from_bytes(packet[8:24], "big"), int.from_bytes(packet[24:40], "big")
    protocol, offset = _upper_layer(packet)
    ports = (None, None) if protocol is None or offset is None else _ports(packet, protocol, offset)
    return Flow(6, source, destination, protocol, *ports)


def _unseen(offset: int) -> tuple[int | None, int | None]:
    """The ports of a later fragment of IPv4; `offset`: in units of 8 octets."""
    return (None, None) if offset >= _MIN_FRAGMENT_OFFSET else (NEAR_FRAGMENT, NEAR_FRAGMENT)


def _ports(packet: Buffer, protocol: int, offset: int) -> tuple[int | None, int | None]:
    head = bytes(packet[offset : offset + 4])
    if len(head) < 4:
        return None, None
    if protocol in _WITH_PORTS:
        return head[0] << 8 | head[1], head[2] << 8 | head[3]
    if protocol in _ICMP:
        return head[0] << 8 | head[1], head[0] << 8 | head[1]
    if protocol == _MOBILITY:
        return head[2] << 8, head[2] << 8
    return None, None


def _upper_layer(packet: Buffer) -> tuple[int | None, int | None]:
    """The protocol behind IPv6's extension headers and its offset; None where they cannot be seen."""
    protocol, offset = packet[6], IPV6_HEADER
    for _ in range(_MAX_EXTENSIONS):
        if protocol not in _EXTENSIONS and protocol not in (_FRAGMENT, _AUTHENTICATION):
            return protocol, offset
        if protocol == _MOBILITY:
            return protocol, offset
        if offset + 8 > len(packet):
            return None, None
        following = packet[offset]
        if protocol == _FRAGMENT:
            if (packet[offset + 2] << 8 | packet[offset + 3]) >> 3:
                # A later fragment: what follows is no header.
                return (None if following in _EXTENSIONS else following), None
            offset += 8
        elif protocol == _AUTHENTICATION:
            offset += (packet[offset + 1] + 2) * 4
        else:
            offset += (packet[offset + 1] + 1) * 8
        protocol = following
    return None, None
