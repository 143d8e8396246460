"""Opens the sockets that carry IKE and ESP: SO_REUSEPORT groups of UDP sockets, one a process, and raw
sockets of protocol 50."""

from __future__ import annotations

import contextlib
import socket
from enum import IntEnum
from ipaddress import IPv4Address, IPv6Address
from typing import Protocol

from esp.net.bpf import attach_reuseport

Address = IPv4Address | IPv6Address

BUFFER = 4 << 20  # octets asked for in each direction
PROMPT_BUFFER = 450_000  # of the receive queue of a worker with real-time priority: 3 ms at 2 Gbit/s
IPPROTO_ESP = 50

# Linux's numbers that `socket` has no name for
_SO_SNDBUFFORCE, _SO_RCVBUFFORCE = 32, 33
_IP_MTU_DISCOVER, _IPV6_MTU_DISCOVER = 10, 23
_PMTUDISC_DONT = 0
_IP_PKTINFO = 8
_SOL_UDP, _UDP_GRO = 17, 104


class SocketKind(IntEnum):
    """What a socket of a worker carries."""

    UDP = 1  # ESP in UDP (RFC 3948)
    RAW = 2  # protocol 50


class OpenUdp(Protocol):
    def __call__(self, address: Address, port: int, *, reuse_port: bool) -> socket.socket: ...


def open_udp(address: Address, port: int, *, reuse_port: bool = False) -> socket.socket:
    """A non-blocking UDP socket whose packets may be fragmented on their way. Raises OSError."""
    return _open(address, port, socket.SOCK_DGRAM, 0, reuse_port=reuse_port)


def open_raw(address: Address) -> socket.socket:
    """A non-blocking raw socket for ESP (protocol 50). Raises OSError; needs CAP_NET_RAW."""
    return _open(address, 0, socket.SOCK_RAW, IPPROTO_ESP, reuse_port=False)


def refuse_shared(address: Address, port: int) -> None:
    """Raise OSError if another process has the port: with SO_REUSEPORT ours would silently share it."""
    family = socket.AF_INET if address.version == 4 else socket.AF_INET6
    with socket.socket(family, socket.SOCK_DGRAM) as probe:
        if family == socket.AF_INET6:
            probe.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 1)
        probe.bind((str(address), port))


def open_group(
    address: Address, port: int, workers: int, open_one: OpenUdp = open_udp
) -> list[socket.socket]:
    """1 + `workers` UDP sockets on one port, steered by BPF (`esp.net.bpf`): control's, then one a slot.

    All have UDP_GRO: whether datagrams are coalesced the kernel asks of one that it picks by hash, before
    there is a datagram for the program to look at (udp4_gro_lookup_skb), and then the first datagram steers
    all. So each may read what is for another one. A `port` of 0 takes a free one. `open_one`: as `open_udp`.
    Raises OSError.
    """
    with contextlib.ExitStack() as undo:
        group: list[socket.socket] = []
        for _ in range(1 + workers):
            sock = undo.enter_context(open_one(address, port, reuse_port=True))
            port = sock.getsockname()[1]
            group.append(sock)
            with contextlib.suppress(OSError):  # before Linux 5.0
                enable_gro(sock)
        attach_reuseport(group[0], workers)
        undo.pop_all()
    return group


def enable_gro(sock: socket.socket) -> None:
    """Have the kernel coalesce datagrams of one source and one size (UDP_GRO). Raises OSError."""
    sock.setsockopt(_SOL_UDP, _UDP_GRO, 1)


def _open(address: Address, port: int, kind: int, protocol: int, *, reuse_port: bool) -> socket.socket:
    family = socket.AF_INET if address.version == 4 else socket.AF_INET6
    sock = socket.socket(family, kind | socket.SOCK_NONBLOCK, protocol)
    try:
        if reuse_port:
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
        if family == socket.AF_INET:
            sock.setsockopt(socket.IPPROTO_IP, _IP_MTU_DISCOVER, _PMTUDISC_DONT)
        else:
            if kind == socket.SOCK_DGRAM:  # a raw socket knows one version only
                sock.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 1)
            sock.setsockopt(socket.IPPROTO_IPV6, _IPV6_MTU_DISCOVER, _PMTUDISC_DONT)
        if address.is_unspecified:
            _enable_pktinfo(sock)
        _size_buffers(sock)
        sock.bind((str(address), port))
    except BaseException:
        sock.close()
        raise
    return sock


def _enable_pktinfo(sock: socket.socket) -> None:
    """A socket bound to the wildcard address has to be told which local address each datagram came to."""
    if sock.family == socket.AF_INET:
        sock.setsockopt(socket.IPPROTO_IP, _IP_PKTINFO, 1)
    else:
        sock.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_RECVPKTINFO, 1)


def size_queue(sock: socket.socket, *, prompt: bool) -> None:
    """Size the receive queue: small for a reader that is scheduled at once (`prompt`), because TCP fills any
    queue and everything else waits behind it; larger for one that has to wait for the CPU."""
    _size(sock, _SO_RCVBUFFORCE, socket.SO_RCVBUF, PROMPT_BUFFER if prompt else BUFFER)


def _size_buffers(sock: socket.socket) -> None:
    _size(sock, _SO_SNDBUFFORCE, socket.SO_SNDBUF, BUFFER)
    size_queue(sock, prompt=False)


def _size(sock: socket.socket, forced: int, plain: int, octets: int) -> None:
    """The forced sizes need CAP_NET_ADMIN; without it the system's limit caps them."""
    try:
        sock.setsockopt(socket.SOL_SOCKET, forced, octets)
    except OSError:
        sock.setsockopt(socket.SOL_SOCKET, plain, octets)
