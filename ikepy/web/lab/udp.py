"""Finds IKE messages and ESP packets in frames of the gateways' uplinks (RFC 7296 2.23, RFC 3948, RFC
4303)."""

from __future__ import annotations

from dataclasses import dataclass
from ipaddress import IPv4Address, IPv6Address, ip_address

from ikepy.lab.dissect import ARPHRD_ETHER

_UDP, _ESP = 17, 50
_MARKER = bytes(4)
IKE_PORT, NAT_T_PORT = 500, 4500

Address = IPv4Address | IPv6Address


@dataclass(frozen=True, slots=True)
class Datagram:
    """One IP packet that belongs to a tunnel. `ike`: the message without its non-ESP marker; `esp`: the
    packet from its SPI on; one of the two is None. Ports are 0 where ESP travels without UDP."""

    source: Address
    destination: Address
    source_port: int
    destination_port: int
    payload: bytes
    ike: bytes | None
    esp: bytes | None


def datagram_of(octets: bytes, link: int) -> Datagram | None:
    """The datagram in a frame; None if there is none, or only a fragment of it."""
    packet = _ip(octets, link)
    if packet is None:
        return None
    protocol, source, destination, body = packet
    if protocol == _ESP and len(body) >= 8:
        return Datagram(source, destination, 0, 0, body, None, body)
    if protocol != _UDP or len(body) < 8:
        return None
    ports = int.from_bytes(body[0:2], "big"), int.from_bytes(body[2:4], "big")
    length = int.from_bytes(body[4:6], "big")
    payload = body[8 : length if length >= 8 else len(body)]
    if IKE_PORT in ports:
        return Datagram(source, destination, *ports, payload, payload, None)
    if NAT_T_PORT not in ports or len(payload) < 8:  # also a NAT keepalive
        return None
    if payload[:4] == _MARKER:
        return Datagram(source, destination, *ports, payload, payload[4:], None)
    return Datagram(source, destination, *ports, payload, None, payload)


def _ip(octets: bytes, link: int) -> tuple[int, Address, Address, bytes] | None:
    """Protocol, addresses and body of a whole IP packet."""
    if link == ARPHRD_ETHER:
        octets = octets[14:]
    version = octets[0] >> 4 if octets else 0
    if version == 4 and len(octets) >= 20:
        if int.from_bytes(octets[6:8], "big") & 0x3FFF:
            return None
        end = int.from_bytes(octets[2:4], "big") or len(octets)
        body = octets[(octets[0] & 15) * 4 : end]
        return octets[9], ip_address(octets[12:16]), ip_address(octets[16:20]), body
    if version == 6 and len(octets) >= 40:
        end = 40 + int.from_bytes(octets[4:6], "big")
        return octets[6], ip_address(octets[8:24]), ip_address(octets[24:40]), octets[40:end]
    return None
