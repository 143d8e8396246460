"""Finds IKE and ESP in captured packets: from the link up to UDP, and IP fragments put together.

Ethernet with VLAN tags, PPPoE (RFC 2516 4), PPP (RFC 1661 2, RFC 1662 3.1), Linux's cooked captures,
loopback, bare IP; RFC 791 3.2, RFC 8200 4.5 (fragments). Bounded: fragments that stay alone are forgotten.
"""

from __future__ import annotations

from collections import Counter, OrderedDict
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from ipaddress import ip_address

from ikepy.dissect.capture import Packet
from ikepy.sa.api.path import Endpoint

UDP, ESP = 17, 50
_FRAGMENT, _EXTENSIONS = 44, frozenset({0, 43, 60})
_ETHERTYPES, _TAGS = frozenset({0x0800, 0x86DD}), frozenset({0x8100, 0x88A8, 0x9100})
# LINKTYPE -> octets in front of the EtherType, and where the packet begins (without tags)
_ETHERNET, _SLL, _SLL2 = 1, 113, 276
_NULL, _LOOP = 0, 108
_RAW = frozenset({12, 14, 101, 228, 229})
_PPP = frozenset({9, 50})
_PPPOE, _PPPOE_SESSION = 51, 0x8864  # LINKTYPE and EtherType
_LINKS = _RAW | _PPP | {_ETHERNET, _SLL, _SLL2, _NULL, _LOOP, _PPPOE}
_PPP_PROTOCOLS = frozenset({0x0021, 0x0057})  # of IPv4 and IPv6
_PPP_FRAMING = b"\xff\x03"  # address and control of HDLC, which may be left out
MAX_WAITING = 256  # IP packets whose fragments wait
MAX_PACKET = 65535  # octets
MAX_PARTS = 1400  # fragments of an IP packet: one of 65535 octets has 1366 over IPv4's least MTU
_MAX_HEADERS = 8


@dataclass(frozen=True, slots=True)
class Datagram:
    """A UDP datagram's content, or an ESP packet (`protocol` 50; then the ports are 0)."""

    time_s: float
    source: Endpoint
    destination: Endpoint
    payload: bytes
    protocol: int = UDP


@dataclass(slots=True)
class _Fragments:
    parts: dict[int, bytes] = field(default_factory=dict)  # by offset
    size: int | None = None  # of all, known from the last one
    octets: int = 0  # that are there

    def whole(self) -> bytes | None:
        """The payload, None while something is missing. Overlaps are taken as they come."""
        if self.size is None or self.octets < self.size:
            return None
        data = bytearray()
        for offset in sorted(self.parts):
            if offset > len(data):
                return None
            data[offset:] = self.parts[offset]
        return bytes(data) if len(data) >= self.size else None


class Datagrams:
    """Iterates over what UDP and ESP carry in these packets. `unread`: LINKTYPEs of packets that are passed
    over, and how many these are."""

    def __init__(self, packets: Iterable[Packet]) -> None:
        self._packets = packets
        self.unread: Counter[int] = Counter()
        self._waiting: OrderedDict[bytes, _Fragments] = OrderedDict()

    @property
    def kept(self) -> int:
        """Octets of fragments that wait for others."""
        return sum(one.octets for one in self._waiting.values())

    def __iter__(self) -> Iterator[Datagram]:
        for packet in self._packets:
            if packet.link not in _LINKS:
                self.unread[packet.link] += 1
                continue
            found = self._ip(packet.time_s, _network(packet))
            if found is not None:
                yield found

    def _ip(self, time_s: float, data: bytes) -> Datagram | None:
        version = data[0] >> 4 if data else 0
        if version == 4 and len(data) >= 20:
            return self._ipv4(time_s, data)
        if version == 6 and len(data) >= 40:
            return self._ipv6(time_s, data)
        return None

    def _ipv4(self, time_s: float, data: bytes) -> Datagram | None:
        size, total = (data[0] & 15) * 4, int.from_bytes(data[2:4], "big")
        place, protocol = int.from_bytes(data[6:8], "big"), data[9]
        payload = data[size : total or None]
        if place & 0x3FFF:
            name = data[12:20] + bytes([protocol]) + data[4:6]
            whole = self._join(name, (place & 0x1FFF) * 8, payload, more=bool(place & 0x2000))
            if whole is None:
                return None
            payload = whole
        return _transport(time_s, data[12:16], data[16:20], protocol, payload)

    def _ipv6(self, time_s: float, data: bytes) -> Datagram | None:
        at, protocol, end = 40, data[6], 40 + int.from_bytes(data[4:6], "big")
        for _ in range(_MAX_HEADERS):
            if protocol in _EXTENSIONS and len(data) >= at + 8:
                protocol, at = data[at], at + 8 + data[at + 1] * 8
            elif protocol == _FRAGMENT and len(data) >= at + 8:
                place, name = int.from_bytes(data[at + 2 : at + 4], "big"), data[8:40] + data[at + 4 : at + 8]
                whole = self._join(name, place & 0xFFF8, data[at + 8 : end], more=bool(place & 1))
                if whole is None:
                    return None
                return _transport(time_s, data[8:24], data[24:40], data[at], whole)
            else:
                break
        return _transport(time_s, data[8:24], data[24:40], protocol, data[at:end])

    def _join(self, name: bytes, offset: int, payload: bytes, *, more: bool) -> bytes | None:
        if offset + len(payload) > MAX_PACKET:
            return None
        known = self._waiting.setdefault(name, _Fragments())
        room = len(known.parts) < MAX_PARTS and known.octets + len(payload) <= 2 * MAX_PACKET
        if offset not in known.parts and room:
            known.parts[offset] = payload
            known.octets += len(payload)
        if not more:
            known.size = offset + len(payload)
        whole = known.whole()
        if whole is not None:
            del self._waiting[name]
        elif len(self._waiting) > MAX_WAITING:
            self._waiting.popitem(last=False)
        return whole


def _network(packet: Packet) -> bytes:
    """The IP packet of a frame; nothing if there is none."""
    data, link = packet.octets, packet.link
    if link in _RAW:
        return data
    if link in (_NULL, _LOOP):
        return data[4:]
    if link in _PPP:
        return _of_ppp(data.removeprefix(_PPP_FRAMING))
    if link == _PPPOE:
        return _of_pppoe(data)
    if link == _SLL:
        at = 14
    elif link == _SLL2:
        return data[20:] if int.from_bytes(data[:2], "big") in _ETHERTYPES else b""
    else:
        at = 12
    for _ in range(_MAX_HEADERS):
        type = int.from_bytes(data[at : at + 2], "big")
        if type == _PPPOE_SESSION:
            return _of_pppoe(data[at + 2 :])
        if type not in _TAGS:
            return data[at + 2 :] if type in _ETHERTYPES else b""
        at += 4
    return b""


def _of_pppoe(data: bytes) -> bytes:
    length = int.from_bytes(data[4:6], "big")
    return _of_ppp(data[6 : 6 + length])


def _of_ppp(data: bytes) -> bytes:
    """The protocol's first octet may be left out, as it is 0 (RFC 1661 6.5)."""
    size = 1 if data[:1] and data[0] & 1 else 2
    return data[size:] if int.from_bytes(data[:size], "big") in _PPP_PROTOCOLS else b""


def _transport(
    time_s: float, source: bytes, destination: bytes, protocol: int, payload: bytes
) -> Datagram | None:
    ports = (0, 0)
    if protocol == UDP:
        if len(payload) < 8:
            return None
        ports = int.from_bytes(payload[:2], "big"), int.from_bytes(payload[2:4], "big")
        payload = payload[8 : max(int.from_bytes(payload[4:6], "big"), 8)]
    elif protocol != ESP:
        return None
    origin = Endpoint(ip_address(source), ports[0])
    goal = Endpoint(ip_address(destination), ports[1])
    return Datagram(time_s, origin, goal, payload, protocol)
