"""tun.gro: which packets are merged into one frame, and that cutting it gives the same octets again."""

from __future__ import annotations

import struct
from collections.abc import Callable
from dataclasses import replace

import numpy as np
import pytest

from tests.unit.tun.plain import ACK, ECE, FIN, PSH, RST, SYN, TCP, UDP, URG, Flow, Packet, checksum, separate
from tun.gro import Coalescer

SIZE = 100
IPV4_TCP, IPV4_UDP = Flow(), Flow(protocol=UDP)
IPV6_TCP, IPV6_UDP = Flow(version=6), Flow(version=6, protocol=UDP)
FLOWS = [IPV4_TCP, IPV4_UDP, IPV6_TCP, IPV6_UDP]
NAMES = ["IPv4 TCP", "IPv4 UDP", "IPv6 TCP", "IPv6 UDP"]


def segments_of(flow: Flow, count: int = 4, last: int = SIZE, **options: int) -> list[bytes]:
    """Packets that follow each other; `last`: octets of the last one's payload."""
    payload = bytes(range(251)) * 400
    whole = Packet(flow, payload[: SIZE * (count - 1) + last], **options)
    return [packet.octets() for packet in whole.split(SIZE)]


def merged(packets: list[bytes]) -> list[int]:
    """How many packets each frame is made of; cut again they are what they were."""
    size, last = len(packets[0]), len(packets[-1])
    rows = np.full((len(packets), size + -size % 4), 0xEE, np.uint8)
    for row, packet in zip(rows, packets, strict=True):
        row[: len(packet)] = np.frombuffer(packet, np.uint8)
    counts: list[int] = []
    for count, frame in Coalescer().merge(rows, size, last):
        at = sum(counts)
        assert (frame is None) is (count == 1)
        if frame is not None:
            assert separate(bytes(frame)) == packets[at : at + count]
        counts.append(count)
    assert sum(counts) == len(packets)
    return counts


def with_right_sums(packet: bytes) -> bytes:
    """The checksums of a packet that was changed, as if its headers meant what they say."""
    octets = bytearray(packet)
    version = octets[0] >> 4
    l4 = 40 if version == 6 else 20
    protocol = octets[6] if version == 6 else octets[9]
    if version == 4:
        octets[10:12] = bytes(2)
        octets[10:12] = checksum(bytes(octets[:l4])).to_bytes(2, "big")
    addresses = bytes(octets[8:40] if version == 6 else octets[12:20])
    field = l4 + (16 if protocol == TCP else 6)
    octets[field : field + 2] = bytes(2)
    pseudo = addresses + struct.pack("!II", len(octets) - l4, protocol)
    octets[field : field + 2] = checksum(pseudo + bytes(octets[l4:])).to_bytes(2, "big")
    return bytes(octets)


def changed(at: int, add: int) -> Callable[[bytes], bytes]:
    def change(packet: bytes) -> bytes:
        octets = bytearray(packet)
        octets[at] = octets[at] + add & 0xFF
        return with_right_sums(bytes(octets))

    return change


@pytest.mark.parametrize("flow", FLOWS, ids=NAMES)
@pytest.mark.parametrize("count", [2, 3, 40])
@pytest.mark.parametrize("last", [SIZE, SIZE - 1, 1])
def test_a_train_is_one_frame(flow: Flow, count: int, last: int) -> None:
    assert merged(segments_of(flow, count, last)) == [count]


@pytest.mark.parametrize("flow", FLOWS, ids=NAMES)
def test_a_frame_ends_where_the_device_takes_no_more(flow: Flow) -> None:
    packets = [one.octets() for one in Packet(flow, bytes(1400) * 60).split(1400)]
    headers = len(packets[0]) - 1400
    most = (65535 - headers) // 1400
    assert merged(packets) == [most, 60 - most]


@pytest.mark.parametrize("flow", FLOWS, ids=NAMES)
def test_a_frame_of_udp_has_no_more_segments_than_every_kernel_takes(flow: Flow) -> None:
    """UDP_MAX_SEGMENTS: a kernel refuses a frame of more, by the error for a kind that it has not."""
    assert merged(segments_of(flow, 150)) == ([150] if flow.protocol == TCP else [64, 64, 22])
    assert merged(segments_of(flow, 65, last=1)) == ([65] if flow.protocol == TCP else [64, 1])


@pytest.mark.parametrize(
    ("flow", "at", "add"),
    [
        (IPV4_UDP, 25, -1),  # UDP's length: an octet less than there is
        (IPV4_UDP, 25, 1),
        (IPV4_UDP, 24, 1),
        (IPV6_UDP, 45, -1),
        (IPV6_UDP, 44, 1),
        (IPV4_UDP, 3, -1),  # IPv4's length
        (IPV4_TCP, 3, 1),
        (IPV4_TCP, 2, 1),
        (IPV6_TCP, 5, -1),  # IPv6's length
        (IPV6_UDP, 4, 1),
        (IPV4_TCP, 6, -0x20),  # "more fragments" instead of "don't fragment"
        (IPV4_TCP, 7, 1),  # a fragment's offset
        (IPV4_UDP, 6, 0x10),
        (IPV4_TCP, 32, 1),  # TCP's reserved bits
        (IPV4_TCP, 32, 8),
        (IPV6_TCP, 52, 2),
        (IPV4_TCP, 32, -0x10),  # TCP's header: 16 octets
        (IPV4_TCP, 0, 0x10),  # IP version 5
        (IPV4_TCP, 0, 1),  # IPv4 with options
        (IPV4_UDP, 9, 115),  # protocol 132
        (IPV6_UDP, 6, 115),
    ],
)
def test_what_the_kernel_would_not_merge_stays_as_it_is(flow: Flow, at: int, add: int) -> None:
    assert merged([changed(at, add)(one) for one in segments_of(flow)]) == [1, 1, 1, 1]


@pytest.mark.parametrize("flow", [IPV4_TCP, IPV6_TCP], ids=["IPv4", "IPv6"])
@pytest.mark.parametrize(
    ("flags", "alone"),
    [
        (ACK, False),
        (ACK | ECE, False),
        (0, True),
        (PSH, True),
        (ACK | SYN, True),
        (ACK | RST, True),
        (ACK | URG, True),
        (ACK | 0x80, True),  # CWR
    ],
)
def test_tcps_flags(flow: Flow, flags: int, alone: bool) -> None:
    segments = [replace(one, flags=flags) for one in Packet(flow, bytes(400)).split(SIZE)]
    assert merged([one.octets() for one in segments]) == ([1] * 4 if alone else [4])


@pytest.mark.parametrize("flag", [PSH, FIN, PSH | FIN])
def test_a_frame_ends_with_push_and_fin(flag: int) -> None:
    segments = list(Packet(IPV4_TCP, bytes(600)).split(SIZE))
    segments[2] = replace(segments[2], flags=ACK | flag)
    assert merged([one.octets() for one in segments]) == [3, 3]


@pytest.mark.parametrize("flow", FLOWS, ids=NAMES)
@pytest.mark.parametrize("spoilt", [0, 1, 3])
def test_a_wrong_checksum_stays_wrong(flow: Flow, spoilt: int) -> None:
    packets = list(Packet(flow, bytes(400)).split(SIZE))
    packets[spoilt] = replace(packets[spoilt], spoil=1)
    expected = {0: [1, 3], 1: [1, 1, 2], 3: [3, 1]}[spoilt]
    assert merged([one.octets() for one in packets]) == expected


def test_a_wrong_header_checksum_stays_wrong() -> None:
    packets = segments_of(IPV4_UDP)
    octets = bytearray(packets[0])
    octets[10] ^= 1
    assert merged([bytes(octets), *packets[1:]]) == [1, 3]


@pytest.mark.parametrize("flow", [IPV4_UDP, IPV6_UDP], ids=["IPv4", "IPv6"])
def test_udp_without_a_checksum_stays_without(flow: Flow) -> None:
    packets = [one.with_checksum(0) for one in Packet(flow, bytes(400)).split(SIZE)]
    assert merged(packets) == [1, 1, 1, 1]


@pytest.mark.parametrize("flow", FLOWS, ids=NAMES)
def test_headers_without_payload(flow: Flow) -> None:
    empty = Packet(flow, b"").octets()
    assert merged([empty] * 3) == [1, 1, 1]


@pytest.mark.parametrize("version", [4, 6])
def test_tcps_options_without_payload(version: int) -> None:
    empty = Packet(Flow(version=version, tcp_options=b"\1\1\x08\x0a" + bytes(8)), b"").octets()
    assert merged([empty] * 3) == [1, 1, 1]


@pytest.mark.parametrize("flow", [IPV4_UDP, IPV6_UDP], ids=["IPv4", "IPv6"])
def test_what_only_looks_like_udp_is_not_merged(flow: Flow) -> None:
    packets = []
    for packet in segments_of(flow):
        octets = bytearray(packet)
        octets[9 if flow.version == 4 else 6] = 136  # UDP-Lite, with the checksum that UDP would have
        if flow.version == 4:
            octets[10:12] = bytes(2)
            octets[10:12] = checksum(bytes(octets[:20])).to_bytes(2, "big")
        packets.append(bytes(octets))
    assert merged(packets) == [1, 1, 1, 1]


@pytest.mark.parametrize("size", [20, 28, 40])
def test_packets_that_are_no_more_than_an_ipv6_header(size: int) -> None:
    assert merged([b"\x45" + bytes(size - 1)] * 3) == [1, 1, 1]
    assert merged([b"\x60" + bytes(size - 1)] * 3) == [1, 1, 1]


@pytest.mark.parametrize("flow", FLOWS, ids=NAMES)
def test_two_flows_in_turn_are_not_merged(flow: Flow) -> None:
    other = replace(flow, ports=(9, 9))
    packets = [one for pair in zip(segments_of(flow), segments_of(other), strict=True) for one in pair]
    assert merged(packets) == [1] * 8


@pytest.mark.parametrize("flow", FLOWS, ids=NAMES)
def test_two_flows_one_behind_the_other_are_two_frames(flow: Flow) -> None:
    assert merged(segments_of(flow) + segments_of(replace(flow, ports=(9, 9)))) == [4, 4]


@pytest.mark.parametrize("shift", [-1, 1])
def test_a_gap_in_sequence_numbers_ends_a_frame(shift: int) -> None:
    segments = list(Packet(IPV4_TCP, bytes(400)).split(SIZE))
    segments[2:] = [replace(one, sequence=one.sequence + shift) for one in segments[2:]]
    assert merged([one.octets() for one in segments]) == [2, 2]


def test_a_gap_in_identifications_ends_a_frame() -> None:
    packets = list(Packet(IPV4_UDP, bytes(400)).split(SIZE))
    packets[2:] = [replace(one, identification=one.identification + 1) for one in packets[2:]]
    assert merged([one.octets() for one in packets]) == [2, 2]


@pytest.mark.parametrize("first", [0xFFFD, 0xFFFE, 0xFFFF])
def test_identifications_that_begin_again_end_a_frame(first: int) -> None:
    packets = segments_of(IPV4_UDP, identification=first)
    counts = merged(packets)
    assert counts[0] == 0x10000 - first
    assert sum(counts) == 4


def test_sequence_numbers_that_begin_again_do_not() -> None:
    assert merged(segments_of(IPV4_TCP, sequence=0xFFFFFFFF - SIZE)) == [4]


@pytest.mark.parametrize("flow", FLOWS, ids=NAMES)
@pytest.mark.parametrize("size", [97, 98, 99, 101])
def test_what_is_behind_packets_in_their_rows_does_not_matter(flow: Flow, size: int) -> None:
    assert merged([one.octets() for one in Packet(flow, bytes(range(200)) * 2).split(size)][:4]) == [4]


@pytest.mark.parametrize("flow", FLOWS, ids=NAMES)
def test_a_last_packet_without_payload_is_alone(flow: Flow) -> None:
    packets = list(Packet(flow, bytes(3 * SIZE)).split(SIZE))
    end = replace(packets[-1], payload=b"", sequence=1000 + 3 * SIZE, identification=4)
    assert merged([one.octets() for one in (*packets, end)]) == [3, 1]


@pytest.mark.parametrize("flow", FLOWS, ids=NAMES)
def test_packets_that_are_all_wrong_alike_stay_so(flow: Flow) -> None:
    packets = list(Packet(flow, bytes(range(200)) * 2).split(SIZE))
    assert merged([replace(one, spoil=1).octets() for one in packets]) == [1] * 4
    if flow.version == 4:
        wrong = []
        for one in packets:
            octets = bytearray(one.octets())
            octets[11] ^= 0x80
            wrong.append(bytes(octets))
        assert merged(wrong) == [1] * 4


def summing_up(packet: Packet, number: int) -> bytes:
    """The packet with payload that makes its right checksum 0, and this number as its checksum."""
    plain = replace(packet, payload=packet.payload[:-2] + bytes(2))
    rest = checksum(plain.pseudo() + plain.upper() + plain.payload)
    right = replace(packet, payload=packet.payload[:-2] + rest.to_bytes(2, "big"))
    assert checksum(right.pseudo() + right.upper() + right.payload) == 0
    return right.with_checksum(number)


@pytest.mark.parametrize("flow", FLOWS, ids=NAMES)
@pytest.mark.parametrize("at", [0, 1, 3])
def test_two_ways_to_write_a_checksum_of_zero(flow: Flow, at: int) -> None:
    """The kernel writes 0 for TCP, and 0xFFFF for UDP, where 0 means that there is none (RFC 768)."""
    packets = list(Packet(flow, bytes(range(200)) * 2).split(SIZE))
    octets = [one.octets() for one in packets]
    usual, other = (0, 0xFFFF) if flow.protocol == TCP else (0xFFFF, 0)
    octets[at] = summing_up(packets[at], usual)
    assert merged(octets) == [4]
    octets[at] = summing_up(packets[at], other)
    assert merged(octets) == {0: [1, 3], 1: [1, 1, 2], 3: [3, 1]}[at]


def with_header_checksum(target: int, last: int, flow: Flow = IPV4_UDP) -> list[bytes]:
    """Packets whose first one's header has this checksum, which its identification is chosen for."""
    first = Packet(flow, b"", identification=0)
    have = checksum(first.ip()[:10] + bytes(2) + first.ip()[12:])
    length = SIZE
    identification = (have - length - target) % 0xFFFF
    return segments_of(flow, 4, last, identification=identification)


@pytest.mark.parametrize("flow", [IPV4_UDP, IPV4_TCP], ids=["UDP", "TCP"])
@pytest.mark.parametrize("last", [SIZE, SIZE - 1, SIZE - 2, SIZE - 3, SIZE - 4, 1])
def test_header_checksums_around_zero(flow: Flow, last: int) -> None:
    """They count down as identifications count up, and up again for a shorter last one."""
    seen = set()
    for target in (*range(120), *range(0xFFFF - 120, 0xFFFF)):
        packets = with_header_checksum(target, last, flow)
        seen.add(int.from_bytes(packets[0][10:12], "big"))
        assert sum(merged(packets)) == 4
    assert {0, 1, 2, 3, 0xFFFE} <= seen


def test_a_header_checksum_of_ones_stays_so() -> None:
    packets = with_header_checksum(0, SIZE)
    assert packets[0][10:12] == bytes(2)
    octets = packets[0][:10] + b"\xff\xff" + packets[0][12:]
    assert merged([octets, *packets[1:]])[0] == 1


@pytest.mark.parametrize(
    ("pushed", "frames"),
    [
        ([0], [1, 5]),
        ([1], [2, 4]),
        ([0, 1], [1, 1, 4]),
        ([2, 3], [3, 1, 2]),
        ([5], [6]),
        ([0, 2, 5], [1, 2, 3]),
    ],
)
@pytest.mark.parametrize("last", [SIZE, 7])
def test_each_push_ends_a_frame(pushed: list[int], frames: list[int], last: int) -> None:
    segments = list(Packet(IPV4_TCP, bytes(range(100)) * 5 + bytes(last)).split(SIZE))
    for number in pushed:
        segments[number] = replace(segments[number], flags=ACK | PSH)
    assert merged([one.octets() for one in segments]) == frames


@pytest.mark.parametrize("version", [4, 6])
def test_flows_of_two_shapes(version: int) -> None:
    """Of the same length: UDP's header is 12 octets shorter than TCP's."""
    tcp = [one.octets() for one in Packet(Flow(version=version), bytes(400)).split(SIZE)]
    udp = [one.octets() for one in Packet(Flow(version=version, protocol=UDP), bytes(448)).split(SIZE + 12)]
    assert merged(tcp + udp) == [4, 4]
    assert merged(tcp[:1] + udp) == [1, 4]
    assert sum(merged([one for pair in zip(tcp, udp, strict=True) for one in pair] * 3)) == 24
    assert merged((tcp + udp) * 2)[:4] == [4, 4, 4, 4]


def test_rows_that_rarely_merge_are_looked_at_a_few_times_then_left_alone() -> None:
    """So that they don't cost their square: each pair of another shape is a chain of its own."""
    tcp = [one.octets() for one in Packet(IPV4_TCP, bytes(200)).split(SIZE)]
    udp = [one.octets() for one in Packet(IPV4_UDP, bytes(224)).split(SIZE + 12)]
    assert merged((tcp + udp) * 4) == [2] * 4 + [1] * 8


@pytest.mark.parametrize("flow", FLOWS, ids=NAMES)
@pytest.mark.parametrize("more", [0, 1, 2, 3])
def test_frames_of_as_many_as_fit(flow: Flow, more: int) -> None:
    size = 8000
    headers = len(Packet(flow, b"").octets())
    most = (65535 - headers) // size
    packets = [one.octets() for one in Packet(flow, bytes(range(250)) * 32 * (most + more)).split(size)]
    rest = [] if more == 0 else [more]
    assert merged(packets) == [most, *rest]
