"""Name the protocol stack of a captured frame, from the link up to what IPsec hides.

Only what the lab's links carry: Ethernet, ARP, IPv4, IPv6, ICMP, TCP, UDP, VXLAN (RFC 7348), IKE and ESP on
their ports (RFC 7296 2.23, RFC 3948) and ESP itself (RFC 4303). Anything else, or anything cut short, ends
the stack with "?".
"""

from __future__ import annotations

from dataclasses import dataclass
from ipaddress import IPv4Address, IPv6Address, ip_address

ARPHRD_ETHER = 1

_ETHERTYPES = {0x0800: "IPv4", 0x86DD: "IPv6", 0x0806: "ARP"}
_IP_PROTOCOLS = {1: "ICMP", 2: "IGMP", 6: "TCP", 17: "UDP", 50: "ESP", 58: "ICMPv6"}
_EXCHANGES = {
    34: "IKE_SA_INIT",
    35: "IKE_AUTH",
    36: "CREATE_CHILD_SA",
    37: "INFORMATIONAL",
    43: "IKE_INTERMEDIATE",
    44: "IKE_FOLLOWUP_KE",
}
_VXLAN_PORTS = (4789, 8472)  # the second is Linux's own
_IKE_PORT = 500
_NAT_T_PORT = 4500
# ICMPv6 types of neighbour and multicast listener discovery: not tunnel traffic (RFC 4861, RFC 2710).
_NEIGHBOURHOOD_TYPES = frozenset({130, 131, 132, 133, 134, 135, 136, 143})
NEIGHBOURHOOD = "neighbours"

Address = IPv4Address | IPv6Address


@dataclass(frozen=True, slots=True)
class Frame:
    """`layers` from the outside in, for example ("Ethernet", "IPv4", "UDP 4500", "ESP").

    `source` and `destination` are the outermost IP addresses; `fragment` tells that this IP layer is one.
    """

    layers: tuple[str, ...]
    source: Address | None = None
    destination: Address | None = None
    fragment: bool = False

    def __str__(self) -> str:
        return " / ".join(self.layers)


def dissect(data: bytes, link: int = ARPHRD_ETHER) -> Frame:
    """The stack of one frame (or of its first bytes). `link` is the device's ARPHRD type; any but Ethernet is
    taken to carry bare IP. Never raises."""
    return _ethernet(data) if link == ARPHRD_ETHER else _ip(data)


def _under(name: str, inner: Frame) -> Frame:
    return Frame((name, *inner.layers), inner.source, inner.destination, inner.fragment)


def _ethernet(data: bytes) -> Frame:
    if len(data) < 14:
        return Frame(("?",))
    kind = _ETHERTYPES.get(int.from_bytes(data[12:14]))
    if kind == "ARP":
        return Frame(("Ethernet", "ARP"))
    if kind is None:
        return Frame(("Ethernet", "?"))
    return _under("Ethernet", _ip(data[14:]))


def _ip(data: bytes) -> Frame:
    version = data[0] >> 4 if data else 0
    if version == 4 and len(data) >= 20:
        header, protocol = (data[0] & 15) * 4, data[9]
        place = int.from_bytes(data[6:8])
        fragment, first = place & 0x3FFF != 0, place & 0x1FFF == 0  # more to come, or an offset
        source, destination = ip_address(data[12:16]), ip_address(data[16:20])
    elif version == 6 and len(data) >= 40:
        header, protocol, fragment, first = 40, data[6], False, True
        source, destination = ip_address(data[8:24]), ip_address(data[24:40])
        if protocol == 0 and len(data) >= 48:  # hop-by-hop options, as multicast listener reports have
            protocol, header = data[40], 48 + data[41] * 8
        elif protocol == 44 and len(data) >= 48:
            protocol, header, fragment = data[40], 48, True
            first = int.from_bytes(data[42:44]) >> 3 == 0
    else:
        return Frame(("?",))
    inner = _transport(protocol, data[header:], first)
    return Frame((f"IPv{version}", *inner), source, destination, fragment)


def _transport(protocol: int, data: bytes, first: bool) -> tuple[str, ...]:
    name = _IP_PROTOCOLS.get(protocol, f"protocol {protocol}")
    if not first:
        return (name, "fragment")
    if name == "IGMP":
        return (name, NEIGHBOURHOOD)
    if name == "ICMPv6" and data and data[0] in _NEIGHBOURHOOD_TYPES:
        return (name, NEIGHBOURHOOD)
    if name == "UDP":
        return _udp(data)
    return (name,)


def _udp(data: bytes) -> tuple[str, ...]:
    if len(data) < 8:
        return ("UDP", "?")
    ports = (int.from_bytes(data[0:2]), int.from_bytes(data[2:4]))
    body = data[8:]
    if ports[1] in _VXLAN_PORTS and len(body) >= 8:
        vni = int.from_bytes(body[4:7])
        return (f"UDP {ports[1]}", f"VXLAN {vni}", *_ethernet(body[8:]).layers)
    if _NAT_T_PORT in ports:
        return (f"UDP {_NAT_T_PORT}", _nat_traversal(body))
    if _IKE_PORT in ports:
        return (f"UDP {_IKE_PORT}", _ike(body))
    return ("UDP",)


def _nat_traversal(body: bytes) -> str:
    """What port 4500 carries (RFC 3948 2): a keepalive, IKE behind four zero bytes, or ESP."""
    if body == b"\xff":
        return "NAT keepalive"
    if body[:4] == bytes(4):
        return _ike(body[4:])
    return "ESP" if len(body) >= 8 else "?"


def _ike(message: bytes) -> str:
    if len(message) < 28 or message[17] >> 4 != 2:
        return "?"
    return f"IKE {_EXCHANGES.get(message[18], message[18])}"
