"""tun.frames: what is left to do for packets that are read together."""

from __future__ import annotations

import socket

import numpy as np
import pytest
from scapy.layers.inet import IP, TCP

from tests.unit.tun.plain import ACK, Flow, Packet
from tun.frames import HEADROOM, FrameIo
from tun.virtio import PLAIN

SYN, ROW = 0x02, 2048
MSS_1460 = bytes((2, 4, 0x05, 0xB4))


@pytest.mark.parametrize("count", [1, 5, 6, 20])
def test_handshakes_among_packets_read_together_are_clamped(count: int) -> None:
    """All of one length, so that they are looked at all at once."""
    syn = Packet(Flow(tcp_options=MSS_1460), b"", flags=SYN)
    ack = Packet(Flow(tcp_options=bytes((1, 1, 1, 1))), b"", flags=ACK)
    kernel, ours = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
    with kernel, ours:
        ours.setblocking(False)
        for packet in [*[ack] * count, syn]:
            kernel.send(packet.frame(0))
        memory = memoryview(bytearray((count + 1) * ROW))
        rows = np.frombuffer(memory, np.uint8).reshape(count + 1, ROW)
        places = [(memory[at : at + ROW],) for at in range(0, len(memory), ROW)]
        lengths: list[int] = []
        assert FrameIo(ours.fileno(), mss4=1000).read_rows(rows, places, lengths)[0] is None
        found = [
            IP(bytes(place[HEADROOM : HEADROOM + length]))
            for (place,), length in zip(places, lengths, strict=True)
        ]
    assert [bytes(one) for one in found[:-1]] == [ack.octets()] * count
    assert dict(found[-1][TCP].options)["MSS"] == 1000
    checksum = found[-1][TCP].chksum
    del found[-1][TCP].chksum
    assert IP(bytes(found[-1]))[TCP].chksum == checksum


@pytest.mark.parametrize("done", [False, True], ids=["without a checksum", "with one"])
def test_a_handshake_that_comes_alone_is_clamped(done: bool) -> None:
    syn = Packet(Flow(tcp_options=MSS_1460), b"", flags=SYN)
    kernel, ours = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
    with kernel, ours:
        ours.setblocking(False)
        memory = memoryview(bytearray(ROW))
        frames = FrameIo(ours.fileno(), mss4=1200)
        read = frames.reader((memory,))
        assert read() is None
        frames.set_mss(1000, 980)
        kernel.send(PLAIN + syn.octets() if done else syn.frame(0))
        length = read()
    assert length == len(syn.octets())
    found = IP(bytes(memory[HEADROOM : HEADROOM + length]))
    assert dict(found[TCP].options)["MSS"] == 1000
    checksum = found[TCP].chksum
    del found[TCP].chksum
    assert IP(bytes(found))[TCP].chksum == checksum


def test_a_reader_made_after_clamping_was_configured_clamps() -> None:
    syn = Packet(Flow(tcp_options=MSS_1460), b"", flags=SYN)
    kernel, ours = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
    with kernel, ours:
        ours.setblocking(False)
        memory = memoryview(bytearray(ROW))
        frames = FrameIo(ours.fileno())
        frames.set_mss(1000, 980)
        kernel.send(PLAIN + syn.octets())
        length = frames.reader((memory,))()
    assert isinstance(length, int)
    assert dict(IP(bytes(memory[HEADROOM : HEADROOM + length]))[TCP].options)["MSS"] == 1000
