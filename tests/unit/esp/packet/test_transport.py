"""esp.packet.transport: headers off and on, checksums behind a NAT; scapy reads the packets."""

from __future__ import annotations

import pytest
from scapy.layers.inet import IP, TCP, UDP
from scapy.layers.inet6 import IPv6
from scapy.packet import Packet, Raw

from esp.packet.headers import ip_length
from esp.packet.selectors import Selector
from esp.packet.transport import Headers, payload_of, set_tos
from tests.unit.esp.packets import ipv4, ipv6

OURS = {4: "192.0.2.1", 6: "2001:db8::1"}
PEERS = {4: "192.0.2.2", 6: "2001:db8::2"}
PRIVATE = {4: "10.0.0.5", 6: "fd00::5"}  # the peer's before a NAT
GRE = 47


def only(address: str) -> tuple[Selector, ...]:
    return (Selector.of(f"{address}/{128 if ':' in address else 32}"),)


def headers(version: int, *, nat: bool = False) -> Headers:
    return Headers(only(OURS[version]), only(PEERS[version]), nat=nat)


def parsed(packet: bytes) -> Packet:
    return IP(packet) if packet[0] >> 4 == 4 else IPv6(packet)


@pytest.mark.parametrize("size", [0, 1, 100, 1401])
@pytest.mark.parametrize("version", [4, 6])
def test_off_and_on(version: int, size: int) -> None:
    payload = bytes(index % 251 for index in range(size))
    if version == 4:
        sent = ipv4(PEERS[4], OURS[4], payload, protocol=GRE)
    else:
        sent = ipv6(PEERS[6], OURS[6], payload, next_header=GRE)
    found = payload_of(sent)
    assert found == (GRE, payload)
    memory = headers(version).packet(*found, 10)
    assert memory is not None
    packet = bytes(memory[10:])
    assert ip_length(packet) == len(packet) == len(sent)
    read = parsed(packet)
    assert (read.src, read.dst) == (PEERS[version], OURS[version])
    assert bytes(read.payload) == payload
    if version == 4:
        assert read.proto == GRE and IP(bytes(IP(packet, chksum=None))).chksum == read.chksum
    else:
        assert read.nh == GRE


@pytest.mark.parametrize(
    "packet",
    [
        ipv4(payload=bytes(8), fragment_offset=3),
        ipv4(payload=bytes(8))[:6] + b"\x20\0" + ipv4(payload=bytes(8))[8:],
        ipv4(payload=bytes(8), options=bytes(4)),
    ],
    ids=["later fragment", "first fragment", "options"],
)
def test_what_it_can_not_carry(packet: bytes) -> None:
    assert payload_of(packet) is None


def test_a_packet_that_would_be_too_long() -> None:
    assert headers(4).packet(GRE, bytes(0xFFFF - 20), 0) is not None
    assert headers(4).packet(GRE, bytes(0xFFFF - 19), 0) is None
    assert headers(6).packet(GRE, bytes(0xFFFF - 39), 0) is None


@pytest.mark.parametrize(
    ("local", "remote"),
    [
        (only("192.0.2.1"), (Selector.of("192.0.2.0/24"),)),
        (only("192.0.2.1"), only("2001:db8::1")),
        (only("192.0.2.1"), (*only("192.0.2.2"), *only("192.0.2.3"))),
        ((), only("192.0.2.2")),
    ],
)
def test_selectors_of_more_than_one_address(
    local: tuple[Selector, ...], remote: tuple[Selector, ...]
) -> None:
    with pytest.raises(ValueError, match="one address"):
        Headers(local, remote, nat=False)


@pytest.mark.parametrize(
    "layer", [TCP(sport=1000, dport=443), UDP(sport=1000, dport=1701)], ids=["TCP", "UDP"]
)
@pytest.mark.parametrize("size", [0, 7, 1200])
@pytest.mark.parametrize("version", [4, 6])
def test_checksums_behind_a_nat(version: int, size: int, layer: Packet) -> None:
    """Made for the peer's private address, mended for the one that we know (RFC 3948 3.1.2)."""
    network = IP if version == 4 else IPv6
    sent = bytes(
        network(src=PRIVATE[version], dst=OURS[version]) / layer / Raw(bytes(range(7)) * (size // 7))
    )
    found = payload_of(sent)
    assert found is not None
    wanted = bytes(
        network(src=PEERS[version], dst=OURS[version]) / layer / Raw(bytes(range(7)) * (size // 7))
    )
    mended = headers(version, nat=True).packet(*found, 0)
    assert mended is not None
    header = 20 if version == 4 else 40
    assert bytes(mended[header:]) == wanted[header:]
    as_sent = headers(version).packet(*found, 0)
    assert as_sent is not None and bytes(as_sent[header:]) == found[1]


def test_udp_without_a_checksum_stays_without() -> None:
    datagram = bytes(IP() / UDP(chksum=0))[20:]
    mended = headers(4, nat=True).packet(17, datagram, 0)
    assert mended is not None and bytes(mended[20:]) == datagram


@pytest.mark.parametrize("payload", [b"", b"\1", bytes(7), bytes(17)])
def test_what_is_no_whole_header_is_left_alone(payload: bytes) -> None:
    for protocol in (6, 17):
        if len(payload) < (18 if protocol == 6 else 8):
            mended = headers(4, nat=True).packet(protocol, payload, 0)
            assert mended is not None and bytes(mended[20:]) == payload


@pytest.mark.parametrize("version", [4, 6])
def test_the_outer_tos_is_the_only_one(version: int) -> None:
    packet = headers(version).packet(GRE, b"abcd", 0)
    assert packet is not None
    set_tos(packet, 0xB9)
    read = parsed(bytes(packet))
    assert (read.tos if version == 4 else read.tc) == 0xB9
    if version == 4:
        assert IP(bytes(IP(bytes(packet), chksum=None))).chksum == read.chksum
