"""MSS clamping: lowers the MSS that TCP handshakes announce, so that segments fit the tunnel (RFC 9293
3.7.1)."""

from __future__ import annotations

PROTOCOL_TCP = 6
FLAGS_FIN_SYN_RST = 0x07
FLAG_SYN = 0x02
OPTION_END, OPTION_NOP, OPTION_MSS = 0, 1, 2
IPV4_HEADER = 20  # without options
IPV6_HEADER = 40
FRAGMENTED = 0x3FFF  # IPv4: More Fragments or an offset, but not Don't Fragment
TCP_HEADER = 20

Buffer = bytes | bytearray | memoryview


def is_handshake(packet: Buffer) -> bool:
    """Whether this may be a TCP SYN: a quick check, which `clamp` makes exact. `packet`: at least its
    headers."""
    if len(packet) < IPV4_HEADER + TCP_HEADER:
        return False
    if packet[0] >> 4 == 4:
        flags = (packet[0] & 15) * 4 + 13
        return packet[9] == PROTOCOL_TCP and flags < len(packet) and bool(packet[flags] & FLAG_SYN)
    flags = IPV6_HEADER + 13
    return packet[6] == PROTOCOL_TCP and flags < len(packet) and bool(packet[flags] & FLAG_SYN)


def clamp(packet: Buffer, mss4: int, mss6: int) -> bytes | None:
    """A copy of the IP packet with its MSS option lowered to `mss4` or `mss6`; None: nothing to change.

    Only a whole TCP SYN or SYN-ACK is touched, and only if it announces more than the bound (in bytes;
    0: no bound). Fragments, IPv6 extension headers and anything that doesn't parse are left alone. A
    handshake without the option stays so: its sender then assumes the small default of RFC 9293.
    """
    tcp, stop, limit = _segment(packet, mss4, mss6)
    if tcp == 0 or packet[tcp + 13] & FLAGS_FIN_SYN_RST != FLAG_SYN:
        return None
    end = tcp + (packet[tcp + 12] >> 4) * 4
    if end > stop:
        return None
    places = [at for at in _mss_options(packet, tcp + TCP_HEADER, end) if _u16(packet, at) > limit]
    if not places:
        return None
    changed = bytearray(packet)
    for at in places:
        _replace(changed, tcp, at, limit)
    return bytes(changed)


def _segment(packet: Buffer, mss4: int, mss6: int) -> tuple[int, int, int]:
    """Where the TCP segment of a whole packet begins and ends, and the bound for it; else zeros."""
    size = len(packet)
    if size < IPV4_HEADER + TCP_HEADER:
        return 0, 0, 0
    version = packet[0] >> 4
    if version == 4 and mss4 and packet[9] == PROTOCOL_TCP:
        start, stop, limit = (packet[0] & 15) * 4, _u16(packet, 2), mss4
        if start < IPV4_HEADER or _u16(packet, 6) & FRAGMENTED:
            return 0, 0, 0
    elif version == 6 and mss6 and packet[6] == PROTOCOL_TCP:
        start, stop, limit = IPV6_HEADER, IPV6_HEADER + _u16(packet, 4), mss6
    else:
        return 0, 0, 0
    return (start, stop, limit) if start + TCP_HEADER <= stop <= size else (0, 0, 0)


def _mss_options(packet: Buffer, at: int, end: int) -> list[int]:
    """Where in the TCP options from `at` to `end` an MSS stands; none if the list is malformed."""
    found: list[int] = []
    while at < end:
        kind = packet[at]
        if kind == OPTION_END:
            break
        if kind == OPTION_NOP:
            at += 1
            continue
        length = packet[at + 1] if at + 1 < end else 0
        if length < 2 or at + length > end:
            return []
        if kind == OPTION_MSS and length == 4:
            found.append(at + 2)
        at += length
    return found


def _replace(packet: bytearray, tcp: int, at: int, value: int) -> None:
    """Write the MSS at `at` and update the TCP checksum (RFC 1624 eqn. 3): a wrong one stays wrong."""
    old, new = _u16(packet, at), value
    packet[at : at + 2] = value.to_bytes(2, "big")
    if (at - tcp) % 2:
        # The option straddles two words of the sum: its octets count in swapped order.
        old, new = _swapped(old), _swapped(new)
    total = (~_u16(packet, tcp + 16) & 0xFFFF) + (~old & 0xFFFF) + new
    total = (total & 0xFFFF) + (total >> 16)
    total = (total & 0xFFFF) + (total >> 16)
    packet[tcp + 16 : tcp + 18] = (~total & 0xFFFF).to_bytes(2, "big")


def _u16(packet: Buffer, at: int) -> int:
    return packet[at] << 8 | packet[at + 1]


def _swapped(word: int) -> int:
    return (word & 0xFF) << 8 | word >> 8
