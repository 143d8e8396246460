"""CHILD_SAs of the probe: ESP in tunnel mode, and echo requests through it (RFC 4303, RFC 792, RFC 4443)."""

from __future__ import annotations

import struct
from dataclasses import dataclass, field
from ipaddress import IPv4Address, IPv6Address

from esp.packet.policy import Policy
from esp.packet.selectors import Selector
from esp.sa.inbound import InboundSa
from esp.sa.outbound import OutboundSa
from esp.sa.suites import Suite, suite_for
from ikepy.crypto.secret import Secret
from ikepy.sa.negotiation.proposals import transform
from ikepy.wire.constants import Encr, Esn, TransformType
from ikepy.wire.payloads import TrafficSelector
from ikepy.wire.proposal import Proposal

ICMP, ESP, ICMPV6 = 1, 50, 58
_ECHO_REQUEST = {4: 8, 6: 128}
_ECHO_REPLY = {4: 0, 6: 129}
_EVERYTHING = Policy(
    (Selector.of("0.0.0.0/0"), Selector.of("::/0")), (Selector.of("0.0.0.0/0"), Selector.of("::/0"))
)
_REPLAY_WINDOW = 1024
Address = IPv4Address | IPv6Address


@dataclass(slots=True)
class Child:
    """One CHILD_SA. `spi_in`: ours, of 4 octets, `spi_out`: the peer's. `chosen`: the proposal agreed on.
    `ts_local`, `ts_remote`: the selectors of both ends, as agreed."""

    spi_in: bytes
    spi_out: bytes
    chosen: Proposal
    ts_local: tuple[TrafficSelector, ...]
    ts_remote: tuple[TrafficSelector, ...]
    key_in: Secret = field(repr=False)
    key_out: Secret = field(repr=False)
    inbound: InboundSa = field(init=False, repr=False)
    outbound: OutboundSa = field(init=False, repr=False)

    def __post_init__(self) -> None:
        suite, esn = esp_suite(self.chosen), has_esn(self.chosen)
        spi_in, spi_out = int.from_bytes(self.spi_in), int.from_bytes(self.spi_out)
        self.inbound = InboundSa(spi_in, suite, self.key_in.expose(), esn, _REPLAY_WINDOW, _EVERYTHING)
        self.outbound = OutboundSa(spi_out, suite, self.key_out.expose(), esn)

    def seal(self, packet: bytes) -> bytes:
        """An inner IP packet as an ESP packet, under the next sequence number."""
        (row,) = self.outbound.seal_batch([packet])
        return bytes(row)

    def open(self, octets: bytes) -> bytes | str:
        """The inner IP packet of an ESP packet, or why there is none."""
        opened = self.inbound.open_batch([memoryview(bytearray(octets))])
        if opened.packets:
            return bytes(opened.packets[0])
        return ", ".join(drop.name for drop in opened.drops)


def esp_suite(chosen: Proposal) -> Suite:
    """The ESP suite of a chosen proposal. KeyError if it is none that we have."""
    encr = transform(chosen, TransformType.ENCR)
    integ = transform(chosen, TransformType.INTEG)
    number = Encr.NULL if encr is None else encr.id
    return suite_for(number, None if encr is None else encr.key_length, None if integ is None else integ.id)


def has_esn(chosen: Proposal) -> bool:
    """Whether extended sequence numbers were agreed on."""
    return any(one.type == TransformType.ESN and one.id == Esn.ESN for one in chosen.transforms)


@dataclass(frozen=True, slots=True)
class Inner:
    """An inner packet, as far as echo needs it. `icmp_type` None: it is no ICMP."""

    source: Address
    destination: Address
    icmp_type: int | None
    identifier: int
    sequence: int
    octets: bytes

    @property
    def is_reply(self) -> bool:
        return self.icmp_type == _ECHO_REPLY[self.source.version]

    @property
    def is_request(self) -> bool:
        return self.icmp_type == _ECHO_REQUEST[self.source.version]

    def __str__(self) -> str:
        kind = "echo reply" if self.is_reply else "echo request" if self.is_request else "packet"
        return f"{kind} {self.source} to {self.destination}"


def echo_request(source: Address, destination: Address, identifier: int, sequence: int) -> bytes:
    """An IP packet with an echo request of eight zero octets of data."""
    return _echo(source, destination, _ECHO_REQUEST, identifier, sequence, bytes(8))


def echo_reply(request: Inner) -> bytes:
    """The IP packet that answers an echo request."""
    header = 20 if request.source.version == 4 else 40
    data = request.octets[header + 8 :]
    ends = request.destination, request.source
    return _echo(*ends, _ECHO_REPLY, request.identifier, request.sequence, data)


def _echo(
    source: Address, destination: Address, kinds: dict[int, int], identifier: int, sequence: int, data: bytes
) -> bytes:
    version = source.version
    body = struct.pack("!BBHHH", kinds[version], 0, 0, identifier, sequence) + data
    if version == 4:
        body = body[:2] + struct.pack("!H", checksum(body)) + body[4:]
        return _ipv4(source, destination, ICMP, body)
    pseudo = source.packed + destination.packed + struct.pack("!II", len(body), ICMPV6)
    body = body[:2] + struct.pack("!H", checksum(pseudo + body)) + body[4:]
    return _ipv6(source, destination, ICMPV6, body)


def unreachable(sender: Address, destination: Address, spi: bytes) -> bytes:
    """The ICMP or ICMPv6 message, without IP header, that an ESP packet of `sender` does not reach its
    destination: no route (RFC 792, RFC 4443 3.1). ICMPv6's checksum is left to the kernel."""
    esp = spi + bytes(4)
    if sender.version == 4:
        quoted = _ipv4(sender, destination, ESP, esp)
        body = struct.pack("!BBHI", 3, 0, 0, 0) + quoted
        return body[:2] + struct.pack("!H", checksum(body)) + body[4:]
    quoted = _ipv6(sender, destination, ESP, esp)
    return struct.pack("!BBHI", 1, 0, 0, 0) + quoted


def _ipv4(source: Address, destination: Address, protocol: int, body: bytes) -> bytes:
    header = struct.pack("!BBHHHBBH", 0x45, 0, 20 + len(body), 0, 0, 64, protocol, 0)
    header += source.packed + destination.packed
    return header[:10] + struct.pack("!H", checksum(header)) + header[12:] + body


def _ipv6(source: Address, destination: Address, protocol: int, body: bytes) -> bytes:
    header = struct.pack("!IHBB", 6 << 28, len(body), protocol, 64)
    return header + source.packed + destination.packed + body


def checksum(octets: bytes) -> int:
    """RFC 1071."""
    words: tuple[int, ...] = struct.unpack(f"!{len(octets) // 2}H", octets[: len(octets) // 2 * 2])
    total = sum(words) + (octets[-1] << 8 if len(octets) % 2 else 0)
    while total >> 16:
        total = (total & 0xFFFF) + (total >> 16)
    return ~total & 0xFFFF


def parse_inner(packet: bytes) -> Inner | None:
    """An inner IP packet; None if it isn't one."""
    if len(packet) >= 20 and packet[0] >> 4 == 4:
        header, protocol = (packet[0] & 15) * 4, packet[9]
        ends: tuple[Address, Address] = IPv4Address(packet[12:16]), IPv4Address(packet[16:20])
    elif len(packet) >= 40 and packet[0] >> 4 == 6:
        header, protocol = 40, packet[6]
        ends = IPv6Address(packet[8:24]), IPv6Address(packet[24:40])
    else:
        return None
    if protocol not in (ICMP, ICMPV6) or len(packet) < header + 8:
        return Inner(*ends, None, 0, 0, packet)
    kind, identifier, sequence = struct.unpack_from("!BxxxHH", packet, header)
    return Inner(*ends, kind, identifier, sequence, packet)
