"""Cutting frames and merging packets changes nothing: a plain splitter (`tests.unit.tun.plain`) agrees."""

from __future__ import annotations

import socket
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from esp.packet import row_layouts
from tests.property.packet_sequences import arrivals, elsewhere, filled, frames
from tests.unit.tun.plain import ACK, CWR, PSH, RST, TCP, UDP, URG, Flow, Packet, separate
from tun import header_deltas
from tun.frames import HEADROOM, FrameIo
from tun.gso import GsoFrame


@given(frames())
def test_a_frame_becomes_what_the_kernel_would_send(case: tuple[Packet, int]) -> None:
    packet, gso = case
    segments = GsoFrame.parse(memoryview(bytearray(packet.frame(gso))))
    assert segments is not None
    assert segments.packets() == [one.octets() for one in packet.split(gso)]


@given(frames(), st.data())
def test_any_part_of_a_frame(case: tuple[Packet, int], data: st.DataObject) -> None:
    packet, gso = case
    segments = GsoFrame.parse(memoryview(bytearray(packet.frame(gso))))
    assert segments is not None
    first = data.draw(st.integers(0, segments.count - 1))
    count = data.draw(st.integers(1, min(128, segments.count - first)))
    rows = np.full((count, -(-segments.size // 4) * 4), 0xAA, np.uint8)
    segments.fill(rows, first)
    wanted = [one.octets() for one in packet.split(gso)][first : first + count]
    assert [bytes(row)[: len(one)] for row, one in zip(rows, wanted, strict=True)] == wanted


def test_what_esp_lays_out_together_can_be_cut_and_merged_together() -> None:
    """Neither side imports the other."""
    assert header_deltas.MAX_ROWS >= row_layouts.MAX_ROWS


@given(st.binary(min_size=10, max_size=200), st.sampled_from([1, 4, 5, 0x81, 3]))
def test_nonsense_is_no_frame_or_one_of_some_packets(octets: bytes, kind: int) -> None:
    frame = bytearray(octets)
    frame[1] = kind
    segments = GsoFrame.parse(memoryview(frame))
    if segments is not None:
        assert sum(map(len, segments.packets())) >= len(octets) - 10


# The header's checksum of the first packet, which falls by one a packet and begins again below 0; octets that
# the last one lacks, by which its checksum is higher
WRAPS = [(first, lacks) for first in (0, 1, 2, 3, 4, 0xFFFE, 0xFFFD) for lacks in (0, 1, 2, 7)]


def at_a_wrap(flow: Flow, first: int, lacks: int) -> Packet:
    """Five packets of 100 octets of payload, the first one's checksum this, the last one shorter."""
    packet = Packet(flow, filled(500 - lacks, b"abc"), identification=0x4000)
    now = int.from_bytes(next(packet.split(100)).ip()[10:12], "big")
    return replace(packet, identification=(0x4000 + now - first) % 0xFFFF)


@pytest.mark.parametrize(("first", "lacks"), WRAPS)
@pytest.mark.parametrize("flow", [Flow(), Flow(protocol=UDP)])
def test_header_checksums_that_begin_again(flow: Flow, first: int, lacks: int) -> None:
    packet = at_a_wrap(flow, first, lacks)
    wanted = [one.octets() for one in packet.split(100)]
    assert int.from_bytes(wanted[0][10:12], "big") == first
    segments = GsoFrame.parse(memoryview(bytearray(packet.frame(100))))
    assert segments is not None
    assert segments.packets() == wanted
    assert delivered(wanted) == wanted


@pytest.mark.parametrize(("first", "lacks"), WRAPS)
@pytest.mark.parametrize("protocol", [TCP, UDP])
def test_what_is_wrong_only_as_numbers_go_on_stays_wrong(protocol: int, first: int, lacks: int) -> None:
    """Where a checksum or an identification begins again, counting on in whole words would change the field
    beside it: such packets are no part of the flow."""
    packets = [bytearray(one.octets()) for one in at_a_wrap(Flow(protocol=protocol), first, lacks).split(100)]
    for number, packet in enumerate(packets):
        lack = lacks if number == 4 else 0
        word = (packets[0][8] << 24 | protocol << 16 | first) - number + lack
        packet[8:12] = (word % (1 << 32)).to_bytes(4, "big")
    wanted = [bytes(packet) for packet in packets]
    assert delivered(wanted) == wanted


class Kernel:
    """The other end of a device: what is written there, packet by packet."""

    def __init__(self) -> None:
        self._ours, self._theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        for end in (self._ours, self._theirs):
            end.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, 1 << 22)
            end.setblocking(False)
        self.io = FrameIo(self._ours.fileno())

    def frames(self) -> list[bytes]:
        found: list[bytes] = []
        while True:
            try:
                found.append(self._theirs.recv(1 << 17))
            except BlockingIOError:
                return found

    def close(self) -> None:
        self._ours.close()
        self._theirs.close()


def write(io: FrameIo, packets: list[bytes], size: int) -> int:
    rows = np.full((len(packets), HEADROOM + size + 21), 0x55, np.uint8)
    for row, packet in zip(rows, packets, strict=True):
        row[HEADROOM : HEADROOM + len(packet)] = np.frombuffer(packet, np.uint8)
    return io.write_rows(rows, size, len(packets[-1]))


def written(packets: list[bytes]) -> list[list[bytes]]:
    """What the kernel gets of packets of one length, the last one perhaps shorter, written together: frame by
    frame what it makes of it."""
    kernel = Kernel()
    try:
        assert write(kernel.io, packets, len(packets[0])) == len(packets)
        return [separate(frame) for frame in kernel.frames()]
    finally:
        kernel.close()


def delivered(packets: list[bytes]) -> list[bytes]:
    return [packet for frame in written(packets) for packet in frame]


@given(arrivals())
def test_merged_packets_are_what_came_in(packets: list[bytes]) -> None:
    assert delivered(packets) == packets


@pytest.mark.parametrize("version", [4, 6])
@pytest.mark.parametrize("protocol", [TCP, UDP])
def test_one_flow_behind_another(version: int, protocol: int) -> None:
    """Frames as long as can be, and behind them the same from another host."""
    flow = Flow(version, protocol)
    first = [one.octets() for one in Packet(flow, filled(110 * 1400, b"abc")).split(1400)]
    second = [one.octets() for one in Packet(elsewhere(flow), filled(110 * 1400, b"def")).split(1400)]
    found = written(first + second)
    assert [packet for frame in found for packet in frame] == first + second
    assert [len(frame) for frame in found] == [46, 46, 18] * 2


@pytest.mark.parametrize("flags", [ACK | URG, ACK | CWR, PSH, ACK | RST])
def test_a_flow_of_the_same_shape_that_is_not_merged(flags: int) -> None:
    first = [one.octets() for one in Packet(Flow(), filled(3000, b"abc")).split(100)]
    apart = Packet(Flow(), filled(3000, b"def"), flags=flags, sequence=9, identification=9).split(100)
    second = [replace(one, flags=flags).octets() for one in apart]
    found = written(first + second)
    assert [packet for frame in found for packet in frame] == first + second
    assert [len(frame) for frame in found] == [30] + [1] * 30
