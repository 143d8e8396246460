"""A ping's way is put together from the frames of all devices, ESP's among them."""

from __future__ import annotations

from scapy.layers.inet import ICMP, IP
from scapy.layers.l2 import Ether

from ikepy.dissect.ip import dissect_ip
from ikepy.dissect.tree import Layer
from ikepy.lab.bed import Lab
from ikepy.lab.state import Options
from ikepy.web.lab import way
from ikepy.web.lab.frames import Frame

LAB = Lab(Options())
REQUEST = bytes(IP(src="10.1.0.11", dst="10.2.0.10") / ICMP(type=8, id=7, seq=1))
REPLY = bytes(IP(src="10.2.0.10", dst="10.1.0.11") / ICMP(type=0, id=7, seq=1))
OTHER = bytes(IP(src="10.1.0.12", dst="10.2.0.10") / ICMP(type=8, id=9, seq=1))


def esp(inside: bytes) -> bytes:
    """As ESP stands here: an SPI, a number, and the packet in the clear, which `opened` finds."""
    return bytes(
        Ether()
        / IP(src="192.0.2.10", dst="198.51.100.10", proto=50)
        / (b"\x12\x34\x56\x78" + bytes(4) + inside)
    )


def opened(packet: bytes) -> tuple[Layer, ...]:
    inner = dissect_ip(packet[8:])
    return (inner, inner)


def sealed(packet: bytes) -> tuple[Layer, ...]:
    return (dissect_ip(packet[8:]),)


FRAMES = [
    Frame(1.0, "pod1", "vxeth0", True, 1, bytes(Ether() / IP(REQUEST))),
    Frame(1.1, "cgw", "vti0", True, 65534, REQUEST),
    Frame(1.15, "cgw", "eth0", True, 1, esp(OTHER)),
    Frame(1.2, "cgw", "eth0", True, 1, esp(REQUEST)),
    Frame(1.3, "c4", "eth0", False, 1, esp(REQUEST)),
    Frame(1.4, "site", "eth0", False, 1, bytes(Ether() / IP(REQUEST))),
    Frame(1.5, "site", "eth0", True, 1, bytes(Ether() / IP(REPLY))),
    Frame(1.6, "c4", "vti0", True, 65534, REPLY),
    Frame(1.7, "c4", "eth0", True, 1, esp(REPLY)),
    Frame(1.8, "pod1", "vxeth0", False, 1, bytes(Ether() / IP(REPLY))),
]


def places(hops: list[way.Hop]) -> list[tuple[float, str, str]]:
    return [(hop.frame.time, hop.frame.node, hop.frame.device) for hop in hops]


def test_esp_is_found_by_what_is_inside() -> None:
    hops = way.hops(LAB, reversed(FRAMES), opened)
    assert [time for time, _, _ in places(hops)] == [1.0, 1.1, 1.2, 1.3, 1.4, 1.5, 1.6, 1.7, 1.8]
    told = way.describe(hops)["hops"]
    assert isinstance(told, list)
    assert told[2]["heading"] == "ESP"
    assert [layer["name"] for layer in told[2]["layers"]] == ["Frame", "Inner packet", "Inner packet"]
    assert told[1]["microseconds"] == 100000.0


def test_without_keys_it_is_found_by_its_time() -> None:
    hops = way.hops(LAB, [one for one in FRAMES if one.time != 1.15], sealed)
    assert (1.2, "cgw", "eth0") in places(hops)
    assert (1.7, "c4", "eth0") in places(hops)


def test_without_an_answer_it_ends_where_it_was_lost() -> None:
    hops = way.hops(LAB, FRAMES[:4], opened)
    assert places(hops)[-1] == (1.2, "cgw", "eth0")


def test_nothing_at_all() -> None:
    assert way.describe(way.hops(LAB, [], opened)) == {"hops": []}


def test_every_step_is_told() -> None:
    for heading, text in way.STEPS.values():
        assert heading
        assert text.endswith((".", "?"))
