"""esp.packet.headers: lengths and flows of IPv4 and IPv6 packets, bad ones too."""

from __future__ import annotations

import struct
from ipaddress import IPv6Address

import pytest

from esp.packet.headers import address_key, flow_of, ip_length
from esp.packet.selectors import NEAR_FRAGMENT, Selector
from tests.unit.esp.packets import ICMP, TCP, UDP, ipv4, ipv6, ports

SOURCE_6 = IPv6Address("2001:db8:1::1").packed
DESTINATION_6 = IPv6Address("2001:db8:2::1").packed


@pytest.mark.parametrize("packet", [ipv4(), ipv4(payload=b"x"), ipv6(), ipv6(payload=bytes(1400))])
def test_whole_packets(packet: bytes) -> None:
    assert ip_length(packet) == len(packet)
    assert ip_length(packet + b"TFC padding") == len(packet)
    assert ip_length(packet[:-1]) is None


@pytest.mark.parametrize(
    "packet",
    [
        b"",
        b"\x45",
        bytes(60),
        b"\x55" + bytes(60),
        b"\x44" + ipv4(payload=bytes(60))[1:],  # a header of 16
        b"\x4f" + ipv4()[1:],  # a header longer than the packet
        ipv4()[:2] + b"\x00\x13" + ipv4()[4:],  # a total length of 19
    ],
)
def test_no_packets(packet: bytes) -> None:
    assert ip_length(packet) is None


def test_addresses() -> None:
    assert flow_of(ipv4(payload=ports(1000, 53), protocol=UDP)).selectors() == (
        Selector.of("10.1.0.1/32", UDP, 1000, 1000),
        Selector.of("10.2.0.1/32", UDP, 53, 53),
    )
    for offset in (1, 100):
        source, destination = flow_of(ipv4(protocol=UDP, fragment_offset=offset)).selectors()
        assert (source, destination) == (Selector.of("10.1.0.1/32", UDP), Selector.of("10.2.0.1/32", UDP))
    source, destination = flow_of(ipv6()).selectors()  # of a protocol without ports
    assert (source.first, destination.last) == (int.from_bytes(SOURCE_6), int.from_bytes(DESTINATION_6))
    assert (source.protocol, source.all_ports) == (253, True)
    assert address_key(ipv6()) == SOURCE_6 + DESTINATION_6
    assert address_key(ipv4()) == bytes((10, 1, 0, 1, 10, 2, 0, 1))


def test_what_is_said_on_a_link_only() -> None:
    said = [ipv6(payload=bytes((type, 0, 0, 0)), next_header=58) for type in (130, 133, 135, 136, 143)]
    assert all(flow_of(packet).on_link_only for packet in (*said, ipv4(protocol=2)))
    others = [ipv6(payload=bytes((128, 0, 0, 0)), next_header=58), ipv6(next_header=58), ipv4(protocol=ICMP)]
    assert not any(flow_of(packet).on_link_only for packet in (*others, ipv6(next_header=89)))


@pytest.mark.parametrize(
    ("packet", "expected"),
    [
        (ipv4(payload=ports(1000, 53), protocol=UDP), (UDP, 1000, 53)),
        (ipv4(payload=ports(1000, 80), protocol=TCP, options=bytes(8)), (TCP, 1000, 80)),
        (ipv4(payload=bytes((8, 1, 0, 0)), protocol=ICMP), (ICMP, 0x801, 0x801)),
        (ipv4(payload=b"abc", protocol=UDP), (UDP, None, None)),  # too short for ports
        (ipv4(payload=ports(1, 2), protocol=47), (47, None, None)),  # GRE has none
        (ipv4(payload=ports(1, 2), protocol=UDP, fragment_offset=16), (UDP, None, None)),
        (ipv4(payload=ports(1, 2), protocol=UDP, fragment_offset=1), (UDP, NEAR_FRAGMENT, NEAR_FRAGMENT)),
        (ipv4(payload=ports(1, 2), protocol=UDP, fragment_offset=15), (UDP, NEAR_FRAGMENT, NEAR_FRAGMENT)),
        (
            ipv4(payload=ports(1, 2), protocol=UDP, fragment_offset=0x2001),
            (UDP, NEAR_FRAGMENT, NEAR_FRAGMENT),
        ),
        (ipv4(payload=ports(1, 2), protocol=UDP, fragment_offset=0x2000), (UDP, 1, 2)),  # first of several
        (ipv6(payload=ports(1000, 53), next_header=UDP), (UDP, 1000, 53)),
        (ipv6(payload=bytes((128, 0, 0, 0)), next_header=58), (58, 0x8000, 0x8000)),
        (ipv6(payload=bytes((59, 0, 5, 0)), next_header=135), (135, 0x500, 0x500)),
        (ipv6(payload=bytes((59, 0, 5, 0, 0, 0, 0, 0)), next_header=135), (135, 0x500, 0x500)),
        (ipv6(next_header=59), (59, None, None)),
    ],
)
def test_protocol_and_ports(packet: bytes, expected: tuple[int, int | None, int | None]) -> None:
    assert flow_of(packet)[3:] == expected


def extension(following: int, length: int = 8) -> bytes:
    return bytes((following, length // 8 - 1)).ljust(length, b"\0")


def fragment(following: int, offset: int) -> bytes:
    return struct.pack("!BBHI", following, 0, offset << 3 | 1, 7)


@pytest.mark.parametrize(
    ("first", "chain", "expected"),
    [
        (0, extension(60, 16) + extension(UDP), (UDP, 1, 2)),
        (43, extension(UDP, 24), (UDP, 1, 2)),
        (51, bytes((UDP, 4)).ljust(24, b"\0"), (UDP, 1, 2)),  # AH of 24 octets
        (44, fragment(UDP, 0), (UDP, 1, 2)),
        (44, fragment(UDP, 100), (UDP, None, None)),
        (44, fragment(60, 100), (None, None, None)),
        (0, extension(44) + fragment(TCP, 3), (TCP, None, None)),
    ],
)
def test_extension_headers(first: int, chain: bytes, expected: tuple[int | None, ...]) -> None:
    assert flow_of(ipv6(payload=chain + ports(1, 2), next_header=first))[3:] == expected


def test_endless_and_cut_extension_headers() -> None:
    assert flow_of(ipv6(payload=extension(0) * 20, next_header=0))[3:] == (None, None, None)
    assert flow_of(ipv6(payload=b"\x11\x00\x00", next_header=0))[3:] == (None, None, None)
    assert flow_of(ipv6(payload=extension(UDP), next_header=0))[3:] == (UDP, None, None)
