"""One worker's socket: ESP packets in and out in batches, in UDP (RFC 3948) or as protocol 50."""

from __future__ import annotations

import errno
import socket
import struct
from collections.abc import Sequence
from ipaddress import IPv4Address, IPv6Address
from typing import NamedTuple

from esp.counters import Drop
from esp.messages import SocketKind

Address = IPv4Address | IPv6Address
SocketAddress = tuple[str, int] | tuple[str, int, int, int]
AncillaryData = list[tuple[int, int, bytes]]

BATCH = 64
_ROW = 65536  # octets: no datagram is longer

_IP_PKTINFO = 8
_IPV4_PKTINFO = struct.Struct("=I4s4s")  # interface, local address, header's destination
_IPV6_PKTINFO = struct.Struct("=16sI")
_ANCILLARY = socket.CMSG_SPACE(max(_IPV4_PKTINFO.size, _IPV6_PKTINFO.size))

_REASONS = {
    errno.EAGAIN: Drop.NO_BUFFER,
    errno.ENOBUFS: Drop.NO_BUFFER,
    errno.ENOMEM: Drop.NO_BUFFER,
    errno.EMSGSIZE: Drop.TOO_BIG,
    errno.ENETUNREACH: Drop.UNREACHABLE,
    errno.EHOSTUNREACH: Drop.UNREACHABLE,
    errno.ENETDOWN: Drop.UNREACHABLE,
    errno.EHOSTDOWN: Drop.UNREACHABLE,
    errno.EADDRNOTAVAIL: Drop.UNREACHABLE,
    errno.EPERM: Drop.REFUSED,
    errno.EACCES: Drop.REFUSED,
    errno.ECONNREFUSED: Drop.REFUSED,
}


class Datagram(NamedTuple):
    """What one read gave, from the SPI or the non-ESP marker on. The row is valid until the next batch."""

    row: memoryview
    source: SocketAddress
    local_address: Address


def arena() -> list[memoryview]:
    """Rows to receive one batch into; pages of it that no datagram touches cost nothing."""
    whole = memoryview(bytearray(BATCH * _ROW))
    return [whole[start : start + _ROW] for start in range(0, BATCH * _ROW, _ROW)]


class Transport:
    """A socket given to the worker, which owns it from then on."""

    def __init__(
        self, sock: socket.socket, kind: SocketKind, version: int, local_address: Address, local_port: int
    ) -> None:
        """Raises ValueError if the arguments contradict each other."""
        family = socket.AF_INET if version == 4 else socket.AF_INET6
        kind_of_socket = socket.SOCK_DGRAM if kind is SocketKind.UDP else socket.SOCK_RAW
        if local_address.version != version or (sock.family, sock.type) != (family, kind_of_socket):
            raise ValueError(f"not a socket for {kind.name} and IPv{version}")
        sock.setblocking(False)
        self.sock = sock
        self.kind = kind
        self.version = version
        self.local_address = local_address
        self.local_port = local_port
        self._strip = kind is SocketKind.RAW and version == 4  # the IP header is in front

    def fileno(self) -> int:
        return self.sock.fileno()

    def close(self) -> None:
        self.sock.close()

    def receive(self, rows: Sequence[memoryview]) -> list[Datagram]:
        """What is there, one datagram a row at most."""
        datagrams = []
        ancillary_size = _ANCILLARY if self.local_address.is_unspecified else 0
        for row in rows:
            try:
                length, ancillary, _, source = self.sock.recvmsg_into([row], ancillary_size)
            except BlockingIOError:
                break
            except OSError:
                # An ICMP error that the kernel reports here; reading it has cleared it.
                continue
            start = (row[0] & 0x0F) * 4 if self._strip and length else 0
            local = _destination(ancillary) or self.local_address
            datagrams.append(Datagram(row[start:length], source, local))
        return datagrams

    def send(self, rows: Sequence[memoryview], source: Address, remote: tuple[str, int]) -> dict[int, Drop]:
        """Send each row from `source` to `remote` (port 0 for RAW); why a row, by index, was not sent."""
        failures: dict[int, Drop] = {}
        ancillary = _source(source) if self.local_address.is_unspecified else None
        for index, row in enumerate(rows):
            try:
                if ancillary is None:
                    self.sock.sendto(row, remote)
                else:
                    self.sock.sendmsg([row], ancillary, 0, remote)
            except OSError as error:
                failures[index] = _REASONS.get(error.errno or 0, Drop.SEND)
        return failures


def _destination(ancillary: AncillaryData) -> Address | None:
    """Where a datagram came in, as a socket for all addresses is told."""
    for level, kind, data in ancillary:
        if (level, kind) == (socket.IPPROTO_IP, _IP_PKTINFO) and len(data) >= _IPV4_PKTINFO.size:
            return IPv4Address(_IPV4_PKTINFO.unpack_from(data)[2])
        if (level, kind) == (socket.IPPROTO_IPV6, socket.IPV6_PKTINFO) and len(data) >= _IPV6_PKTINFO.size:
            return IPv6Address(_IPV6_PKTINFO.unpack_from(data)[0])
    return None


def _source(address: Address) -> AncillaryData:
    """The source address that a socket for all addresses shall use."""
    if address.is_unspecified:
        return []
    if isinstance(address, IPv4Address):
        return [(socket.IPPROTO_IP, _IP_PKTINFO, _IPV4_PKTINFO.pack(0, address.packed, bytes(4)))]
    return [(socket.IPPROTO_IPV6, socket.IPV6_PKTINFO, _IPV6_PKTINFO.pack(address.packed, 0))]
