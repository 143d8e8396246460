"""The lab's dissector, with scapy making the frames."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st
from scapy.layers.inet import ICMP, IP, TCP, UDP
from scapy.layers.inet6 import ICMPv6EchoRequest, ICMPv6ND_NS, IPv6, IPv6ExtHdrFragment
from scapy.layers.ipsec import ESP
from scapy.layers.isakmp import ISAKMP
from scapy.layers.l2 import ARP, Ether
from scapy.layers.vxlan import VXLAN
from scapy.packet import Packet, Raw

from ikepy.lab.dissect import ARPHRD_ETHER, dissect

ARPHRD_NONE = 0xFFFE
MAC = "02:00:00:00:00:01"


def ether(kind: int | None = None) -> Packet:
    """Addresses are given everywhere: scapy would ask the real network for what is missing."""
    return Ether(src=MAC, dst=MAC) if kind is None else Ether(src=MAC, dst=MAC, type=kind)


OUTER = IP(src="192.0.2.1", dst="192.0.2.2")
INNER = ether() / IP(src="10.1.0.11", dst="10.2.0.10") / ICMP()
INIT = ISAKMP(version=0x20, exch_type=34, init_cookie=b"12345678")
AUTH = ISAKMP(version=0x20, exch_type=35, init_cookie=b"12345678")

FRAMES: list[tuple[Packet, str]] = [
    (ether() / ARP(psrc="192.0.2.1", hwsrc=MAC), "Ethernet / ARP"),
    (INNER, "Ethernet / IPv4 / ICMP"),
    (ether() / OUTER / TCP(), "Ethernet / IPv4 / TCP"),
    (ether() / OUTER / UDP(sport=53, dport=53), "Ethernet / IPv4 / UDP"),
    (ether() / IPv6(src="2001:db8::1", dst="2001:db8::2") / ICMPv6EchoRequest(), "Ethernet / IPv6 / ICMPv6"),
    (
        ether() / IPv6(src="2001:db8::1", dst="2001:db8::2") / ICMPv6ND_NS(),
        "Ethernet / IPv6 / ICMPv6 / neighbours",
    ),
    (
        ether() / OUTER / UDP(dport=4789) / VXLAN(vni=100) / INNER,
        "Ethernet / IPv4 / UDP 4789 / VXLAN 100 / Ethernet / IPv4 / ICMP",
    ),
    (
        ether() / OUTER / UDP(dport=8472) / VXLAN(vni=100) / INNER,
        "Ethernet / IPv4 / UDP 8472 / VXLAN 100 / Ethernet / IPv4 / ICMP",
    ),
    (ether() / OUTER / UDP(sport=500, dport=500) / INIT, "Ethernet / IPv4 / UDP 500 / IKE IKE_SA_INIT"),
    (
        ether() / OUTER / UDP(sport=4500, dport=4500) / Raw(bytes(4)) / AUTH,
        "Ethernet / IPv4 / UDP 4500 / IKE IKE_AUTH",
    ),
    (
        ether() / OUTER / UDP(sport=61000, dport=4500) / Raw(b"\x00\x00\x10\x00\x00\x00\x00\x01" + bytes(40)),
        "Ethernet / IPv4 / UDP 4500 / ESP",
    ),
    (
        ether() / OUTER / UDP(sport=4500, dport=4500) / Raw(b"\xff"),
        "Ethernet / IPv4 / UDP 4500 / NAT keepalive",
    ),
    (ether() / OUTER / ESP(spi=4096, seq=1), "Ethernet / IPv4 / ESP"),
    (ether(0x88CC) / Raw(b"lldp"), "Ethernet / ?"),
]


@pytest.mark.parametrize(("frame", "stack"), FRAMES, ids=[stack for _, stack in FRAMES])
def test_stack(frame: Packet, stack: str) -> None:
    assert str(dissect(bytes(frame))) == stack


def test_bare_ip_on_a_tun_device() -> None:
    packet = bytes(IP(src="10.1.0.11", dst="10.2.0.10") / ICMP())
    assert dissect(packet, ARPHRD_NONE).layers == ("IPv4", "ICMP")


def test_outermost_addresses() -> None:
    frame = dissect(bytes(ether() / OUTER / UDP(dport=4789) / VXLAN(vni=100) / INNER))
    assert (str(frame.source), str(frame.destination)) == ("192.0.2.1", "192.0.2.2")


def test_fragments_of_ipv4() -> None:
    first = dissect(
        bytes(
            ether()
            / IP(dst="192.0.2.2", src="192.0.2.1", flags="MF", proto=17)
            / UDP(sport=4500, dport=4500)
            / Raw(bytes(40))
        )
    )
    later = dissect(
        bytes(ether() / IP(dst="192.0.2.2", src="192.0.2.1", frag=100, proto=50) / Raw(bytes(40)))
    )
    assert first.fragment
    assert later.fragment
    assert later.layers == ("Ethernet", "IPv4", "ESP", "fragment")


def test_fragments_of_ipv6() -> None:
    later = dissect(
        bytes(
            ether()
            / IPv6(src="2001:db8::1", dst="2001:db8::2")
            / IPv6ExtHdrFragment(nh=50, offset=100)
            / Raw(bytes(40))
        )
    )
    assert later.fragment
    assert later.layers == ("Ethernet", "IPv6", "ESP", "fragment")


def test_a_packet_with_df_is_no_fragment() -> None:
    assert not dissect(bytes(ether() / IP(dst="192.0.2.2", src="192.0.2.1", flags="DF") / ICMP())).fragment


@pytest.mark.parametrize(("frame", "stack"), FRAMES, ids=[stack for _, stack in FRAMES])
def test_cut_short(frame: Packet, stack: str) -> None:
    """Every beginning of a frame has a stack that is a beginning too, up to the first unknown."""
    data = bytes(frame)
    for length in range(len(data)):
        assert dissect(data[:length]).layers


@given(st.binary(max_size=200), st.sampled_from([ARPHRD_ETHER, ARPHRD_NONE]))
def test_never_raises(data: bytes, link: int) -> None:
    assert dissect(data, link).layers
