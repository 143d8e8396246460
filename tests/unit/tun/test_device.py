"""Packet batches over a socket pair in the place of a device, and the names a device may have."""

from __future__ import annotations

import os
import socket
from collections.abc import Iterator

import pytest
from scapy.layers.inet import IP, TCP

from tun.device import PacketIo, TunDevice, TunError


@pytest.fixture
def pair() -> Iterator[tuple[socket.socket, socket.socket]]:
    """Two ends of a packet pipe that doesn't block."""
    one, other = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
    with one, other:
        one.setblocking(False)
        other.setblocking(False)
        yield one, other


def syn(mss: int) -> bytes:
    return bytes(IP(src="10.1.0.1", dst="10.2.0.1") / TCP(flags="S", options=[("MSS", mss)]))


def test_read_batch(pair: tuple[socket.socket, socket.socket]) -> None:
    device, kernel = pair
    io = PacketIo(device.fileno())
    assert io.fileno() == device.fileno()
    assert io.read_batch(4) == []
    for number in range(6):
        kernel.send(bytes([number]) * 100)
    assert io.read_batch(4) == [bytes([number]) * 100 for number in range(4)]
    assert io.read_batch(4) == [bytes([number]) * 100 for number in (4, 5)]
    assert io.read_batch(4) == []


def test_write_batch(pair: tuple[socket.socket, socket.socket]) -> None:
    device, kernel = pair
    assert PacketIo(device.fileno()).write_batch([b"one", bytearray(b"two"), memoryview(b"three")]) == 3
    assert [kernel.recv(100) for _ in range(3)] == [b"one", b"two", b"three"]


def test_full_queue_loses_packets_and_says_so(pair: tuple[socket.socket, socket.socket]) -> None:
    device, kernel = pair
    written = PacketIo(device.fileno()).write_batch([bytes(60_000)] * 100)
    assert 0 < written < 100
    assert [len(kernel.recv(65535)) for _ in range(written)] == [60_000] * written
    with pytest.raises(BlockingIOError):
        kernel.recv(1)


def test_both_directions_are_clamped(pair: tuple[socket.socket, socket.socket]) -> None:
    device, kernel = pair
    io = PacketIo(device.fileno(), mss4=1300)
    kernel.send(syn(1460))
    kernel.send(b"anything")
    assert io.read_batch(9) == [syn(1300), b"anything"]
    assert io.write_batch([syn(1460), syn(900)]) == 2
    assert [kernel.recv(100), kernel.recv(100)] == [syn(1300), syn(900)]
    io.set_mss(1200, 1180)
    assert io.write_batch([syn(1460)]) == 1
    assert kernel.recv(100) == syn(1200)


def test_descriptor_that_is_gone() -> None:
    read, write = os.pipe()
    os.close(read)
    os.close(write)
    with pytest.raises(TunError, match="cannot read"):
        PacketIo(read).read_batch(1)
    with pytest.raises(TunError, match="cannot write"):
        PacketIo(write).write_batch([b"x"])


@pytest.mark.parametrize(
    "name", ["", "a" * 16, "a/b", "a b", "tun%d", "..", ".", "a:1", "tün", "a\n", "a\0b"]
)
def test_bad_names(name: str) -> None:
    with pytest.raises(TunError, match="is no name for a device"):
        TunDevice.create(name)


def test_clamping_begins_and_ends_while_the_device_is_used(pair: tuple[socket.socket, socket.socket]) -> None:
    device, kernel = pair
    io = PacketIo(device.fileno())
    io.set_mss(1300, 1280)
    kernel.send(syn(1460))
    assert io.read_batch(9) == [syn(1300)]
    io.set_mss(0, 0)
    kernel.send(syn(1460))
    assert io.read_batch(9) == [syn(1460)]
