"""A worker's socket: sends and receives ESP packets in UDP (RFC 3948), with GSO and GRO, or as protocol
50."""

from __future__ import annotations

import contextlib
import errno
import math
import socket
import struct
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from ipaddress import IPv4Address, IPv6Address
from typing import NamedTuple

from esp.net import cmsg
from esp.net.interrupt_moderation import InterruptModeration
from esp.net.mmsg import MAX_MESSAGES, IoVectors, Receiver, Sender
from esp.net.sockets import SocketKind, enable_gro
from esp.packet import ecn
from esp.packet.drop_reasons import Drop

Address = IPv4Address | IPv6Address
SocketAddress = tuple[str, int] | tuple[str, int, int, int]

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
    errno.EINVAL: Drop.UNREACHABLE,  # a blackhole route
    errno.EPERM: Drop.REFUSED,
    errno.EACCES: Drop.REFUSED,
    errno.ECONNREFUSED: Drop.REFUSED,
}
# Errors of a GSO send: this kernel or device has no UDP GSO, or refuses segments of this size; unless what is
# sent without GSO fails, too.
_NO_GSO = frozenset({errno.EIO, errno.EINVAL, errno.EMSGSIZE, errno.EOPNOTSUPP, errno.ENOPROTOOPT})

_SO_MEMINFO = 55  # linux/sock_diag.h: nine numbers, the last one counts drops
_MEMINFO_INTERVAL = 0.1  # seconds between two reads of it
_MEMINFO = struct.Struct("=9I")
MAX_SEGMENTS = 64  # of one send: UDP_MAX_SEGMENTS of every kernel
MAX_DATAGRAM = 65507  # octets of a UDP datagram in IPv4
_MIN_SENDMMSG = 4  # datagrams from which on sendmmsg is faster
_MAX_REMOTES = 4096  # remotes whose refused segment size is kept
GSO_RETRY = 60.0  # seconds after which refused GSO is tried again: the path, or its MTU, may be another one


def drop_reason(number: int | None) -> Drop:
    return _REASONS.get(number or 0, Drop.SEND)


class Received(NamedTuple):
    """One read: `length` octets, in datagrams of `segment` octets, but the last one may be shorter."""

    length: int
    segment: int
    tos: int
    source: SocketAddress
    local_address: Address


@dataclass(slots=True, eq=False)  # not frozen: those are slow to make
class GsoSend:
    """ESP packets for one UDP_SEGMENT send: `count` of `segment` octets, the last one perhaps shorter, back
    to back in one buffer, or each in a buffer of its own."""

    buffers: Sequence[memoryview]
    segment: int
    count: int

    def chunks(self, most: int) -> Iterator[tuple[int, GsoSend]]:
        """The packets in sends of at most `most` each, with the index of the first one."""
        count, segment, buffers = self.count, self.segment, self.buffers
        for first in range(0, count, most):
            end = first + most
            chunk = buffers[first:end] if len(buffers) > 1 else (buffers[0][first * segment : end * segment],)
            yield first, GsoSend(chunk, segment, min(most, count - first))

    def rows(self) -> Sequence[memoryview]:
        if len(self.buffers) > 1:
            return self.buffers
        whole = self.buffers[0]
        return [whole[at : at + self.segment] for at in range(0, len(whole), self.segment)]


class Transport:
    """A socket given to the worker, which owns it from then on.

    `tell` is called, once for a remote address, when GSO is refused and packets leave one by one for a while.
    """

    def __init__(
        self,
        sock: socket.socket,
        kind: SocketKind,
        version: int,
        local_address: Address,
        local_port: int,
        tell: Callable[[str], None] = lambda text: None,
        clock: Callable[[], float] = time.monotonic,
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
        self.moderation = InterruptModeration()
        self._tell = tell
        self._clock = clock
        self.wildcard = local_address.is_unspecified
        self._gso = kind is SocketKind.UDP
        # Of the last datagram, and the same parsed: a peer's rarely change
        self._last_ancillary: cmsg.AncillaryData = []
        self._last_parsed = cmsg.parse(self._last_ancillary)
        # Of the last single datagram whose ECN field changes nothing inside
        self.plain_ancillary: cmsg.AncillaryData | None = None
        self.sender = Sender()
        self._refused_segments: dict[tuple[str, int], int] = {}  # by remote: the size that its path refused
        self._retry_at = math.inf  # when what was refused is forgotten
        self._told: set[str] = set()  # of whose packets that was told, in words
        with contextlib.suppress(OSError):
            cmsg.enable_tos(sock)
        if kind is SocketKind.UDP:
            with contextlib.suppress(OSError):
                enable_gro(sock)

        self._dropped_before = self._kernel_drops()
        self._next_meminfo = 0.0

    def kernel_drops(self, now: float) -> int:
        """Datagrams that the kernel has dropped since the last read of its counter, because the receive
        buffer was full. The counter is read at most ten times a second; `now`: monotonic seconds."""
        if now < self._next_meminfo:
            return 0
        self._next_meminfo = now + _MEMINFO_INTERVAL
        before, self._dropped_before = self._dropped_before, self._kernel_drops()
        return (self._dropped_before - before) % (1 << 32)

    def _kernel_drops(self) -> int:
        try:
            data = self.sock.getsockopt(socket.SOL_SOCKET, _SO_MEMINFO, _MEMINFO.size)
            return int(_MEMINFO.unpack(data)[-1])
        except (OSError, struct.error):
            return 0

    def fileno(self) -> int:
        return self.sock.fileno()

    def close(self) -> None:
        self.sock.close()

    def receive(self, buffer: memoryview) -> Received | None:
        """Read UDP into `buffer`, from the SPI or the non-ESP marker on; None if the socket is empty."""
        while True:
            try:
                length, ancillary, _, source = self.sock.recvmsg_into([buffer], cmsg.SPACE)
            except BlockingIOError:
                return None
            except OSError:
                # A pending ICMP error; the read has cleared it.
                continue
            return self.parse_ancillary(length, ancillary, source)

    def parse_ancillary(self, length: int, ancillary: cmsg.AncillaryData, source: SocketAddress) -> Received:
        """The result of the socket's `recvmsg_into` as `Received`."""
        if ancillary != self._last_ancillary:
            self._last_ancillary, self._last_parsed = ancillary, cmsg.parse(ancillary)
        segment, tos, local = self._last_parsed
        if not segment and tos & ecn.ECN_MASK not in ecn.CHANGES_INNER:
            self.plain_ancillary = ancillary
        return Received(length, segment or length, tos, source, local or self.local_address)

    def receive_many(self, receiver: Receiver, most: int) -> int:
        """Read up to `most` datagrams, a row of the receiver's arena each; how many."""
        while True:
            try:
                return receiver.receive(self.sock, most)
            except BlockingIOError:
                return 0
            except OSError:
                continue

    def send(
        self, rows: Sequence[memoryview], source: Address, remote: tuple[str, int], tos: int = 0
    ) -> dict[int, Drop]:
        """Send each row as a datagram from `source` to `remote` (port 0 for RAW). Returns the reason of each
        row that was not sent, by index."""
        ancillary, failures = self._ancillary(source, tos), dict[int, Drop]()
        if len(rows) >= _MIN_SENDMMSG:
            for first in range(0, len(rows), MAX_MESSAGES):
                vectors = IoVectors.of(rows[first : first + MAX_MESSAGES])
                failures |= self._send_vectors(vectors, first, remote, ancillary)
            return failures
        for index, row in enumerate(rows):
            failure = self._send_row(row, remote, ancillary)
            if failure is not None:
                failures[index] = failure
        return failures

    def _send_row(
        self, row: memoryview, remote: tuple[str, int], ancillary: cmsg.AncillaryData | None
    ) -> Drop | None:
        try:
            if ancillary:
                self.sock.sendmsg([row], ancillary, 0, remote)
            else:
                self.sock.sendto(row, remote)
        except OSError as error:
            return drop_reason(error.errno)
        return None

    def _send_vectors(
        self, vectors: IoVectors, first: int, remote: tuple[str, int], ancillary: cmsg.AncillaryData
    ) -> dict[int, Drop]:
        """Send by sendmmsg. `first`: the index of the first one."""
        results = self.sender.send(self.sock, vectors, remote, ancillary)
        return {first + index: drop_reason(number) for index, number in enumerate(results) if number}

    def send_gso(
        self, gso: GsoSend, source: Address, remote: tuple[str, int], tos: int = 0
    ) -> dict[int, Drop]:
        """Send uniform ESP packets, in as few GSO sends as possible. Returns the reason of each packet that
        was not sent, by index."""
        if not self._gso and len(gso.buffers) == 1 and not self._retries():
            return self._send_each(gso, source, remote, tos)
        most = min(MAX_SEGMENTS, MAX_DATAGRAM // gso.segment) or 1
        ancillary = cmsg.udp_segment(gso.segment)
        if tos or self.wildcard:
            ancillary += self._ancillary(source, tos)
        if gso.count <= most:
            return self._send_chunk(gso, ancillary, source, remote, tos)
        failures: dict[int, Drop] = {}
        # Equal shares: a short send costs either end nearly as much as a long one.
        most = -(-gso.count // -(-gso.count // most))
        for first, chunk in gso.chunks(most):
            if failed := self._send_chunk(chunk, ancillary, source, remote, tos):
                failures.update((first + index, reason) for index, reason in failed.items())
        return failures

    def _send_each(self, gso: GsoSend, source: Address, remote: tuple[str, int], tos: int) -> dict[int, Drop]:
        """Send the packets of one buffer without GSO, by sendmmsg."""
        ancillary, failures = self._ancillary(source, tos), dict[int, Drop]()
        for first, chunk in gso.chunks(MAX_MESSAGES):
            vectors = IoVectors.cut(chunk.buffers[0], chunk.segment)
            failures |= self._send_vectors(vectors, first, remote, ancillary)
        return failures

    def _send_chunk(
        self, gso: GsoSend, ancillary: cmsg.AncillaryData, source: Address, remote: tuple[str, int], tos: int
    ) -> dict[int, Drop]:
        """Send what one GSO send takes; without GSO where the kernel or the path refuses it."""
        if gso.count < 2 or (
            (not self._gso or gso.segment >= self._refused_segments.get(remote, 1 << 16))
            and not self._retries()
        ):
            return self.send(gso.rows(), source, remote, tos)
        try:
            self.sock.sendmsg(gso.buffers, ancillary, 0, remote)
        except OSError as error:
            if error.errno in _NO_GSO:
                failures = self.send(gso.rows(), source, remote, tos)
                if len(failures) < gso.count:
                    self._degrade(gso.segment, remote, error)
                return failures
            return dict.fromkeys(range(gso.count), drop_reason(error.errno))
        return {}

    def _degrade(self, segment: int, remote: tuple[str, int], error: OSError) -> None:
        """Give up GSO for a while: for segments of this size to this remote, or for the socket."""
        self._retry_at = min(self._retry_at, self._clock() + GSO_RETRY)
        of_path = error.errno in (errno.EINVAL, errno.EMSGSIZE)
        if of_path and len(self._refused_segments) < _MAX_REMOTES:
            self._refused_segments[remote] = segment
            which = f"to {remote[0]}"
        else:
            self._gso = False
            which = f"from {self.local_address}"
        if which not in self._told and len(self._told) < _MAX_REMOTES:
            self._told.add(which)
            self._tell(f"packets of {segment} octets {which} leave one by one for a while: {error.strerror}")

    def _retries(self) -> bool:
        """Forget all that was refused once `GSO_RETRY` has passed; whether it has."""
        if self._clock() < self._retry_at:
            return False
        self._retry_at = math.inf
        self._gso = True
        self._refused_segments.clear()
        return True

    def _ancillary(self, source: Address, tos: int) -> cmsg.AncillaryData:
        ancillary = cmsg.tos_octet(self.version, tos) if tos else []
        return ancillary + cmsg.source_address(source) if self.wildcard else ancillary
