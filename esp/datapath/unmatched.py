"""Datagrams that match no SA of this worker: forwarded or reported to control (RFC 3948 2.2, RFC 4303 3.4.2).

Anyone can send as many as they like, so every message to control has a rate limit.
"""

from __future__ import annotations

import time
from collections.abc import Sequence
from ipaddress import IPv4Address, IPv6Address, ip_address

from esp.datapath.context import Context
from esp.datapath.limits import FORWARD, RateLimit
from esp.ipc.messages import ForwardEsp, ForwardIke, UnknownSpi
from esp.net.sockets import SocketKind
from esp.net.transport import Received, Transport
from esp.packet.drop_reasons import Drop

Address = IPv4Address | IPv6Address

MARKER = 4  # octets of the non-ESP marker, or of an SPI

# seconds between two messages, after a burst of so many
_UNKNOWN_SPI = (0.1, 10)
_STRAY = (0.005, 200)


class Unmatched:
    """Forwards and reports."""

    def __init__(self, context: Context) -> None:
        self._counters, self._post = context.counters, context.post
        self._unknown_spi = RateLimit(*_UNKNOWN_SPI)
        self._stray = RateLimit(*_STRAY)
        self._forward = RateLimit(*FORWARD)

    def report_unknown_spi(self, transport: Transport, spi: int, received: Received, count: int) -> None:
        """Count ESP packets under an SPI that no SA has, and report it."""
        self._counters.drop(Drop.UNKNOWN_SPI, count)
        if self._unknown_spi.allow(time.monotonic()):
            self._post(UnknownSpi(spi, *_endpoints(transport, received)))

    def forward_ike(self, transport: Transport, received: Received, rows: Sequence[memoryview]) -> None:
        """Forward IKE messages, without their non-ESP markers, to control."""
        for row in rows:
            message = ForwardIke(*_endpoints(transport, received), bytes(row[MARKER:]))
            if not (self._stray.allow(time.monotonic()) and self._post(message)):
                self._counters.drop(Drop.STRAY)

    def forward_esp(self, transport: Transport, received: Received, rows: Sequence[memoryview]) -> None:
        """Forward ESP packets of another worker's SPI to control, which hands them on."""
        encap = transport.kind is SocketKind.UDP
        for row in rows:
            message = ForwardEsp(encap, received.tos, *_endpoints(transport, received), bytes(row))
            if not (self._forward.allow(time.monotonic()) and self._post(message)):
                self._counters.drop(Drop.STRAY)


def _endpoints(transport: Transport, received: Received) -> tuple[Address, int, Address, int]:
    """Local address and port, remote address and port."""
    host, port = received.source[:2]
    remote_port = port if transport.kind is SocketKind.UDP else 0
    return received.local_address, transport.local_port, ip_address(host.partition("%")[0]), remote_port
