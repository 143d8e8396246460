"""Traffic for a gateway with thousands of tunnels: sealed beforehand on the way in, plain UDP on the way out.

A wave is a number of trains; each train is one inner flow's, its packets alike and back to back.
"""

from __future__ import annotations

import socket
import struct
import time
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from ipaddress import IPv4Address
from pathlib import Path

from benchmarks.initiator import PORT, Initiator, Tunnel
from esp.net.sockets import PROMPT_BUFFER
from esp.sa.outbound import OutboundSa
from esp.sa.suites import AES_GCM_16, suite_for
from ikepy.lab.netns import LabError

SUITE = suite_for(AES_GCM_16, 128, None)
HEADERS = 28  # octets of IPv4 and UDP
QUEUE = PROMPT_BUFFER  # octets in the gateway's socket, half of its room, for which the sender waits
LOOK = 0.0005  # seconds between two looks at it
PATIENCE = 20.0  # seconds until a gateway that does not get on is given up
UDP_SEGMENT = 103
DISCARD = 9  # the port that packets go to
_SEGMENT = struct.Struct("=H")


@dataclass(frozen=True, slots=True)
class Shape:
    """`size`: octets of an inner packet; `train`: packets of a train."""

    size: int
    train: int


@dataclass(frozen=True, slots=True)
class Wave:
    """ESP packets, train by train, and how many there are. `stride`: octets of each."""

    trains: Sequence[bytes]
    stride: int
    packets: int


def inner(source: IPv4Address, destination: IPv4Address, port: int, size: int) -> bytes:
    """An IPv4 packet of zeros in UDP, with both checksums right."""
    length = size - 20
    pseudo = source.packed + destination.packed + struct.pack("!HH", 17, length)
    udp = struct.pack("!HHH", port, DISCARD, length)
    udp += _checksum(pseudo + udp)
    ip = struct.pack("!BBHHHBB", 0x45, 0, size, 0, 0x4000, 64, 17)
    addresses = source.packed + destination.packed
    return ip + _checksum(ip + addresses) + addresses + udp + bytes(size - HEADERS)


def _checksum(data: bytes) -> bytes:
    """RFC 1071."""
    total = int.from_bytes(data, "big") % 0xFFFF
    return struct.pack("!H", 0xFFFF - total or 0xFFFF)


class Peers:
    """The peers' ends of the tunnels: each seals under its own SA."""

    def __init__(self, initiator: Initiator, destination: str) -> None:
        self._sock = initiator.sock
        self._destination = IPv4Address(destination)
        self._sas: dict[int, OutboundSa] = {}

    def seal(self, tunnels: Sequence[Tunnel], trains: int, shape: Shape) -> Wave:
        """So many trains, round robin over the tunnels, each from a port of its own."""
        made = []
        for number in range(trains):
            tunnel = tunnels[number % len(tunnels)]
            sa = self._sas.get(tunnel.number)
            if sa is None:
                sa = self._sas[tunnel.number] = OutboundSa(tunnel.spi_out, SUITE, tunnel.keys[0], esn=False)
            packet = inner(tunnel.inner, self._destination, 1024 + number % 60000, shape.size)
            made.append(b"".join(sa.seal_batch([packet] * shape.train)))
        return Wave(made, len(made[0]) // shape.train, trains * shape.train)

    def send(self, wave: Wave, queue: Queue) -> float:
        """Send all of it, no faster than the gateway takes it; the seconds until nothing waits any more."""
        ancillary = [(socket.IPPROTO_UDP, UDP_SEGMENT, _SEGMENT.pack(wave.stride))]
        every = max(1, QUEUE // 32 // len(wave.trains[0]))
        begin = time.monotonic()
        for number, train in enumerate(wave.trains):
            self._sock.sendmsg([train], ancillary if len(train) > wave.stride else [])
            if number % every == 0:
                queue.wait(QUEUE)
        queue.wait(0)
        return time.monotonic() - begin


class Queue:
    """What waits in the gateway's sockets on port 4500. Open it in the gateway's namespace."""

    def __init__(self) -> None:
        self._file = Path("/proc/thread-self/net/udp").open()  # noqa: SIM115  `close` does

    def close(self) -> None:
        self._file.close()

    def octets(self) -> int:
        """As the kernel counts them, with its own overhead."""
        self._file.seek(0)
        lines = (line.split() for line in self._file.readlines()[1:])
        mark = f":{PORT:04X}"
        return sum(int(fields[4].partition(":")[2], 16) for fields in lines if fields[1].endswith(mark))

    def wait(self, most: int) -> None:
        """Until no more than that waits. LabError if that takes too long."""
        deadline = time.monotonic() + PATIENCE
        while self.octets() > most:
            if time.monotonic() > deadline:
                raise LabError(f"{self.octets()} octets wait in the gateway's sockets")
            time.sleep(LOOK)


class Host:
    """The host behind the gateway, which sends to the tunnels' inner addresses. Make it in its namespace."""

    def __init__(self, address: str) -> None:
        self._sock = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        self._sock.bind((address, DISCARD))

    def close(self) -> None:
        self._sock.close()

    def flood(self, tunnels: Sequence[Tunnel], shape: Shape, seconds: float) -> None:
        """Trains round robin over the tunnels, each to another port, as fast as the system takes them."""
        payload = bytes(shape.size - HEADERS)
        train = payload * shape.train
        ancillary = (
            [(socket.IPPROTO_UDP, UDP_SEGMENT, _SEGMENT.pack(len(payload)))] if shape.train > 1 else []
        )
        targets = _round_robin([str(one.inner) for one in tunnels])
        send, end = self._sock.sendmsg, time.monotonic() + seconds
        while time.monotonic() < end:
            for _ in range(16):
                send([train], ancillary, 0, next(targets))


def _round_robin(addresses: Iterable[str]) -> Iterator[tuple[str, int]]:
    """Address and port: as many different ones as there are ports."""
    names = list(addresses)
    number = 0
    while True:
        yield names[number % len(names)], 1024 + number % 60000
        number += 1
