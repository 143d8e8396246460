"""Packets without an SA: asked for and kept until there is one, or dropped (RFC 4301 4.4.1 and 5.1)."""

from __future__ import annotations

import time
from collections.abc import Callable

from esp.datapath.devices import Device
from esp.datapath.sa_database import OutboundEntry, SaDatabase
from esp.ipc.counters import CounterBlock
from esp.ipc.messages import Acquire, Looped, Message
from esp.packet.drop_reasons import Drop
from esp.packet.headers import Buffer, flow_of, tos_of


class AcquireQueue:
    """What a worker does with them. `post` sends a message to control; it returns False if that was lost."""

    def __init__(self, database: SaDatabase, counters: CounterBlock, post: Callable[[Message], bool]) -> None:
        self._database = database
        self._counters = counters
        self._post = post

    def enqueue(self, device: Device, packet: Buffer) -> None:
        """Keep a packet, and ask control for an SA, if the device or one of its SAs wants that; end one that
        goes in circles."""
        flow = flow_of(packet)
        if self._database.local_endpoints.sent(flow):
            self._counters.drop(Drop.LOOP)
            if device.looped.allow(time.monotonic()):
                self._post(Looped(device.device_id, flow.remote))
            return
        trap = device.trap or self._database.traps(device.device_id)
        if not trap or flow.on_link_only:  # the kernel itself says that, of every device
            self._counters.drop(Drop.NO_SA)
            return
        now = time.monotonic()
        self._keep(device, packet, now, now)

    def release(self, device: Device) -> dict[tuple[OutboundEntry, int], list[Buffer]]:
        """What was kept and has an SA now, by that and the TOS octet, in order."""
        now = time.monotonic()
        waited = device.waiting.take_all(now)
        self._count_expired(device)
        by_sa: dict[tuple[OutboundEntry, int], list[Buffer]] = {}
        for arrived, packet in waited:
            entry = self._database.outbound(device.device_id, packet)
            if entry is None:
                self._keep(device, packet, arrived, now)
            else:
                by_sa.setdefault((entry, tos_of(packet)), []).append(packet)
        return by_sa

    def _keep(self, device: Device, packet: Buffer, arrived: float, now: float) -> None:
        if device.acquire.allow(now):
            self._post(Acquire(device.device_id, flow_of(packet).selectors()))
        if not device.waiting.put(packet, arrived, now):
            self._counters.drop(Drop.QUEUE_FULL)
        self._count_expired(device)

    def _count_expired(self, device: Device) -> None:
        if device.waiting.expired:
            self._counters.drop(Drop.QUEUE_AGE, device.waiting.expired)
            device.waiting.expired = 0
