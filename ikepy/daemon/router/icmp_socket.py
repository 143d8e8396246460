"""The raw ICMPv6 socket of an interface (RFC 3542): router solicitations come in, advertisements go out.

Opening it takes CAP_NET_RAW, nothing else does.
"""

from __future__ import annotations

import socket
import struct
from collections.abc import Callable
from ipaddress import IPv6Address

from ikepy.daemon.router.messages import HOP_LIMIT, ROUTER_SOLICITATION

ICMP6_FILTER = 1  # linux/icmpv6.h
ALL_NODES, ALL_ROUTERS = "ff02::1", "ff02::2"
RECEIVE_BUFFER = 16384  # octets; what does not fit is lost: one solicitation is as good as many
LONGEST = 1280  # octets of a solicitation that are read
_PKTINFO = struct.Struct("16sI")  # struct in6_pktinfo: source address, interface
_INT = struct.Struct("i")
_MEMBERSHIP = struct.Struct("=16sI")  # struct ipv6_mreq
_ALL_TYPES = 256

OpenSocket = Callable[[str, int], socket.socket]


def open_icmp_socket(interface: str, index: int) -> socket.socket:
    """A socket of one interface, that does not block. Only router solicitations reach it. Raises OSError."""
    sock = socket.socket(socket.AF_INET6, socket.SOCK_RAW | socket.SOCK_NONBLOCK, socket.IPPROTO_ICMPV6)
    try:
        sock.setsockopt(socket.IPPROTO_ICMPV6, ICMP6_FILTER, _only(ROUTER_SOLICITATION))
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_BINDTODEVICE, interface.encode())
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, RECEIVE_BUFFER)
        for option, value in (
            (socket.IPV6_UNICAST_HOPS, HOP_LIMIT),
            (socket.IPV6_MULTICAST_HOPS, HOP_LIMIT),
            (socket.IPV6_MULTICAST_LOOP, 0),
            (socket.IPV6_RECVHOPLIMIT, 1),
        ):
            sock.setsockopt(socket.IPPROTO_IPV6, option, value)
        group = _MEMBERSHIP.pack(IPv6Address(ALL_ROUTERS).packed, index)
        sock.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_JOIN_GROUP, group)
    except BaseException:
        sock.close()
        raise
    return sock


def send(sock: socket.socket, message: bytes, source: IPv6Address, index: int) -> None:
    """Send a message to all nodes of the link. Raises OSError."""
    control = [(socket.IPPROTO_IPV6, socket.IPV6_PKTINFO, _PKTINFO.pack(source.packed, index))]
    sock.sendmsg([message], control, 0, (ALL_NODES, 0, 0, index))


def receive(sock: socket.socket) -> tuple[bytes, IPv6Address, int]:
    """The next message, its source and its hop limit (0: the kernel did not tell). Raises OSError."""
    octets, control, flags, address = sock.recvmsg(LONGEST, socket.CMSG_SPACE(_INT.size))
    hop_limit = 0
    for level, kind, data in control:
        if (level, kind) == (socket.IPPROTO_IPV6, socket.IPV6_HOPLIMIT) and len(data) >= _INT.size:
            (hop_limit,) = _INT.unpack_from(data)
    source = IPv6Address(address[0].partition("%")[0])
    return (b"" if flags & socket.MSG_TRUNC else octets), source, hop_limit


def _only(kind: int) -> bytes:
    """A filter that blocks all ICMPv6 types but one (RFC 3542 3.2): a set bit blocks."""
    blocked = (1 << _ALL_TYPES) - 1 ^ 1 << kind
    words = (blocked >> 32 * word & 0xFFFFFFFF for word in range(_ALL_TYPES // 32))
    return struct.pack("=8I", *words)
