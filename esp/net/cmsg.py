"""Ancillary data (cmsg(3)) of ESP's sockets: GSO and GRO segment sizes, TOS octets, local addresses.

RFC 3542 for IPv6, ip(7) and udp(7) for the rest.
"""

from __future__ import annotations

import socket
import struct
from functools import lru_cache
from ipaddress import IPv4Address, IPv6Address
from typing import NamedTuple

Address = IPv4Address | IPv6Address
AncillaryData = list[tuple[int, int, bytes]]

# Linux's numbers that `socket` has no name for
_SOL_UDP = 17
_UDP_SEGMENT, _UDP_GRO = 103, 104
_IP_TOS, _IP_PKTINFO, _IP_RECVTOS = 1, 8, 13
_IPV6_RECVTCLASS, _IPV6_TCLASS = 66, 67

_INT = struct.Struct("=i")
_U16 = struct.Struct("=H")
_IPV4_PKTINFO = struct.Struct("=I4s4s")  # interface, local address, header's destination
_IPV6_PKTINFO = struct.Struct("=16sI")
SPACE = 2 * socket.CMSG_SPACE(_INT.size) + socket.CMSG_SPACE(_IPV6_PKTINFO.size)

_SEGMENTS: dict[int, tuple[int, int, bytes]] = {
    size: (_SOL_UDP, _UDP_SEGMENT, _U16.pack(size)) for size in range(1 << 11)
}


_CACHED = 1024


class Ancillary(NamedTuple):
    """Parsed ancillary data. `udp_segment`: the size of each datagram of a GRO read but the last; 0: a single
    datagram."""

    udp_segment: int
    tos: int
    local_address: Address | None


_NOTHING = Ancillary(0, 0, None)


def enable_tos(sock: socket.socket) -> None:
    """Have the kernel report each datagram's TOS octet or traffic class. Raises OSError."""
    if sock.family == socket.AF_INET:
        sock.setsockopt(socket.IPPROTO_IP, _IP_RECVTOS, 1)
    else:
        sock.setsockopt(socket.IPPROTO_IPV6, _IPV6_RECVTCLASS, 1)


def parse(ancillary: AncillaryData) -> Ancillary:
    """Parse what is known here; other data is ignored."""
    return _read(tuple(ancillary)) if ancillary else _NOTHING


@lru_cache(_CACHED)  # one peer's datagrams have the same
def _read(ancillary: tuple[tuple[int, int, bytes], ...]) -> Ancillary:
    udp_segment = tos = 0
    local: Address | None = None
    for level, kind, data in ancillary:
        if (level, kind) == (_SOL_UDP, _UDP_GRO) and len(data) >= _INT.size:
            (udp_segment,) = _INT.unpack_from(data)
        elif (level, kind) == (socket.IPPROTO_IP, _IP_TOS) and data:
            tos = data[0]
        elif (level, kind) == (socket.IPPROTO_IPV6, _IPV6_TCLASS) and len(data) >= _INT.size:
            tos = _INT.unpack_from(data)[0] & 0xFF
        elif (level, kind) == (socket.IPPROTO_IP, _IP_PKTINFO) and len(data) >= _IPV4_PKTINFO.size:
            local = IPv4Address(_IPV4_PKTINFO.unpack_from(data)[2])
        elif (level, kind) == (socket.IPPROTO_IPV6, socket.IPV6_PKTINFO) and len(data) >= _IPV6_PKTINFO.size:
            local = IPv6Address(_IPV6_PKTINFO.unpack_from(data)[0])
    return Ancillary(udp_segment, tos, local)


def udp_segment(size: int) -> AncillaryData:
    """Have the kernel cut a send into datagrams of `size` octets (UDP_SEGMENT)."""
    return [_SEGMENTS.get(size) or (_SOL_UDP, _UDP_SEGMENT, _U16.pack(size))]


def tos_octet(version: int, tos: int) -> AncillaryData:
    """Send with this TOS octet or traffic class."""
    if version == 4:
        return [(socket.IPPROTO_IP, _IP_TOS, _INT.pack(tos))]
    return [(socket.IPPROTO_IPV6, _IPV6_TCLASS, _INT.pack(tos))]


def source_address(address: Address) -> AncillaryData:
    """The source address of a send on a socket that is bound to the wildcard address (IP_PKTINFO)."""
    if address.is_unspecified:
        return []
    if isinstance(address, IPv4Address):
        return [(socket.IPPROTO_IP, _IP_PKTINFO, _IPV4_PKTINFO.pack(0, address.packed, bytes(4)))]
    return [(socket.IPPROTO_IPV6, socket.IPV6_PKTINFO, _IPV6_PKTINFO.pack(address.packed, 0))]
