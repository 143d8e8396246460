"""The path of packets through a worker: devices to sockets and sockets to devices, batch by batch.

Every packet that goes no further is counted under its reason (`esp.counters.Drop`); nothing here logs or
raises for a bad packet. RFC 4303 3.3 and 3.4, RFC 3948 2, RFC 4301 5.1 and 5.2.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from ipaddress import IPv4Address, IPv6Address, ip_address
from itertools import groupby
from typing import Protocol

from esp.counters import CounterBlock, Drop
from esp.database import Inbound, Outbound, OuterPath, SaDatabase
from esp.limits import RateLimit, WaitingRoom
from esp.messages import (
    Acquire,
    ForwardEsp,
    Message,
    PeerMoved,
    SequenceExhausted,
    SequenceLow,
    SocketKind,
    Stray,
    UnknownSpi,
)
from esp.packet import Buffer, flow_of, ip_length
from esp.transport import Datagram, SocketAddress, Transport, arena

Address = IPv4Address | IPv6Address

_KEEPALIVE = b"\xff"
_MARKER = 4  # octets of the non-ESP marker, or of an SPI
_SHORTEST = 8  # an ESP header

_TOO_SHORT = -1
_IKE = 0  # as an SPI

# One each so many seconds, after a burst
_ACQUIRE = (1.0, 2)
_UNKNOWN_SPI = (0.1, 10)
_STRAY = (0.005, 200)
_FORWARD = (0.001, 1000)


class PacketDevice(Protocol):
    """Where inner packets come from and go to: whole IP packets, nothing in front."""

    def fileno(self) -> int: ...

    def read_batch(self, limit: int, /) -> Sequence[bytes | memoryview]:
        """What is there, at most `limit` packets; empty if it would block. Raises OSError if it is broken."""

    def write_batch(self, packets: Sequence[bytes | memoryview], /) -> int:
        """Write in order; how many were taken. Raises OSError if it is broken."""


@dataclass(slots=True, eq=False)
class Device:
    """A device and what waits for an SA there."""

    device_id: int
    name: str
    trap: bool
    io: PacketDevice
    fd: int
    waiting: WaitingRoom = field(default_factory=WaitingRoom)
    acquire: RateLimit = field(default_factory=lambda: RateLimit(*_ACQUIRE))


class Forwarder:
    """Moves packets between the devices and the sockets of one worker.

    `post` sends a message to control; it returns False if the message was lost. `catch_up` obeys what
    control has said meanwhile: it is called before an SPI is taken for unknown, because the peer may be
    faster than the message that installs it.
    """

    def __init__(
        self,
        database: SaDatabase,
        counters: CounterBlock,
        slot: int,
        workers: int,
        post: Callable[[Message], bool],
        catch_up: Callable[[], None],
    ) -> None:
        self.devices: dict[int, Device] = {}
        self._transports: dict[tuple[SocketKind, Address, int], Transport] = {}
        self._database = database
        self._counters = counters
        self._slot = slot
        self._workers = workers
        self._post = post
        self._catch_up = catch_up
        self._rows = arena()
        self._unknown_spi = RateLimit(*_UNKNOWN_SPI)
        self._stray = RateLimit(*_STRAY)
        self._forward = RateLimit(*_FORWARD)

    def set_transports(self, transports: Sequence[Transport]) -> None:
        """Send through these from now on."""
        self._transports = {(each.kind, each.local_address, each.local_port): each for each in transports}

    # Out

    def send(self, device: Device, packets: Sequence[Buffer]) -> None:
        """Send a batch that was read from a device."""
        by_sa: dict[Outbound, list[Buffer]] = {}
        find = self._database.outbound
        for packet in packets:
            length = ip_length(packet)
            if length is None:
                self._counters.drop(Drop.MALFORMED)
                continue
            entry = find(device.device_id, packet)
            if entry is None:
                self._without_sa(device, packet)
            else:
                by_sa.setdefault(entry, []).append(packet[:length])
        for entry, batch in by_sa.items():
            self._seal(entry, batch)

    def _without_sa(self, device: Device, packet: Buffer) -> None:
        if not device.trap:
            self._counters.drop(Drop.NO_SA)
            return
        now = time.monotonic()
        self._keep(device, packet, now, now)
        if device.acquire.allow(now):
            source, destination = flow_of(packet).addresses()
            self._post(Acquire(device.device_id, source, destination))

    def _keep(self, device: Device, packet: Buffer, arrived: float, now: float) -> None:
        if not device.waiting.put(packet, arrived, now):
            self._counters.drop(Drop.QUEUE_FULL)
        self._count_expired(device)

    def _count_expired(self, device: Device) -> None:
        if device.waiting.expired:
            self._counters.drop(Drop.QUEUE_AGE, device.waiting.expired)
            device.waiting.expired = 0

    def release_waiting(self, device_id: int | None) -> None:
        """A device has one more active SA: send what waited for it."""
        device = None if device_id is None else self.devices.get(device_id)
        if device is None or not device.waiting:
            return
        now = time.monotonic()
        waited = device.waiting.take_all(now)
        self._count_expired(device)
        by_sa: dict[Outbound, list[Buffer]] = {}
        for arrived, packet in waited:
            entry = self._database.outbound(device.device_id, packet)
            if entry is None:
                self._keep(device, packet, arrived, now)
            else:
                by_sa.setdefault(entry, []).append(packet)
        for entry, batch in by_sa.items():
            self._seal(entry, batch)

    def _seal(self, entry: Outbound, packets: Sequence[Buffer]) -> None:
        sa, slot, counters = entry.sa, entry.slot, self._counters
        try:
            rows = sa.seal_batch(packets)
        finally:
            self._watch_sequence(entry)
        if len(rows) < len(packets):
            counters.drop(Drop.EXHAUSTED, len(packets) - len(rows), slot)
        transport = self._transport(entry.path)
        if transport is None:
            counters.drop(Drop.NO_SOCKET, len(rows), slot)
            return
        path = entry.path
        remote = (str(path.remote_address), path.remote_port if path.encap else 0)
        failures = transport.send(rows, path.local_address, remote)
        octets = sum(len(packet) for packet in packets[: len(rows)])
        for index, reason in failures.items():
            counters.drop(reason, 1, slot)
            octets -= len(packets[index])
        if len(rows) > len(failures):
            counters.count_out(slot, len(rows) - len(failures), octets, time.time())

    def _watch_sequence(self, entry: Outbound) -> None:
        sa = entry.sa
        self._counters.set_sequence(entry.slot, sa.sequence)
        if sa.low and not entry.low_reported:
            entry.low_reported = self._post(SequenceLow(entry.child_id))
        if sa.exhausted and not entry.exhausted_reported:
            entry.exhausted_reported = self._post(SequenceExhausted(entry.child_id))

    def _transport(self, path: OuterPath) -> Transport | None:
        kind, port = (SocketKind.UDP, path.local_port) if path.encap else (SocketKind.RAW, 0)
        local = path.local_address
        exact = self._transports.get((kind, local, port))
        if exact is not None:
            return exact
        anywhere = IPv4Address(0) if local.version == 4 else IPv6Address(0)
        return self._transports.get((kind, anywhere, port))

    # In

    def read_transport(self, transport: Transport) -> None:
        """Take one batch from a socket and write what is inside to the devices."""
        datagrams = transport.receive(self._rows)
        for (spi, _), run in groupby(datagrams, _spi_and_source):
            self._receive(transport, spi, list(run))

    def _receive(self, transport: Transport, spi: int, run: list[Datagram]) -> None:
        """Datagrams from one source under one SPI."""
        udp = transport.kind is SocketKind.UDP
        if spi == _TOO_SHORT:
            for datagram in run:
                keepalive = udp and datagram.row == _KEEPALIVE
                self._counters.drop(Drop.KEEPALIVE if keepalive else Drop.MALFORMED)
        elif spi == _IKE and udp:
            self._pass_on_ike(transport, run)
        elif spi % self._workers != self._slot:
            self._pass_on_esp(transport, run)
        else:
            rows = [datagram.row for datagram in run]
            source = _endpoint(run[0].source) if udp else None
            if self._open(spi, rows, source):
                return
            self._catch_up()
            if not self._open(spi, rows, source):
                self._unknown(transport, spi, run)

    def _open(self, spi: int, rows: Sequence[memoryview], source: tuple[str, int] | None) -> bool:
        """Open ESP packets and write them to their device; False if there is no such SA.

        `source`: the remote address and port if they came in UDP. The rows are overwritten.
        """
        entry = self._database.inbound(spi)
        if entry is None:
            return False
        opened = entry.sa.open_batch(rows)
        for reason, count in opened.drops.items():
            self._counters.drop(reason, count, entry.slot)
        if opened.packets:
            self._deliver(entry, opened.packets)
        if opened.valid:
            self.release_waiting(self._database.activate(entry.child_id))
        if opened.newest and source is not None:
            self._watch_source(entry, source)
        return True

    def _deliver(self, entry: Inbound, packets: list[memoryview]) -> None:
        device = self.devices[entry.device_id]
        try:
            written = device.io.write_batch(packets)
        except OSError:
            written = 0
        if written < len(packets):
            self._counters.drop(Drop.DEVICE, len(packets) - written, entry.slot)
        octets = sum(len(packet) for packet in packets)
        self._counters.count_in(entry.slot, len(packets), octets, time.time())

    def _watch_source(self, entry: Inbound, source: tuple[str, int]) -> None:
        path = entry.path
        if not path.encap or source == (str(path.remote_address), path.remote_port):
            return
        address = ip_address(source[0].partition("%")[0])
        if (address, source[1]) == (path.remote_address, path.remote_port):
            return
        if entry.moved.allow(time.monotonic()):
            self._post(PeerMoved(entry.child_id, address, source[1]))

    def _unknown(self, transport: Transport, spi: int, run: list[Datagram]) -> None:
        self._counters.drop(Drop.UNKNOWN_SPI, len(run))
        if self._unknown_spi.allow(time.monotonic()):
            self._post(UnknownSpi(spi, *_endpoints(transport, run[0])))

    def _pass_on_ike(self, transport: Transport, run: list[Datagram]) -> None:
        for datagram in run:
            message = Stray(*_endpoints(transport, datagram), bytes(datagram.row[_MARKER:]))
            if not (self._stray.allow(time.monotonic()) and self._post(message)):
                self._counters.drop(Drop.STRAY)

    def _pass_on_esp(self, transport: Transport, run: list[Datagram]) -> None:
        encap = transport.kind is SocketKind.UDP
        for datagram in run:
            message = ForwardEsp(encap, *_endpoints(transport, datagram), bytes(datagram.row))
            if not (self._forward.allow(time.monotonic()) and self._post(message)):
                self._counters.drop(Drop.STRAY)

    def receive_forwarded(self, message: ForwardEsp) -> None:
        """ESP that control passes on from another worker."""
        row = memoryview(bytearray(message.data))
        spi = int.from_bytes(row[:_MARKER], "big")
        if len(row) < _SHORTEST:
            self._counters.drop(Drop.MALFORMED)
            return
        source = (str(message.remote_address), message.remote_port) if message.encap else None
        # An SPI of yet another worker is unknown here: passing it on again could go in a circle.
        if not self._open(spi, [row], source):
            self._counters.drop(Drop.UNKNOWN_SPI)


def _spi_and_source(datagram: Datagram) -> tuple[int, SocketAddress]:
    row = datagram.row
    spi = int.from_bytes(row[:_MARKER], "big") if len(row) >= _SHORTEST else _TOO_SHORT
    return spi, datagram.source


def _endpoint(source: SocketAddress) -> tuple[str, int]:
    return source[0], source[1]


def _endpoints(transport: Transport, datagram: Datagram) -> tuple[Address, int, Address, int]:
    """Local address and port, remote address and port."""
    host, port = _endpoint(datagram.source)
    remote = ip_address(host.partition("%")[0])
    remote_port = port if transport.kind is SocketKind.UDP else 0
    return datagram.local_address, transport.local_port, remote, remote_port
