"""Vendor IDs by name (RFC 7296 3.12): a vendor may choose any octets, often the MD5 hash of a text."""

from __future__ import annotations

from hashlib import md5


def _hash(text: str) -> bytes:
    return md5(text.encode(), usedforsecurity=False).digest()


# Whole IDs, or what they begin with. Those of IKEv1 are here as well: many send them in IKEv2, too.
_HASHED = {
    "strongSwan": "strongSwan",
    "RFC 3947": "NAT traversal of IKEv1 (RFC 3947)",
    "draft-ietf-ipsec-nat-t-ike-03": "NAT traversal of IKEv1, draft 03",
    "draft-ietf-ipsec-nat-t-ike-02": "NAT traversal of IKEv1, draft 02",
    "draft-ietf-ipsec-nat-t-ike-02\n": "NAT traversal of IKEv1, draft 02 (with newline)",
    "draft-ietf-ipsec-nat-t-ike-00": "NAT traversal of IKEv1, draft 00",
    "FRAGMENTATION": "fragmentation of IKEv1",
    "MS NT5 ISAKMPOAKLEY": "Windows",
    "MS-Negotiation Discovery Capable": "Windows: negotiation discovery",
    "IKE CGA version 1": "Windows: cryptographically generated addresses",
    "Vid-Initial-Contact": "Windows: initial contact",
    "GSSAPI": "Windows: GSSAPI",
    "Opportunistic IPsec": "libreswan: opportunistic IPsec",
}
_HEX = {
    "01528bbbc00696121849ab9a1c5b2a51": "Windows",
    "09002689dfd6b712": "XAUTH (IKEv1)",
    "afcad71368a1f1c96b8696fc7757": "dead peer detection (RFC 3706)",
    "12f5f28c457168a9702d9fe274cc": "Cisco Unity",
    "1f07f70eaa6514d3b0fa96542a50": "Cisco VPN 3000",
    "3e984048": "Cisco IOS",
    "4048b7d56ebce88525e7de7f00d6c2d3": "fragmentation of IKEv1 (Cisco, Windows)",
    "8299031757a36082c6a621de": "Fortinet FortiGate",
    "f4ed19e0c114eb516faaac0ee37daf2807b4381f": "Check Point",
    "699369228741c6d4ca094c93e242c9de19e7b7c6": "Juniper SRX, ScreenOS",
    "404bf439522ca3f6": "SonicWall",
    "5b362bc820f6": "SonicWall",
    "bfc22e9856ba993611c11e48a6d20807a95bedb3": "WatchGuard",
}
_TEXTS = {
    "CISCO-DELETE-REASON": "Cisco: reasons of deletes",
    "CISCO(COPYRIGHT)": "Cisco: copyright",
    "CISCO-DYNAMIC-ROUTE": "Cisco: dynamic routes",
    "CISCOVPN-REV-02": "Cisco VPN",
    "CISCO-GRE-MODE": "Cisco: GRE mode",
    "FLEXVPN-SUPPORTED": "Cisco FlexVPN",
    "OE-Libreswan-": "libreswan",
    "OEN": "Openswan",
    "Openswan": "Openswan",
    "OpenIKED": "OpenIKED",
    "ikepy": "ikepy",
    "FORTINET": "Fortinet",
    "TIMESTEP": "TimeStep",
}
_PREFIXES = [
    *((_hash(text), name) for text, name in _HASHED.items()),
    *((bytes.fromhex(digits), name) for digits, name in _HEX.items()),
    *((text.encode(), name) for text, name in _TEXTS.items()),
]
_MOST_SHOWN = 64  # characters of a text
_LEAST_TEXT = 4


def owner(data: bytes) -> str:
    """Whose ID it is; "" for an unknown one."""
    return next((name for prefix, name in _PREFIXES if data.startswith(prefix)), "")


def vendor(data: bytes) -> str:
    """Whose ID it is, with the ID itself where that is a text; "" for an unknown one that is none."""
    text = data.decode("ascii", "replace")[:_MOST_SHOWN]
    readable = text if len(data) >= _LEAST_TEXT and text.isprintable() and text.isascii() else ""
    known = owner(data)
    if known and readable and readable != known:
        return f"{known} ({readable})"
    return known or readable
