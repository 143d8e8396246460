"""What a page finds in frames: IKE and ESP of the uplinks, pings of all other links."""

from __future__ import annotations

import pytest
from scapy.layers.inet import ICMP, IP, UDP
from scapy.layers.inet6 import ICMPv6EchoReply, IPv6
from scapy.layers.l2 import Ether
from scapy.layers.vxlan import VXLAN

from ikepy.web.lab.inner import echo_of
from ikepy.web.lab.udp import datagram_of

ETHERNET, NONE = 1, 65534
OUTER = IP(src="192.0.2.10", dst="198.51.100.10")
IKE = bytes(17) + b"\x20\x22" + bytes(9)
PING = IP(src="10.1.0.11", dst="10.2.0.10") / ICMP(type=8, id=7, seq=3) / b"data"
PONG = IP(src="10.2.0.10", dst="10.1.0.11") / ICMP(type=0, id=7, seq=3) / b"data"


def test_ike_with_and_without_a_marker() -> None:
    plain = datagram_of(bytes(Ether() / OUTER / UDP(sport=500, dport=500) / IKE), ETHERNET)
    marked = datagram_of(bytes(Ether() / OUTER / UDP(sport=4500, dport=4500) / (bytes(4) + IKE)), ETHERNET)
    assert plain is not None
    assert marked is not None
    assert plain.ike == marked.ike == IKE
    assert (str(plain.source), plain.source_port, marked.destination_port) == ("192.0.2.10", 500, 4500)


def test_esp_in_udp_and_alone() -> None:
    esp = b"\x12\x34\x56\x78" + bytes(28)
    natted = datagram_of(bytes(Ether() / OUTER / UDP(sport=4500, dport=1024) / esp), ETHERNET)
    native = datagram_of(bytes(IP(src="192.0.2.10", dst="198.51.100.10", proto=50) / esp), NONE)
    assert natted is not None
    assert native is not None
    assert natted.esp == native.esp == esp
    assert natted.ike is None


@pytest.mark.parametrize(
    "frame",
    [
        b"",
        bytes(Ether() / OUTER / UDP(sport=4500, dport=4500) / b"\xff"),
        bytes(Ether() / OUTER / UDP(sport=53, dport=53) / IKE),
        bytes(Ether() / IP(src="192.0.2.1", dst="192.0.2.2", flags="MF") / UDP(dport=500) / IKE),
        bytes(Ether(type=0x806)) + bytes(28),
        bytes(Ether() / PING),
    ],
)
def test_no_datagram_of_a_tunnel(frame: bytes) -> None:
    for end in range(len(frame) + 1):
        assert datagram_of(frame[:end], ETHERNET) is None


def test_a_ping_and_its_answer_have_the_same_key_on_every_link() -> None:
    bare, framed = echo_of(bytes(PING), NONE), echo_of(bytes(Ether() / PING), ETHERNET)
    pods = Ether() / IP(src="10.244.0.11", dst="10.244.0.1")
    tunnelled = echo_of(bytes(pods / UDP(dport=4789) / VXLAN(vni=100) / Ether() / PING), ETHERNET)
    answer = echo_of(bytes(Ether() / PONG), ETHERNET)
    assert bare is not None
    assert bare == framed == tunnelled
    assert bare.sequence == 3
    assert answer is not None
    assert (answer.key, answer.is_reply) == (bare.key, True)


def test_pings_of_ipv6_and_what_is_none() -> None:
    six = echo_of(bytes(IPv6(src="fd00:1::11", dst="fd00:2::10") / ICMPv6EchoReply(id=1, seq=2)), NONE)
    assert six is not None
    assert six.is_reply
    frame = bytes(Ether() / PING)
    for end in range(42):
        assert echo_of(frame[:end], ETHERNET) is None
    assert echo_of(bytes(Ether() / OUTER / UDP(dport=500) / IKE), ETHERNET) is None
