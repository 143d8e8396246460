"""Packets without an SA: asked for and kept until there is one, or dropped (RFC 4301 4.4.1 and 5.1)."""

from __future__ import annotations

import time
from collections.abc import Callable

from esp.counters import CounterBlock, Drop
from esp.database import Outbound, SaDatabase
from esp.devices import Device
from esp.messages import Acquire, Looped, Message
from esp.packet import Buffer, flow_of, tos_of


class Trap:
    """What a worker does with them. `post` sends a message to control; it returns False if that was lost."""

    def __init__(self, database: SaDatabase, counters: CounterBlock, post: Callable[[Message], bool]) -> None:
        self._database = database
        self._counters = counters
        self._post = post

    def catch(self, device: Device, packet: Buffer) -> None:
        """Keep a packet, and ask control for an SA, if the device or one of its SAs wants that; end one that
        goes in circles."""
        flow = flow_of(packet)
        if self._database.own.sent(flow):
            self._counters.drop(Drop.LOOP)
            if device.looped.allow(time.monotonic()):
                self._post(Looped(device.device_id, flow.remote))
            return
        trap = device.trap or self._database.traps(device.device_id)
        if not trap or flow.of_the_link:  # the kernel itself says that, of every device
            self._counters.drop(Drop.NO_SA)
            return
        now = time.monotonic()
        self._keep(device, packet, now, now)

    def release(self, device: Device) -> dict[tuple[Outbound, int], list[Buffer]]:
        """What was kept and has an SA now, by that and the TOS octet, in order."""
        now = time.monotonic()
        waited = device.waiting.take_all(now)
        self._count_expired(device)
        by_sa: dict[tuple[Outbound, int], list[Buffer]] = {}
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
