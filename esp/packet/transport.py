"""Transport mode: takes IP headers off packets, and puts them on what arrives (RFC 4303 3.1.1).

The kernel writes the outer IP header of what a socket sends. So the sender strips the header of the packet
that the TUN device gave, and the receiver builds one from the SA's selectors, which hold one address on each
side. Behind a NAT these differ from the addresses that the peer's TCP or UDP checksum covers, so the checksum
is recomputed (RFC 3948 3.1.2); ESP has verified the packet before.
"""

from __future__ import annotations

import struct
from collections.abc import Sequence

import numpy as np

from esp.packet.headers import IPV4_HEADER, IPV6_HEADER, Buffer
from esp.packet.selectors import Selector

_HOPS = 64  # TTL and hop limit, which the outer header had for itself
_DONT_FRAGMENT, _FRAGMENTED = 0x4000, 0x3FFF
_TCP, _UDP = 6, 17
_CHECKSUM_AT = {_TCP: 16, _UDP: 6}  # offset in the header


def payload_of(packet: Buffer) -> tuple[int, Buffer] | None:
    """The protocol and the payload of a whole IP packet; None for a fragment of IPv4 and for options, which
    transport mode can't carry (RFC 4303 3.1.1)."""
    if packet[0] >> 4 == 6:
        return packet[6], packet[IPV6_HEADER:]
    fragmented = (packet[6] << 8 | packet[7]) & _FRAGMENTED
    return None if fragmented or packet[0] != 0x45 else (packet[9], packet[IPV4_HEADER:])


class Headers:
    """Makes the headers of what comes out of one SA in transport mode."""

    __slots__ = ("_addresses", "_nat", "_version", "size")

    def __init__(self, ts_local: Sequence[Selector], ts_remote: Sequence[Selector], *, nat: bool) -> None:
        """`nat`: a NAT is on the path. Raises ValueError if the selectors hold more than one address."""
        every = {(one.version, one.first, one.last) for one in (*ts_local, *ts_remote)}
        local, remote = ({(one.version, one.first) for one in each} for each in (ts_local, ts_remote))
        versions = {version for version, _, _ in every}
        if len(local) != 1 or len(remote) != 1 or len(versions) != 1 or any(a != b for _, a, b in every):
            raise ValueError("transport mode takes one address on each side")
        (self._version,) = versions
        octets = 4 if self._version == 4 else 16
        (_, source), (_, destination) = *remote, *local
        self._addresses = source.to_bytes(octets, "big") + destination.to_bytes(octets, "big")
        self._nat = nat
        self.size = IPV4_HEADER if self._version == 4 else IPV6_HEADER

    def packet(self, protocol: int, payload: Buffer, headroom: int) -> memoryview | None:
        """The packet of an authentic payload, behind `headroom` octets; None if it would be too long."""
        length = len(payload)
        if length > 0xFFFF - self.size:
            return None
        if self._version == 4:
            fields = 0x45, 0, self.size + length, 0, _DONT_FRAGMENT, _HOPS, protocol, 0
            first = struct.pack("!BBHHHBBH", *fields)
        else:
            first = struct.pack("!IHBB", 6 << 28, length, protocol, _HOPS)
        memory = memoryview(bytearray(bytes(headroom) + first + self._addresses + payload))
        packet = memory[headroom:]
        if self._version == 4:
            _write_checksum(packet)
        if self._nat:
            self._recompute_checksum(protocol, packet[self.size :])
        return memory

    def _recompute_checksum(self, protocol: int, segment: memoryview) -> None:
        """The checksum of TCP or UDP for the addresses that stand there now."""
        at = _CHECKSUM_AT.get(protocol)
        if at is None or len(segment) < at + 2:
            return
        if protocol == _UDP and not any(segment[at : at + 2]):
            return  # it has none (RFC 768)
        segment[at : at + 2] = b"\0\0"
        pseudo = self._addresses + struct.pack("!II", len(segment), protocol)
        segment[at : at + 2] = (_checksum(pseudo + segment) or 0xFFFF).to_bytes(2, "big")


def set_tos(packet: memoryview, tos: int) -> None:
    """Write the outer TOS octet or traffic class, which in transport mode is the only one, into a header of
    `Headers`."""
    if packet[0] >> 4 == 4:
        packet[1] = tos
        _write_checksum(packet)
    else:
        packet[0], packet[1] = 0x60 | tos >> 4, (tos & 0x0F) << 4


def _write_checksum(packet: memoryview) -> None:
    packet[10:12] = b"\0\0"
    packet[10:12] = _checksum(bytes(packet[:IPV4_HEADER])).to_bytes(2, "big")


def _checksum(octets: bytes) -> int:
    """The Internet checksum (RFC 1071)."""
    total = int(np.frombuffer(octets + bytes(len(octets) % 2), ">u2").sum(dtype=np.uint64))
    while total >> 16:
        total = (total & 0xFFFF) + (total >> 16)
    return total ^ 0xFFFF
