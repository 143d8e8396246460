"""Dissects frames of a link down to what ESP hides: Ethernet, IP, UDP, VXLAN and the segment's frame in it.

RFC 791, RFC 8200, RFC 768, RFC 7348. An Encapsulating Security Payload is one field here, and so is what UDP
carries beside VXLAN: `ikepy.dissect.ike` and sessions know more of them.
"""

from __future__ import annotations

from ikepy.dissect.ip import ipv4_header, ipv6_header, upper
from ikepy.dissect.names import IP_PROTOCOLS, of, short
from ikepy.dissect.tree import Fields, Layer, layer

VXLAN_PORTS = (4789, 8472)  # the second is Linux's own
NAT_T_PORT = 4500
_ETHERTYPES = {0x0800: "IPv4", 0x86DD: "IPv6", 0x0806: "ARP"}
_ESP, _UDP = 50, 17
_DEPTH = 4  # frames inside one another


def dissect_frame(octets: bytes, *, ethernet: bool = True, name: str = "Frame") -> Layer:
    """A frame of a link; `ethernet` False: a device without a link layer, as TUN devices are. Never
    raises."""
    read = _ethernet if ethernet else _ip
    return layer(name, octets, lambda fields: read(fields, _DEPTH))


def _ethernet(fields: Fields, depth: int) -> str:
    def head(inner: Fields) -> str:
        inner.take(6, "Destination", _mac)
        inner.take(6, "Source", _mac)
        inner.number(2, "Type", of(_ETHERTYPES))
        return "the link's header"

    kind = _ETHERTYPES.get(int.from_bytes(fields.peek(2, 12), "big"), "something else")
    fields.part("Ethernet", 14, head, "frame.ethernet")
    if kind.startswith("IP"):
        return f"Ethernet, {_ip(fields, depth)}"
    fields.rest("Content")
    return f"Ethernet, {kind}"


def _ip(fields: Fields, depth: int) -> str:
    """A packet; what it is, in words."""
    first = fields.peek(1)
    version = first[0] >> 4 if first else 0
    if version not in (4, 6) or depth <= 0:
        fields.rest("Content")
        return "no IP packet"
    if version == 4:
        length, total = (first[0] & 15) * 4, int.from_bytes(fields.peek(2, 2), "big")
        whole = total or fields.remaining  # 0 where the kernel has not segmented it yet
        protocol = (fields.peek(1, 9) or b"\0")[0]
        place = int.from_bytes(fields.peek(2, 6), "big") & 0x1FFF
        fields.part("IPv4", length, ipv4_header, "frame.ipv4")
    else:
        length, whole, place = 40, 40 + int.from_bytes(fields.peek(2, 4), "big"), 0
        protocol = (fields.peek(1, 6) or b"\0")[0]
        fields.part("IPv6", length, ipv6_header, "frame.ipv6")
    size = min(max(whole - length, 0), fields.remaining)
    behind = fields.remaining - size
    said = _fragment(fields, size) if place else _carried(fields, protocol, size, depth)
    if behind and fields.remaining >= behind:
        fields.take(behind, "Padding of the link")
    return f"IPv{version}, {said}"


def _fragment(fields: Fields, size: int) -> str:
    if size:
        fields.take(size, "Fragment")
    return "a fragment"


def _carried(fields: Fields, protocol: int, size: int, depth: int) -> str:
    """What an IP packet carries, `size` octets of it."""
    name = short(IP_PROTOCOLS, protocol)
    if not size:
        return f"{name}, empty"
    if protocol == _UDP and size >= 8:
        return _udp(fields, size, depth)
    if protocol == _ESP:
        fields.take(size, "ESP", _esp, "esp")
        return "ESP"
    fields.part(name, size, lambda inner: upper(inner, protocol), "frame.icmp" if "ICMP" in name else "")
    return fields.nodes[-1].value


def _udp(fields: Fields, size: int, depth: int) -> str:
    source, destination = (int.from_bytes(fields.peek(2, skip), "big") for skip in (0, 2))
    fields.part("UDP", 8, _udp_header, "frame.udp")
    size -= 8
    if destination in VXLAN_PORTS and size >= 8:
        fields.part("VXLAN", 8, _vxlan, "frame.vxlan")
        fields.part(
            "Frame of the segment", size - 8, lambda inner: _ethernet(inner, depth - 1), "frame.segment"
        )
        return f"UDP, VXLAN, {fields.nodes[-1].value}"
    if NAT_T_PORT in (source, destination) and fields.peek(4) != bytes(4) and size > 1:
        fields.take(size, "ESP", _esp, "esp")
        return "UDP, ESP"
    if size:
        fields.take(size, "Data")
    return f"UDP {source} to {destination}"


def _udp_header(fields: Fields) -> str:
    source = fields.number(2, "Source port")
    destination = fields.number(2, "Destination port")
    fields.number(2, "Length")
    fields.take(2, "Checksum")
    return f"{source} to {destination}"


def _vxlan(fields: Fields) -> str:
    fields.take(1, "Flags")
    fields.reserved(3)
    segment = fields.number(3, "VXLAN network identifier", key="frame.vni")
    fields.reserved(1)
    return f"segment {segment}"


def _esp(octets: bytes) -> str:
    return f"SPI {octets[:4].hex()}, {len(octets)} octets"


def _mac(octets: bytes) -> str:
    return octets.hex(":")
