"""Frames of real TUN devices: what the kernel hands over big is taken by another kernel big."""

from __future__ import annotations

import json
import os
import select
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from ipaddress import ip_address, ip_interface

import numpy as np
import pytest

from tests.netns.kernel import configure
from tests.netns.namespaces import MakeNamespace, Namespace, wait_until
from tests.unit.tun.plain import UDP, Flow, Packet
from tun.device import PacketIo, TunDevice
from tun.frames import HEADROOM, FrameIo, packet_io
from tun.gso import GsoFrame

pytestmark = pytest.mark.root

OCTETS = 3_000_000
RECEIVE = """
import hashlib, socket
family = socket.AF_INET6 if ':' in {address!r} else socket.AF_INET
with socket.create_server(({address!r}, 80), family=family) as server:
    client, _ = server.accept()
    data = b''.join(iter(lambda: client.recv(1 << 16), b''))
print(len(data), hashlib.sha256(data).hexdigest())
"""
SEND = """
import hashlib, os, socket
data = os.urandom({octets})
with socket.create_connection(({address!r}, 80)) as client:
    client.sendall(data)
print(len(data), hashlib.sha256(data).hexdigest())
"""
DATAGRAMS = """
import socket
with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sock:
    sock.setsockopt(17, 103, 1000)
    sock.sendto(bytes(9500), ("10.9.0.2", 80))
"""


class Wire:
    """Carries everything between two devices, frames as rows; counts the packets of the largest frame."""

    def __init__(self, here: FrameIo, there: FrameIo) -> None:
        self.ends = (here, there), (there, here)
        self.largest = 0
        size = HEADROOM + 65536
        memory = memoryview(bytearray(8 * size))
        self._rows = np.frombuffer(memory, np.uint8).reshape(8, size)
        self._places = [(memory[row * size : (row + 1) * size],) for row in range(8)]

    def carry(self) -> None:
        for source, target in self.ends:
            lengths = [0]
            while lengths:
                lengths.clear()
                frame, _ = source.read_rows(self._rows, self._places, lengths)
                for (place,), length in zip(self._places, lengths, strict=False):
                    target.write_packet(place[: HEADROOM + length])
                if frame is not None:
                    lengths.append(0)
                    self.largest = max(self.largest, frame.count)
                    self._carry_rows(frame, target)

    @staticmethod
    def _carry_rows(segments: GsoFrame, target: FrameIo) -> None:
        rows = np.zeros((segments.count, HEADROOM + segments.size + 3), np.uint8)
        width = -(-segments.size // 4) * 4
        segments.fill(rows[:, HEADROOM : HEADROOM + width], 0)
        assert target.write_rows(rows, segments.size, segments.last) == segments.count


@contextmanager
def joined(one: Namespace, other: Namespace) -> Iterator[Wire]:
    """Two namespaces and a wire between them, carrying all the time."""
    with one.call(TunDevice.create, "vti0") as here, other.call(TunDevice.create, "vti0") as there:
        for namespace, host in ((one, 1), (other, 2)):
            addresses = [ip_interface(f"10.9.0.{host}/24"), ip_interface(f"fd09::{host}/64")]
            namespace.call(configure, "vti0", addresses, [], 1400, None)
        ends = [packet_io(device.fd) for device in (here, there)]
        first, second = (end for end in ends if isinstance(end, FrameIo))
        wire = Wire(first, second)
        stop = threading.Event()

        def carry() -> None:
            while not stop.is_set():
                select.select([here.fd, there.fd], [], [], 0.02)
                wire.carry()

        thread = threading.Thread(target=carry)
        thread.start()
        try:
            yield wire
        finally:
            stop.set()
            thread.join()


@pytest.mark.parametrize("address", ["10.9.0.2", "fd09::2"])
def test_a_tcp_transfer(make_namespace: MakeNamespace, address: str) -> None:
    one, other = make_namespace("one"), make_namespace("other")
    with joined(one, other) as wire:
        server = other.start(sys.executable, "-c", RECEIVE.format(address=address))
        wait_until(lambda: ":80" in other.run("ss", "-lnt").stdout, "the server")
        client = one.run(sys.executable, "-c", SEND.format(address=address, octets=OCTETS))
        received = server.communicate(timeout=20)[0]
        assert client.stdout.strip() == received.strip()
        assert wire.largest > 10


def test_udp_segments(make_namespace: MakeNamespace) -> None:
    one, other = make_namespace("one"), make_namespace("other")
    script = (
        "import socket; s = socket.socket(socket.AF_INET, socket.SOCK_DGRAM); s.bind(('10.9.0.2', 80)); "
        "print([len(s.recv(65536)) for _ in range(10)])"
    )
    with joined(one, other) as wire:
        server = other.start(sys.executable, "-c", script)
        wait_until(lambda: ":80" in other.run("ss", "-lnu").stdout, "the server")
        one.run(sys.executable, "-c", DATAGRAMS)
        assert server.communicate(timeout=20)[0].strip() == str([1000] * 9 + [500])
        assert wire.largest in (0, 10)  # 0: before Linux 6.2


@pytest.mark.parametrize("version", [4, 6])
def test_a_long_run_of_small_datagrams(namespace: Namespace, version: int) -> None:
    """The kernel takes it in several frames, and goes on taking frames."""
    source, target = {4: ("10.9.0.2", "10.9.0.1"), 6: ("fd09::2", "fd09::1")}[version]
    flow = Flow(version, UDP, addresses=ip_address(source).packed + ip_address(target).packed)
    with namespace.call(TunDevice.create, "vti0") as device:
        addresses = [ip_interface("10.9.0.1/24"), ip_interface("fd09::1/64")]
        namespace.call(configure, "vti0", addresses, [], 1400, None)
        frames = packet_io(device.fd)
        assert isinstance(frames, FrameIo)

        def written(count: int) -> int:
            """What the kernel counts as packets of a run of so many."""
            packets = [one.octets() for one in Packet(flow, bytes(count * 100)).split(100)]
            size = len(packets[0])
            rows = np.zeros((count, HEADROOM + size + 3), np.uint8)
            rows[:, HEADROOM : HEADROOM + size] = np.frombuffer(b"".join(packets), np.uint8).reshape(
                count, -1
            )
            before = received(namespace)
            assert frames.write_rows(rows, size, size) == count
            return received(namespace) - before

        if written(20) == 1:  # since Linux 6.2
            assert [written(286), written(20)] == [5, 1]


def received(namespace: Namespace) -> int:
    (link,) = json.loads(namespace.ip("-s", "-j", "link", "show", "dev", "vti0"))
    return int(link["stats64"]["rx"]["packets"])


def test_what_reads_a_device_is_told_by_the_device(make_namespace: MakeNamespace) -> None:
    namespace = make_namespace("one")
    with (
        namespace.call(TunDevice.create, "vti0") as one,
        namespace.call(TunDevice.create, "v1", False) as other,
    ):
        assert isinstance(packet_io(one.fd), FrameIo)
        assert isinstance(packet_io(other.fd), PacketIo)
    read, write = os.pipe()
    try:
        assert isinstance(packet_io(read), PacketIo)
    finally:
        os.close(read)
        os.close(write)
