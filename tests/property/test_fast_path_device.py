"""Cutting frames and merging packets changes nothing: a plain splitter (`tests.unit.tun.plain`) agrees."""

from __future__ import annotations

import socket

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from tests.property.packet_trains import arrivals, frames
from tests.unit.tun.plain import Packet, separate
from tun.frames import HEADROOM, FrameIo
from tun.segments import Segments


@given(frames())
def test_a_frame_becomes_what_the_kernel_would_send(case: tuple[Packet, int]) -> None:
    packet, gso = case
    segments = Segments.parse(memoryview(bytearray(packet.frame(gso))))
    assert segments is not None
    assert segments.packets() == [one.octets() for one in packet.split(gso)]


@given(frames(), st.data())
def test_any_part_of_a_frame(case: tuple[Packet, int], data: st.DataObject) -> None:
    packet, gso = case
    segments = Segments.parse(memoryview(bytearray(packet.frame(gso))))
    assert segments is not None
    first = data.draw(st.integers(0, segments.count - 1))
    count = data.draw(st.integers(1, min(128, segments.count - first)))
    rows = np.full((count, -(-segments.size // 4) * 4), 0xAA, np.uint8)
    segments.fill(rows, first)
    wanted = [one.octets() for one in packet.split(gso)][first : first + count]
    assert [bytes(row)[: len(one)] for row, one in zip(rows, wanted, strict=True)] == wanted


@given(st.binary(min_size=10, max_size=200), st.sampled_from([1, 4, 5, 0x81, 3]))
def test_nonsense_is_no_frame_or_one_of_some_packets(octets: bytes, kind: int) -> None:
    frame = bytearray(octets)
    frame[1] = kind
    segments = Segments.parse(memoryview(frame))
    if segments is not None:
        assert sum(map(len, segments.packets())) >= len(octets) - 10


class Kernel:
    """The other end of a device: what is written there, packet by packet."""

    def __init__(self) -> None:
        self._ours, self._theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        for end in (self._ours, self._theirs):
            end.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, 1 << 22)
            end.setblocking(False)
        self.io = FrameIo(self._ours.fileno())

    def packets(self) -> list[bytes]:
        found: list[bytes] = []
        while True:
            try:
                found += separate(self._theirs.recv(1 << 17))
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


@given(arrivals())
def test_merged_packets_are_what_came_in(packets: list[bytes]) -> None:
    kernel = Kernel()
    try:
        assert write(kernel.io, packets, len(packets[0])) == len(packets)
        assert kernel.packets() == packets
    finally:
        kernel.close()
