"""Acts on the workers' messages and deaths: tells the machine, or forwards a packet to the right worker."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from contextlib import suppress
from ipaddress import ip_address

from esp.ipc import messages
from esp.packet.selectors import BITS, Selector
from ikepy.config.model import Connection
from ikepy.daemon import log
from ikepy.daemon.bus.daemon_events import (
    LoopDetected,
    PacketWithoutSa,
    WorkerFault,
    WorkerServed,
    WorkerUnserved,
)
from ikepy.daemon.device.devices import DeviceTable
from ikepy.daemon.device.vti_device import VtiDevice
from ikepy.daemon.effects.children import ChildTable
from ikepy.daemon.effects.runner import EffectsRunner
from ikepy.daemon.events.reconciler import started
from ikepy.daemon.workers.pool import WorkerDown, WorkerPool
from ikepy.sa.api.commands import Acquire, Initiate, SequenceLow
from ikepy.sa.api.path import Address, Endpoint, Path

SPI = 4  # octets of an ESP SPI, the first field of every packet


class WorkerEvents:
    """Receives the workers' messages and deaths."""

    def __init__(
        self,
        runner: EffectsRunner,
        pool: WorkerPool,
        children: ChildTable,
        devices: DeviceTable,
        suspect: Callable[[VtiDevice], None],
        led_inside: Callable[[Address], bool],
    ) -> None:
        """`suspect` is called with a device that a worker can't read; `led_inside` with a peer's address
        whose packets came out of a tunnel, and returns whether it can't be exempted."""
        self._runner = runner
        self._pool = pool
        self._children = children
        self._devices = devices
        self._suspect = suspect
        self._led_inside = led_inside

    def death(self, slot: int) -> None:
        """The slot's process has ended, and its SAs with it."""
        self._runner.children_lost(self._children.of_slot(slot))

    def service(self, slot: int, running: bool) -> None:
        """The slot has no process and gets none at once (False), or has one again (True)."""
        devices = [device for device in self._devices if device.slot == slot]
        for device in devices:
            self._devices.serve(device, running)
        names = tuple(device.name for device in devices)
        self._runner.bus.publish(WorkerServed(slot, names) if running else WorkerUnserved(slot, names))
        if not running:
            return
        for device in devices:
            for name in started(device.connection):
                self._runner.request(Initiate(device.connection.name, name))

    def message(self, slot: int, message: messages.Message) -> None:
        match message:
            case messages.Ready():
                log.debug(f"worker {slot}", "ready", "esp")
            case messages.BusyChanged():
                self._pool.hurry(slot, message.busy)
            case messages.ForwardIke():
                self._stray(message)
            case messages.ForwardEsp():
                self.forward(message, slot)
            case messages.UnknownSpi():
                source = Endpoint(message.remote_address, message.remote_port)
                log.debug(f"worker {slot}", f"{source} sends under the unknown SPI {message.spi:08x}", "esp")
                local = Endpoint(message.local_address, message.local_port)
                self._runner.unknown_spi(message.spi, Path(local, source))
            case messages.PeerMoved():
                remote = Endpoint(message.remote_address, message.remote_port)
                self._runner.peer_moved(message.child_id, remote)
            case messages.NotPermitted():
                self._runner.not_permitted(message.child_id, message.start)
            case messages.Acquire():
                device = self._devices.by_id(message.device_id)
                if device is not None and len(message.packet) == 2:
                    self._runner.request(Acquire(device.connection.name, *message.packet))
                    if not _may_carry(device.connection, *message.packet):
                        self._without_sa(device, 1, *message.packet)
            case messages.NoSa():
                device = self._devices.by_id(message.device_id)
                if device is not None and len(message.packet) == 2:
                    self._without_sa(device, message.count, *message.packet)
            case messages.Looped():
                device = self._devices.by_id(message.device_id)
                if device is not None and self._led_inside(message.remote_address):
                    name = device.connection.name
                    self._runner.bus.publish(LoopDetected(name, device.tun.name, message.remote_address))
            case messages.SequenceLow():
                self._runner.request(SequenceLow(message.child_id))
            case messages.SequenceExhausted():
                self._lost(slot, message.child_id, "its sequence numbers are used up")
            case messages.DeviceBroken():
                log.debug(f"worker {slot}", f"device {message.device_id}: {message.text}", "esp")
                device = self._devices.by_id(message.device_id)
                if device is not None:
                    self._suspect(device)
            case messages.Fault():
                self._lost(slot, message.child_id, message.text)
            case _:
                log.error(f"worker {slot}", f"{type(message).__name__} is not a worker's to say", "esp")

    def _without_sa(self, device: VtiDevice, count: int, source: Selector, destination: Selector) -> None:
        ends = _address(source), _address(destination)
        name = device.connection.name
        self._runner.bus.publish(PacketWithoutSa(name, device.tun.name, count, *ends, source.protocol))

    def _stray(self, message: messages.ForwardIke) -> None:
        local = Endpoint(message.local_address, message.local_port)
        remote = Endpoint(message.remote_address, message.remote_port)
        self._runner.receive(message.data, Path(local, remote))

    def forward(self, message: messages.ForwardEsp, sender: int | None = None) -> None:
        """Forward an ESP packet to the worker that its SPI names, but never back to the slot that sent it.

        The packets of strangers don't wait where keys and devices do.
        """
        right = int.from_bytes(message.data[:SPI], "big") % self._pool.workers
        if right != sender:
            self._pool.offer(right, message)

    def _lost(self, slot: int, child_id: int, text: str) -> None:
        child = self._children.get(child_id)
        self._runner.bus.publish(WorkerFault(slot, child_id, text))
        if child is not None:
            with suppress(WorkerDown):
                self._pool.send(slot, messages.RemoveSaPair(child_id))
            self._runner.children_lost([child])


def _address(selector: Selector) -> Address:
    """That of a packet's narrowest selector."""
    octets = selector.first.to_bytes(BITS[selector.version] // 8, "big")
    return ip_address(octets)


def _may_carry(connection: Connection, source: Selector, destination: Selector) -> bool:
    """Whether the selectors that are configured for some child permit a packet, before the peer narrows
    them; an address that is known with the IKE_SA only (`dynamic`) may be any."""

    def permit(configured: Iterable[Selector | str], packet: Selector) -> bool:
        return any(isinstance(one, str) or one.contains(packet) for one in configured)

    children = connection.children.values()
    return any(permit(one.local_ts, source) and permit(one.remote_ts, destination) for one in children)
