"""Acquire: queues packets without an SA while control sets one up, or drops them (RFC 4301 4.4.1 and 5.1)."""

from __future__ import annotations

import time
from collections.abc import Iterator

from esp.datapath.context import Context
from esp.datapath.devices import Device
from esp.datapath.sa_entries import OutboundEntry
from esp.ipc.messages import Acquire, Looped, NoSa
from esp.packet.drop_reasons import Drop
from esp.packet.headers import Buffer, Flow, flow_of


class AcquireQueue:
    """Queues, releases and drops packets without an SA."""

    def __init__(self, context: Context) -> None:
        self._database, self._counters, self._post = context.database, context.counters, context.post

    def enqueue(self, device: Device, packet: Buffer) -> None:
        """Queue a packet and ask control for an SA, if the device or one of its SAs has `trap`; else drop it.
        Our own ESP in a routing loop is dropped, too."""
        flow = flow_of(packet)
        if self._database.local_endpoints.sent(flow):
            self._counters.drop(Drop.LOOP)
            if device.looped.allow(time.monotonic()):
                self._post(Looped(device.device_id, flow.remote))
            return
        trap = device.trap or self._database.traps(device.device_id)
        if not trap or flow.on_link_only:  # every host sends that on every device
            self._counters.drop(Drop.NO_SA)
            if not flow.on_link_only:
                self._tell(device, flow)
            return
        now = time.monotonic()
        self._keep(device, packet, now, now)

    def _tell(self, device: Device, flow: Flow) -> None:
        device.untold += 1
        if device.no_sa.allow(time.monotonic()) and self._post(
            NoSa(device.device_id, device.untold, flow.selectors())
        ):
            device.untold = 0

    def release(self, device: Device) -> Iterator[tuple[OutboundEntry, Buffer]]:
        """The queued packets that have an SA now, in order."""
        now = time.monotonic()
        waited = device.waiting.take_all(now)
        self._count_expired(device)
        for arrived, packet in waited:
            entry = self._database.outbound(device.device_id, packet)
            if entry is None:
                self._keep(device, packet, arrived, now)
            else:
                yield entry, packet

    def _keep(self, device: Device, packet: Buffer, arrived: float, now: float) -> None:
        """Queue a packet and send Acquire, within the rate limit of its destination."""
        flow = flow_of(packet)
        if device.acquire.allow((flow.version, flow.destination), now):
            self._post(Acquire(device.device_id, flow.selectors()))
        if not device.waiting.put(packet, arrived, now):
            self._counters.drop(Drop.QUEUE_FULL)
        self._count_expired(device)

    def _count_expired(self, device: Device) -> None:
        if device.waiting.expired:
            self._counters.drop(Drop.QUEUE_AGE, device.waiting.expired)
            device.waiting.expired = 0
