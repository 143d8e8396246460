"""A worker's peer: a UDP socket beside it, with the SAs that fit the worker's."""

from __future__ import annotations

import socket

from esp.net.sockets import open_udp
from esp.sa.outbound import OutboundSa
from esp.sa.suites import Suite
from tests.unit.esp.bed import GCM, LOOPBACK, QUIET, SECONDS
from tests.unit.esp.packets import keys_for


class Peer:
    """A UDP socket beside the worker, as its peer."""

    def __init__(self, worker_port: int) -> None:
        self.sock = open_udp(LOOPBACK, 0)
        self.sock.settimeout(SECONDS)
        self.port = int(self.sock.getsockname()[1])
        self.worker_port = worker_port

    def sa(self, spi: int, suite: Suite = GCM, used: int = 0) -> OutboundSa:
        return OutboundSa(spi, suite, keys_for(suite, spi), False, used)

    def send(self, *datagrams: bytes | memoryview) -> None:
        for datagram in datagrams:
            self.sock.sendto(datagram, ("127.0.0.1", self.worker_port))

    def receive(self) -> bytes:
        return self.sock.recv(65536)

    def burst(self, device: socket.socket, packet: bytes) -> None:
        """The worker is to send what a device gives it a hundred times, at once."""
        for _ in range(100):
            device.send(packet)
        for _ in range(100):
            self.receive()

    def receives_nothing(self) -> bool:
        self.sock.settimeout(QUIET)
        try:
            self.sock.recv(65536)
        except TimeoutError:
            return True
        finally:
            self.sock.settimeout(SECONDS)
        return False


def paths(port: int, peer: Peer) -> dict[str, object]:
    return {"local_port": port, "remote_port": peer.port}


def spi_of(datagram: bytes) -> int:
    return int.from_bytes(datagram[:4], "big")
