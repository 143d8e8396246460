"""Egress and ingress of a worker between a device with offloads and real sockets on loopback, without its
loop."""

from __future__ import annotations

import select
import socket
from collections.abc import Callable, Sequence
from types import TracebackType
from typing import Self

from esp.datapath.context import Context
from esp.datapath.devices import Device
from esp.datapath.egress import Egress
from esp.datapath.ingress import Ingress
from esp.ipc.counters import CounterBlock
from esp.ipc.messages import Message
from esp.net.sockets import SocketKind, open_udp
from esp.net.transport import Transport
from esp.packet.policy import Policy
from esp.packet.selectors import Selector
from esp.sa.inbound import InboundSa
from esp.sa.outbound import OutboundSa
from esp.sa.suites import Suite
from tests.unit.esp.bed import DEVICE, LOOPBACK, inbound, outbound
from tests.unit.esp.packets import ANY, keys_for
from tests.unit.tun.plain import separate
from tun.frames import FrameIo

SPI = 0x1001
Wrap = Callable[[socket.socket], socket.socket]


class DatapathBed:
    """Egress and ingress of one worker. `kernel` is the other end of its device, `peer` a socket beside its
    own."""

    def __init__(
        self,
        suite: Suite,
        *,
        esn: bool = False,
        window: int = 64,
        selectors: tuple[Selector, ...] = ANY,
        wrap: Wrap = lambda sock: sock,
        slots: int = 2,
    ) -> None:
        self.said: list[Message] = []
        self.told: list[str] = []
        self.alone = False  # whether packets take the single-packet fast path
        self.counters = CounterBlock.create(slots)
        self.kernel, self._ours = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        for end in (self.kernel, self._ours):
            end.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, 1 << 22)
            end.setblocking(False)
        self._sock, self.peer = open_udp(LOOPBACK, 0), open_udp(LOOPBACK, 0)
        self.port, self.peer_port = (int(one.getsockname()[1]) for one in (self._sock, self.peer))
        self.transport = Transport(wrap(self._sock), SocketKind.UDP, 4, LOOPBACK, self.port, self.told.append)
        self._build(suite, esn, window, selectors)
        self.suite, self.esn = suite, esn

    def _build(self, suite: Suite, esn: bool, window: int, selectors: tuple[Selector, ...]) -> None:
        context = Context(self.counters, self._post)
        self.database, self.deferred = context.database, context.deferred
        self.egress = Egress(context)
        self.egress.set_transports([self.transport])
        self.device = Device(DEVICE, "vti1", False, FrameIo(self._ours.fileno()), self._ours.fileno())
        context.devices[DEVICE] = self.device
        self.ingress = Ingress(context, (0, 1), lambda: None, self.egress.release_waiting)
        ends = {"local_port": self.port, "remote_port": self.peer_port, "suite": suite, "esn": esn}
        self.database.install_outbound(outbound(1, SPI, **ends))
        self.database.install_inbound(
            inbound(1, SPI, replay_window=window, ts_local=selectors, ts_remote=selectors, **ends)
        )
        self._read_single_from_device = self.egress.single_packet_reader(self.device)
        self._read_single_from_transport = self.ingress.single_packet_reader(self.transport)
        entry = self.database.outbound(DEVICE, bytes([0x45]) + bytes(40))
        assert entry is not None
        self.sa = entry.sa

    def _post(self, message: Message) -> bool:
        self.said.append(message)
        return True

    # Out

    def send(self, frames: Sequence[bytes]) -> None:
        """The device hands over these frames."""
        for frame in frames:
            self.kernel.send(frame)
            self.read_once()

    def read_all(self) -> None:
        """Turns until the device has nothing more."""
        while select.select([self._ours], [], [], 0)[0]:
            self.read_once()

    def read_once(self) -> int:
        count = self._read_single_from_device() if self.alone else self.egress.read_device(self.device)
        self.run_deferred()
        return count

    def run_deferred(self) -> None:
        """What the worker does once it is idle."""
        for rest in self.deferred:
            rest()
        self.deferred.clear()

    def sent(self) -> list[bytearray]:
        """What has arrived at the peer, datagram by datagram."""
        found = []
        while True:
            try:
                found.append(bytearray(self.peer.recv(65536)))
            except BlockingIOError:
                return found

    def single_packet_sa(self) -> InboundSa:
        """The peer's SA, for opening packet by packet."""
        return InboundSa(SPI, self.suite, keys_for(self.suite, SPI), self.esn, 4096, Policy(ANY, ANY))

    # In

    def sender(self, used: int = 0) -> OutboundSa:
        """The peer's SA for what it sends."""
        return OutboundSa(SPI, self.suite, keys_for(self.suite, SPI), self.esn, used)

    def arrive(self, rows: Sequence[bytes | memoryview]) -> None:
        """ESP packets of one size, the last one perhaps shorter, arrive together."""
        segment = (17, 103, len(rows[0]).to_bytes(2, "little"))
        ancillary = [segment] if len(rows) > 1 else []
        self.peer.sendmsg([b"".join(rows)], ancillary, 0, ("127.0.0.1", self.port))
        if self.alone:
            self._read_single_from_transport()
        else:
            self.ingress.read_transport(self.transport)
        self.run_deferred()

    def delivered(self) -> list[bytes]:
        """What the device got, packet by packet."""
        found: list[bytes] = []
        while True:
            try:
                found += separate(self.kernel.recv(1 << 17))
            except BlockingIOError:
                return found

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        for sock in (self.kernel, self._ours, self._sock, self.peer):
            sock.close()
        self.counters.close()
