"""What crosses a link: counts each way, kinds, round trips."""

from __future__ import annotations

from scapy.layers.inet import ICMP, IP, UDP
from scapy.layers.l2 import ARP, Ether
from scapy.layers.vxlan import VXLAN

from ikepy.web.lab.frames import Frame
from ikepy.web.lab.picture import Link
from ikepy.web.lab.traffic import WAITING, Traffic

LINKS = [
    Link("C1", "segment", "cgw", "cgw", "eth1", "Ethernet in VXLAN"),
    Link("L3", "cgw", "internet", "cgw", "eth0", "IKE and ESP"),
]
REQUEST = bytes(IP(src="10.1.0.11", dst="10.2.0.10") / ICMP(type=8, id=7, seq=3))
REPLY = bytes(IP(src="10.2.0.10", dst="10.1.0.11") / ICMP(type=0, id=7, seq=3))


def vxlan(packet: bytes) -> bytes:
    outer = Ether() / IP(src="10.244.0.11", dst="10.244.0.1") / UDP(dport=4789) / VXLAN(vni=100)
    return bytes(outer / Ether(type=0x800) / packet)


def ike(number: int, flags: int) -> bytes:
    head = bytes(16) + bytes([0, 0x20, 37, flags]) + number.to_bytes(4, "big") + (28).to_bytes(4, "big")
    return bytes(Ether() / IP() / UDP(sport=500, dport=500) / head)


def frame(time: float, device: str, octets: bytes, *, outgoing: bool) -> Frame:
    return Frame(time, "cgw", device, outgoing, 1, octets)


def test_pings_in_vxlan_are_counted_and_timed() -> None:
    traffic = Traffic(LINKS)
    traffic.add(frame(1.0, "eth1", vxlan(REQUEST), outgoing=False))  # to cgw: the link's end b
    traffic.add(frame(1.0025, "eth1", vxlan(REPLY), outgoing=True))
    told = traffic.take()
    assert set(told) == {"C1"}
    count = told["C1"]
    assert isinstance(count, dict)
    assert count["packets"] == [1, 1]
    assert round(count["rtt"], 3) == 2.5
    assert count["kinds"] == [["vxlan", True, 1], ["vxlan", False, 1]]
    assert count["stack"] == "Ethernet / IPv4 / UDP 4789 / VXLAN 100 / Ethernet / IPv4 / ICMP"
    assert traffic.take() == {}
    assert traffic.whole()["C1"] == {**count, "kinds": []}


def test_exchanges_of_ike_are_timed_by_their_end() -> None:
    traffic = Traffic(LINKS)
    initiators, responders, response = 0x08, 0x00, 0x20
    traffic.add(frame(1.0, "eth0", ike(5, initiators), outgoing=True))
    traffic.add(frame(1.1, "eth0", ike(5, responders), outgoing=False))  # the peer's own request 5
    traffic.add(frame(1.2, "eth0", ike(5, response | responders), outgoing=False))  # the answer to ours
    count = traffic.take()["L3"]
    assert isinstance(count, dict)
    assert round(count["rtt"]) == 200
    assert count["kinds"] == [["ike", True, 1], ["ike", False, 2]]


def test_neighbours_and_other_devices_are_left_out() -> None:
    traffic = Traffic(LINKS)
    traffic.add(frame(1.0, "eth1", bytes(Ether() / ARP()), outgoing=True))
    traffic.add(frame(1.0, "lo", vxlan(REQUEST), outgoing=True))
    traffic.add(frame(1.0, "eth1", b"", outgoing=True))
    assert "ARP" not in str(traffic.take())


def test_requests_without_an_answer_are_forgotten() -> None:
    traffic = Traffic(LINKS)
    for number in range(WAITING + 50):
        traffic.add(frame(1.0, "eth0", ike(number, 0x08), outgoing=True))
    traffic.add(frame(2.0, "eth0", ike(0, 0x20), outgoing=False))
    count = traffic.take()["L3"]
    assert isinstance(count, dict)
    assert count["rtt"] is None
