"""Finds ICMP echoes in frames, behind VXLAN, too (RFC 792, RFC 4443, RFC 7348)."""

from __future__ import annotations

from dataclasses import dataclass

from ikepy.lab.dissect import ARPHRD_ETHER

_VXLAN_PORTS = (4789, 8472)
_ECHO = {
    (1, 8): False,
    (1, 0): True,
    (58, 128): False,
    (58, 129): True,
}  # protocol, type -> whether it is a reply


@dataclass(frozen=True, slots=True)
class Echo:
    """`key`: the same of a request and its reply: both addresses, the identifier and the sequence number."""

    key: tuple[frozenset[bytes], bytes]
    is_reply: bool

    @property
    def sequence(self) -> int:
        """The number that ping shows as icmp_seq."""
        return int.from_bytes(self.key[1][2:4], "big")


def echo_of(octets: bytes, link: int) -> Echo | None:
    """The echo in a frame, or in the frame that it tunnels; None without one."""
    return _of_ip(octets[14:] if link == ARPHRD_ETHER else octets, 1)


def _of_ip(octets: bytes, depth: int) -> Echo | None:
    version = octets[0] >> 4 if octets else 0
    if version == 4 and len(octets) >= 20:
        protocol, addresses = octets[9], (octets[12:16], octets[16:20])
        body = octets[(octets[0] & 15) * 4 :]
    elif version == 6 and len(octets) >= 40:
        protocol, addresses, body = octets[6], (octets[8:24], octets[24:40]), octets[40:]
    else:
        return None
    if protocol == 17 and depth and int.from_bytes(body[2:4], "big") in _VXLAN_PORTS:
        return _of_ip(body[8 + 8 + 14 :], depth - 1)  # UDP, VXLAN and Ethernet headers
    is_reply = _ECHO.get((protocol, body[0])) if len(body) >= 8 else None
    return None if is_reply is None else Echo((frozenset(addresses), body[4:8]), is_reply)
