"""Frames of the lab's links in words, down to what ESP hides."""

from __future__ import annotations

import pytest
from scapy.layers.inet import ICMP, IP, UDP
from scapy.layers.inet6 import ICMPv6EchoRequest, IPv6
from scapy.layers.l2 import ARP, Ether
from scapy.layers.vxlan import VXLAN

from ikepy.dissect.frames import dissect_frame
from ikepy.dissect.tree import Layer

PING = IP(src="10.1.0.11", dst="10.2.0.10") / ICMP(type=8, id=7, seq=3) / (b"x" * 56)
OUTER = IP(src="192.0.2.10", dst="198.51.100.10")
TUNNELLED = bytes(Ether() / OUTER / UDP(dport=4789) / VXLAN(vni=100) / Ether() / PING)


def value(layer: Layer, name: str) -> str:
    node = layer.node.find(name)
    assert node is not None
    return node.value


def test_a_frame_within_a_frame() -> None:
    layer = dissect_frame(TUNNELLED)
    assert layer.node.value.startswith("Ethernet, IPv4, UDP, VXLAN, Ethernet, IPv4, ICMP echo request")
    assert value(layer, "VXLAN network identifier") == "100"
    assert value(layer, "Sequence number") == "3"
    assert [node.name for node in layer.node.children] == [
        "Ethernet",
        "IPv4",
        "UDP",
        "VXLAN",
        "Frame of the segment",
    ]
    assert layer.problems == ()


def test_every_octet_has_one_field() -> None:
    layer = dissect_frame(TUNNELLED)
    leaves = [node for node in layer.node.walk() if not node.children]
    assert [octet for node in leaves for octet in range(node.start, node.end)] == list(range(len(TUNNELLED)))


def test_without_ethernet_and_ipv6() -> None:
    packet = bytes(IPv6(src="fd00:1::11", dst="fd00:2::10") / ICMPv6EchoRequest(id=1, seq=9))
    layer = dissect_frame(packet, ethernet=False)
    assert layer.node.value.startswith("IPv6, ICMPv6 echo request")
    assert value(layer, "IPv6").startswith("fd00:1::11 to fd00:2::10")


@pytest.mark.parametrize(
    ("frame", "said"),
    [
        (bytes(Ether() / IP(proto=50) / (b"\x12\x34\x56\x78" + bytes(40))), "Ethernet, IPv4, ESP"),
        (bytes(Ether() / IP() / UDP(sport=4500, dport=4500) / (b"\x12" * 40)), "Ethernet, IPv4, UDP, ESP"),
        (
            bytes(Ether() / IP() / UDP(sport=500, dport=500) / (b"\x12" * 40)),
            "Ethernet, IPv4, UDP 500 to 500",
        ),
        (bytes(Ether() / ARP()), "Ethernet, ARP"),
        (bytes(Ether() / IP(frag=2, proto=17) / (b"x" * 16)), "Ethernet, IPv4, a fragment"),
        (bytes(Ether() / IP(proto=6) / (b"x" * 20)), "Ethernet, IPv4, TCP"),
    ],
)
def test_said(frame: bytes, said: str) -> None:
    assert dissect_frame(frame).node.value.startswith(said)


def test_the_links_padding_is_no_part_of_the_packet() -> None:
    layer = dissect_frame(bytes(Ether() / IP() / ICMP(type=8)) + bytes(18))
    padding = layer.node.find("Padding of the link")
    assert padding is not None
    assert padding.end - padding.start == 18


def test_whatever_comes() -> None:
    for end in range(len(TUNNELLED)):
        dissect_frame(TUNNELLED[:end])
    for place in range(len(TUNNELLED)):
        broken = bytearray(TUNNELLED)
        broken[place] ^= 0xFF
        dissect_frame(bytes(broken))
        dissect_frame(bytes(broken), ethernet=False)
