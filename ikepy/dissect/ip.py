"""The packets inside a tunnel: IPv4 and IPv6 headers, and the beginnings of ICMP, TCP and UDP.

RFC 791, RFC 8200, RFC 792, RFC 4443, RFC 9293, RFC 768. What is behind them is data.
"""

from __future__ import annotations

from collections.abc import Callable
from ipaddress import ip_address

from ikepy.dissect import names
from ikepy.dissect.names import of
from ikepy.dissect.tree import Fields, Layer, layer

_ICMP = {0: "echo reply", 3: "destination unreachable", 5: "redirect", 8: "echo request", 11: "time exceeded"}
_ICMPV6 = {
    1: "destination unreachable",
    2: "packet too big",
    3: "time exceeded",
    128: "echo request",
    129: "echo reply",
    133: "router solicitation",
    134: "router advertisement",
    135: "neighbour solicitation",
    136: "neighbour advertisement",
}
_ECHO = frozenset({0, 8, 128, 129})
_TCP_FLAGS = {0x02: "SYN", 0x10: "ACK", 0x01: "FIN", 0x04: "RST", 0x08: "PSH", 0x20: "URG"}
_EXTENSIONS = frozenset({0, 43, 60})  # hop-by-hop options, routing, destination options
_ICMP_NUMBERS = frozenset({1, 58})
_FRAGMENT = 44
_MAX_EXTENSIONS = 8


def dissect_ip(octets: bytes, name: str = "Inner packet") -> Layer:
    """An IP packet. Never raises."""
    return layer(name, octets, _packet)


def dissect_upper(protocol: int, octets: bytes, name: str = "Inner payload") -> Layer:
    """What an IP header of this protocol has behind it, as transport mode carries it. Never raises."""
    return layer(name, octets, lambda fields: upper(fields, protocol))


def _packet(fields: Fields) -> str:
    version = fields.peek(1)[0] >> 4 if fields.remaining else 0
    if version == 4:
        return _ipv4(fields)
    if version == 6:
        return _ipv6(fields)
    fields.rest("Data")
    return "no IP packet"


def _address(data: bytes) -> str:
    return str(ip_address(data))


def _ipv4(fields: Fields) -> str:
    start, head = fields.at, fields.peek(20)
    size = (head[0] & 15) * 4
    fields.part("IPv4 header", max(size, 20), ipv4_header, "frame.ipv4")
    if len(head) < 20:
        return "a cut IPv4 packet"
    offset = int.from_bytes(head[6:8], "big") & 0x1FFF
    total = int.from_bytes(head[2:4], "big")
    told = f"{_address(head[12:16])} to {_address(head[16:20])}"
    return f"{told}, {_rest(fields, start + total, head[9], first=not offset)}"


def ipv4_header(fields: Fields) -> str:
    """With its options: RFC 791 3.1."""
    fields.number(1, "Version and header length", lambda both: f"{both >> 4}, {(both & 15) * 4} octets")
    fields.number(1, "Type of service", lambda octet: f"DSCP {octet >> 2}, ECN {octet & 3}")
    fields.number(2, "Total length", key="frame.length")
    fields.number(2, "Identification")
    fields.number(2, "Flags and fragment offset", _fragment)
    fields.number(1, "Time to live", key="frame.ttl")
    protocol = fields.number(1, "Protocol", of(names.IP_PROTOCOLS))
    fields.take(2, "Header checksum")
    source, destination = fields.take(4, "Source", _address), fields.take(4, "Destination", _address)
    fields.rest("Options")
    return f"{_address(source)} to {_address(destination)}, {names.short(names.IP_PROTOCOLS, protocol)}"


def _fragment(word: int) -> str:
    told = [text for bit, text in ((0x4000, "don't fragment"), (0x2000, "more fragments")) if word & bit]
    return ", ".join([*told, f"offset {(word & 0x1FFF) * 8}"])


def _ipv6(fields: Fields) -> str:
    start, head = fields.at, fields.peek(40)
    fields.part("IPv6 header", 40, ipv6_header, "frame.ipv6")
    if len(head) < 40:
        return "a cut IPv6 packet"
    end = start + 40 + int.from_bytes(head[4:6], "big")
    protocol, first = head[6], True
    for _ in range(_MAX_EXTENSIONS):
        if protocol in _EXTENSIONS and fields.remaining >= 8:
            following, size = fields.peek(1)[0], 8 + fields.peek(1, 1)[0] * 8
            fields.take(min(size, fields.remaining), f"Extension header {protocol}")
        elif protocol == _FRAGMENT and fields.remaining >= 8:
            following, first = fields.peek(1)[0], int.from_bytes(fields.peek(2, 2), "big") >> 3 == 0
            fields.take(8, "Fragment header")
        else:
            break
        protocol = following
    told = f"{_address(head[8:24])} to {_address(head[24:40])}"
    return f"{told}, {_rest(fields, end, protocol, first=first)}"


def ipv6_header(fields: Fields) -> str:
    """Without extension headers: RFC 8200 3."""
    fields.number(4, "Version, traffic class, flow label", _version_class_flow)
    fields.number(2, "Payload length", key="frame.length")
    following = fields.number(1, "Next header", of(names.IP_PROTOCOLS))
    fields.number(1, "Hop limit", key="frame.ttl")
    source, destination = fields.take(16, "Source", _address), fields.take(16, "Destination", _address)
    return f"{_address(source)} to {_address(destination)}, {names.short(names.IP_PROTOCOLS, following)}"


def _version_class_flow(word: int) -> str:
    return f"{word >> 28}, DSCP {word >> 22 & 63}, ECN {word >> 20 & 3}, flow {word & 0xFFFFF:#x}"


def _rest(fields: Fields, end: int, protocol: int, *, first: bool) -> str:
    """The upper protocol, and behind the packet's own length what was padded on (RFC 4303 2.7)."""
    size = min(max(end - fields.at, 0), fields.remaining)
    if not first:
        fields.take(size, "Fragment")
        told = f"a later fragment of {names.short(names.IP_PROTOCOLS, protocol)}"
    else:
        name = names.short(names.IP_PROTOCOLS, protocol)
        if size:
            key = "frame.icmp" if protocol in _ICMP_NUMBERS else ""
            fields.part(name, size, lambda inner: upper(inner, protocol), key)
            told = fields.nodes[-1].value
        else:
            told = f"{name}, empty"
    fields.rest("Padding of traffic flow confidentiality")
    return told


def upper(fields: Fields, protocol: int) -> str:
    """What stands behind the IP header; what it is, in words."""
    reader = _UPPER.get(protocol)
    name = names.short(names.IP_PROTOCOLS, protocol)
    if reader is None:
        size = fields.remaining
        fields.rest("Data")
        return f"{name}, {size} octets"
    return f"{name} {reader(fields)}"


def _icmp(fields: Fields, table: dict[int, str]) -> str:
    type = fields.number(1, "Type", of(table))
    code = fields.number(1, "Code")
    fields.take(2, "Checksum")
    told = names.short(table, type)
    if type in _ECHO:
        identifier, sequence = fields.number(2, "Identifier"), fields.number(2, "Sequence number")
        told += f", identifier {identifier}, sequence {sequence}"
    elif code:
        told += f", code {code}"
    fields.rest("Data")
    return told


def _udp(fields: Fields) -> str:
    source, destination = fields.number(2, "Source port"), fields.number(2, "Destination port")
    fields.number(2, "Length")
    fields.take(2, "Checksum")
    size = fields.remaining
    fields.rest("Data")
    return f"{source} to {destination}, {size} octets"


def _tcp(fields: Fields) -> str:
    source, destination = fields.number(2, "Source port"), fields.number(2, "Destination port")
    fields.number(4, "Sequence number")
    fields.number(4, "Acknowledgement number")
    size = fields.number(1, "Data offset", lambda octet: f"{(octet >> 4) * 4} octets") >> 4
    flags = fields.number(1, "Flags", _tcp_flags)
    fields.number(2, "Window")
    fields.take(2, "Checksum")
    fields.take(2, "Urgent pointer")
    if size > 5:
        fields.take(min(size * 4 - 20, fields.remaining), "Options")
    data = fields.remaining
    fields.rest("Data")
    return f"{source} to {destination}, {_tcp_flags(flags)}, {data} octets"


def _tcp_flags(flags: int) -> str:
    return " ".join(name for bit, name in _TCP_FLAGS.items() if flags & bit) or "no flags"


_UPPER: dict[int, Callable[[Fields], str]] = {
    1: lambda fields: _icmp(fields, _ICMP),
    6: _tcp,
    17: _udp,
    58: lambda fields: _icmp(fields, _ICMPV6),
}
