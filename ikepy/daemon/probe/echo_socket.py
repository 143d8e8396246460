"""The raw ICMP socket that echo requests leave through, bound to a tunnel's device.

Opening it takes CAP_NET_RAW, nothing else does.
"""

from __future__ import annotations

import socket
import struct
from collections.abc import Callable

from ikepy.daemon.probe.echo import REPLY
from tun.netlink import Address

_ICMP_FILTER, _ICMP6_FILTER = 1, 1  # linux/icmp.h, linux/icmpv6.h: a set bit blocks a type
_SOL_RAW = 255
# Don't fragment, and don't heed what the kernel knows of the path (ip(7), ipv6(7)).
_MTU_DISCOVER = {4: (socket.IPPROTO_IP, 10), 6: (socket.IPPROTO_IPV6, 23)}
_PROBE = 3
RECEIVE_BUFFER = 65536  # octets; what does not fit counts as lost
START = 128  # octets of a reply that are read

OpenEchoSocket = Callable[[str, int, int, Address | None], socket.socket]


def open_echo_socket(device: str, index: int, version: int, source: Address | None) -> socket.socket:
    """A socket of one device and IP version, that does not block. Only echo replies reach it. Raises OSError.

    `index`: by which the privileged process knows the device. `source`: the address that requests come from;
    None: the kernel chooses.
    """
    if version == 4:
        family, protocol = socket.AF_INET, socket.IPPROTO_ICMP
        filters = (_SOL_RAW, _ICMP_FILTER, struct.pack("=I", (1 << 32) - 1 ^ 1 << REPLY[4]))
    else:
        family, protocol = socket.AF_INET6, socket.IPPROTO_ICMPV6
        blocked = (1 << 256) - 1 ^ 1 << REPLY[6]
        words = struct.pack("=8I", *(blocked >> 32 * word & 0xFFFFFFFF for word in range(8)))
        filters = (socket.IPPROTO_ICMPV6, _ICMP6_FILTER, words)
    sock = socket.socket(family, socket.SOCK_RAW | socket.SOCK_NONBLOCK, protocol)
    try:
        sock.setsockopt(*filters)
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_BINDTODEVICE, device.encode())
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, RECEIVE_BUFFER)
        sock.setsockopt(*_MTU_DISCOVER[version], _PROBE)
        if source is not None:
            sock.bind((str(source), 0))
    except BaseException:
        sock.close()
        raise
    return sock


def receive(sock: socket.socket) -> tuple[bytes, int, str]:
    """The start of the next reply, its octets in all, and the sender's address. Raises OSError."""
    buffer = bytearray(START)
    size, _, _, address = sock.recvmsg_into([buffer], 0, socket.MSG_TRUNC)
    return bytes(buffer[:size]), size, address[0].partition("%")[0]
