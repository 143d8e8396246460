"""A worker in a thread, with fake devices and real sockets, and the messages to run it."""

from __future__ import annotations

import os
import socket
import threading
from collections.abc import Callable, Sequence
from dataclasses import replace
from ipaddress import IPv4Address, IPv6Address
from time import monotonic
from types import TracebackType
from typing import Self, TypeVar

from esp.datapath.device_io import PacketDevice
from esp.datapath.worker import Worker
from esp.ipc import channel
from esp.ipc.counters import CounterBlock, SaCounters
from esp.ipc.messages import (
    AddDevice,
    AddInboundSa,
    AddOutboundSa,
    AddSocket,
    BusyChanged,
    Fault,
    Message,
    Ready,
)
from esp.net.sockets import SocketKind
from esp.packet.selectors import Selector
from esp.sa.suites import AES_GCM_16, Suite, suite_for
from tests.unit.esp.packets import ANY, keys_for

Address = IPv4Address | IPv6Address
Kind = TypeVar("Kind")

SECONDS = 5.0  # until something that must happen is given up
QUIET = 0.15  # without anything, and it is believed not to happen
LOOPBACK = IPv4Address("127.0.0.1")
GCM = suite_for(AES_GCM_16, 128, None)
DEVICE = 1


class FakeDevice:
    """One end of a socket pair as a device of whole packets."""

    def __init__(self, fd: int, told: list[tuple[int, int]]) -> None:
        """`told`: to what the MSS was to be lowered."""
        self._fd = fd
        self._told = told

    def fileno(self) -> int:
        return self._fd

    def set_mss(self, mss4: int, mss6: int) -> None:
        self._told.append((mss4, mss6))

    def read_batch(self, limit: int) -> list[bytes]:
        packets: list[bytes] = []
        try:
            while len(packets) < limit:
                packet = os.read(self._fd, 65536)
                if not packet:
                    raise OSError("the other end is closed")
                packets.append(packet)
        except BlockingIOError:
            pass
        return packets

    def write_batch(self, packets: Sequence[bytes | memoryview]) -> int:
        for index, packet in enumerate(packets):
            try:
                os.write(self._fd, packet)
            except BlockingIOError:
                return index
        return len(packets)


class Bed:
    """Control's side of one worker. Leaving it ends the worker and looks whether it ended well."""

    def __init__(self, slot: int = 0, workers: int = 1, slots: int = 8) -> None:
        self.control, self._theirs = channel.pair()
        self.counters = CounterBlock.create(slots)
        self.devices: dict[int, socket.socket] = {}
        self.sockets: list[socket.socket] = []
        self.wrapped: list[tuple[int, int]] = []
        self._heard: list[Message] = []
        self._error: BaseException | None = None
        self._worker = Worker(self._theirs, self.counters, slot, workers, self._wrap)
        self._thread = threading.Thread(target=self._run)

    def _wrap(self, fd: int, mss4: int, mss6: int) -> PacketDevice:
        self.wrapped.append((mss4, mss6))
        return FakeDevice(fd, self.wrapped)

    def _run(self) -> None:
        try:
            self._worker.run()
        except BaseException as error:
            self._error = error

    def __enter__(self) -> Self:
        self._thread.start()
        self.hear(Ready)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.control.close()
        self._thread.join(SECONDS)
        alive = self._thread.is_alive()
        self._theirs.close()
        for sock in (*self.sockets, *self.devices.values()):
            sock.close()
        if not alive:
            self.counters.close()
        assert not alive, "the worker does not end"
        if self._error is not None:
            raise self._error

    # Messages

    def tell(self, message: Message, fd: int | None = None) -> None:
        channel.send(self.control, message, fd)

    def hear(self, kind: type[Kind], seconds: float = SECONDS) -> Kind:
        """The next message of a kind; others are kept."""
        until = monotonic() + seconds
        while True:
            for message in self._heard:
                if isinstance(message, kind):
                    self._heard.remove(message)
                    return message
            self.control.settimeout(max(0.001, until - monotonic()))
            try:
                received = channel.receive(self.control)
            except TimeoutError:
                raise AssertionError(f"no {kind.__name__}, but {self._heard}") from None
            assert received is not None
            self._heard.append(received[0])

    def hears_nothing(self, kind: type[Message]) -> bool:
        try:
            self.hear(kind, QUIET)
        except AssertionError:
            return True
        return False

    def make_busy(self, burst: Callable[[], object]) -> None:
        """Send bursts until the worker reports itself busy: one whose packets are read one by one does not
        count."""
        until = monotonic() + SECONDS
        while True:
            burst()
            try:
                message = self.hear(BusyChanged, QUIET)
            except AssertionError:
                assert monotonic() < until, "not busy after many of them"
            else:
                assert message.busy
                return

    def sync(self) -> None:
        """Wait until everything told so far is obeyed: the answer to nonsense comes after it."""
        self.tell(Ready())
        assert "Ready" in self.hear(Fault).text

    # Things

    def add_device(self, device_id: int = DEVICE, *, trap: bool = False) -> socket.socket:
        ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        with theirs:
            self.tell(AddDevice(device_id, f"vti{device_id}", trap, 0, 0), theirs.fileno())
        ours.settimeout(SECONDS)
        if device_id in self.devices:
            self.devices[device_id].close()
        self.devices[device_id] = ours
        return ours

    def add_socket(
        self, sock: socket.socket, address: Address = LOOPBACK, kind: SocketKind = SocketKind.UDP
    ) -> int:
        """Hand over a copy of a socket; its port."""
        port = int(sock.getsockname()[1]) if kind is SocketKind.UDP else 0
        self.tell(AddSocket(len(self.sockets), address.version, kind, address, port), sock.fileno())
        self.sockets.append(sock)
        return port

    # Counters

    def sa(self, slot: int = 0) -> SaCounters:
        return self.counters.sa(slot)

    def wait_for(self, condition: Callable[[], bool]) -> None:
        until = monotonic() + SECONDS
        while not condition():
            assert monotonic() < until, f"in vain: {self.counters.drops()}, {self.sa()}"
            threading.Event().wait(0.005)


def inbound(child_id: int, spi: int, **changes: object) -> AddInboundSa:
    """An inbound SA of AES-GCM in UDP on loopback, with the keys of seed `spi`."""
    suite = changes.pop("suite", GCM)
    assert isinstance(suite, Suite)
    message = AddInboundSa(
        child_id=child_id,
        device_id=DEVICE,
        slot=0,
        spi=spi,
        suite=suite,
        keys=keys_for(suite, spi),
        esn=False,
        replay_window=64,
        ts_local=ANY,
        ts_remote=ANY,
        encap=True,
        local_address=LOOPBACK,
        local_port=4500,
        remote_address=LOOPBACK,
        remote_port=4500,
    )
    return replace(message, **changes)  # type: ignore[arg-type]


def outbound(child_id: int, spi: int, **changes: object) -> AddOutboundSa:
    """The other end of `inbound` with the same SPI."""
    suite = changes.pop("suite", GCM)
    assert isinstance(suite, Suite)
    message = AddOutboundSa(
        child_id=child_id,
        device_id=DEVICE,
        slot=0,
        spi=spi,
        suite=suite,
        keys=keys_for(suite, spi),
        esn=False,
        ts_local=ANY,
        ts_remote=ANY,
        encap=True,
        local_address=LOOPBACK,
        local_port=4500,
        remote_address=LOOPBACK,
        remote_port=4500,
        standby=False,
    )
    return replace(message, **changes)  # type: ignore[arg-type]


def to(network: str) -> dict[str, tuple[Selector, ...]]:
    """Selectors from anywhere to a network."""
    return {"ts_local": ANY, "ts_remote": (Selector.of(network),)}
