"""Delivery: the last stages of `esp.datapath.ingress`, which write inner packets to devices and count them.

Combines the outer ECN field with the inner ones (RFC 6040), counts drops, activates standby SAs, and tells
control of refused packets and of peers that have moved.
"""

from __future__ import annotations

import contextlib
import time
from collections.abc import Callable, Sequence
from ipaddress import ip_address

from esp.datapath.context import Context
from esp.datapath.sa_entries import InboundEntry
from esp.ipc.messages import NotPermitted, PeerMoved
from esp.net.transport import SocketAddress
from esp.packet import ecn
from esp.packet.drop_reasons import Drop
from esp.packet.transport import set_tos
from esp.sa.inbound import OpenedBatch, OpenedRows


class Delivery:
    """Delivers inner packets. `release` is told of a device that has one more active outbound SA."""

    def __init__(self, context: Context, release: Callable[[int | None], None]) -> None:
        self._database, self._counters, self._devices = context.database, context.counters, context.devices
        self._post, self._release = context.post, release
        self.authentic = 0  # batches so far with an authentic packet; a lone packet is a batch

    def headroom(self, entry: InboundEntry) -> int:
        frames = self._devices[entry.device_id].frames
        return frames.headroom if frames is not None else 0

    def finish(
        self,
        entries: Sequence[InboundEntry],
        opened: Sequence[OpenedBatch],
        source: SocketAddress | None,
        tos: int,
    ) -> None:
        """Deliver and count what was opened: packets of all SAs in rows, or a batch of each SA. `source`: the
        remote address and port if they came in UDP."""
        outer = tos & ecn.ECN_MASK
        rows = opened[0].rows
        if rows is None:
            for entry, each in zip(entries, opened, strict=True):
                self._finish_packets(entry, each, tos)
        elif outer in ecn.CHANGES_INNER and not _combine_rows(rows, outer):
            packets = rows.packets()
            for index, entry in enumerate(entries):
                mine = packets if len(entries) == 1 else packets[index : index + 1]
                self._finish_packets(entry, OpenedBatch(mine, valid=True), tos)
        else:
            self._deliver_rows(entries, rows)
        if source is not None and opened[0].newest:
            self.watch_source(entries[0], source)

    def _finish_packets(self, entry: InboundEntry, opened: OpenedBatch, tos: int) -> None:
        """Deliver and count packets of one SA. `tos`: their outer TOS octet."""
        outer = tos & ecn.ECN_MASK
        if entry.sa.transport is not None:
            if tos:
                headroom = self.headroom(entry)
                for packet in opened.packets:
                    set_tos(packet[headroom:], tos)
        elif outer in ecn.CHANGES_INNER:
            headroom = self.headroom(entry)
            kept = [packet for packet in opened.packets if ecn.combine(packet[headroom:], outer)]
            if len(kept) < len(opened.packets):
                opened.drop(Drop.ECN, len(opened.packets) - len(kept))
            opened.packets = kept
        for reason, count in opened.drops.items():
            self._counters.drop(reason, count, entry.slot)
        if opened.not_permitted and entry.not_permitted.allow(time.monotonic()):
            self._post(NotPermitted(entry.child_id, opened.not_permitted))
        if opened.packets:
            self._deliver(entry, opened.packets)
        if opened.valid:
            self._activate((entry,))

    def _deliver_rows(self, entries: Sequence[InboundEntry], rows: OpenedRows) -> None:
        """Write packets of one SA, merged into frames where they can be, or each to the device of its SA."""
        written, count, now = 0, rows.count, time.monotonic()
        entry, frames = entries[0], self._devices[entries[0].device_id].frames
        if len(entries) == 1:
            self._counters.count_in(entry.slot, count, (count - 1) * rows.size + rows.last, now)
            with contextlib.suppress(OSError):
                written = frames.write_rows(rows.array, rows.size, rows.last) if frames is not None else 0
            self._count_refused(entry, count - written)
        elif rows.last < rows.size:
            for entry, packet in zip(entries, rows.packets(), strict=True):
                self._deliver(entry, [packet])
        else:
            for entry, packet in zip(entries, rows.packets(), strict=True):
                frames, taken = self._devices[entry.device_id].frames, False
                with contextlib.suppress(OSError):
                    taken = frames is not None and frames.write_packet(packet)
                self._count_refused(entry, not taken)
            self._counters.count_each_in([entry.slot for entry in entries], rows.size, now)
        self._activate(entries)

    def _deliver(self, entry: InboundEntry, packets: list[memoryview]) -> None:
        """Write packets of one SA one by one."""
        device = self._devices[entry.device_id]
        octets = sum(map(len, packets)) - self.headroom(entry) * len(packets)
        self._counters.count_in(entry.slot, len(packets), octets, time.monotonic())
        written = 0
        with contextlib.suppress(OSError):
            if device.frames is None:
                written = device.io.write_batch(packets)
            else:
                for packet in packets:
                    written += device.frames.write_packet(packet)
        self._count_refused(entry, len(packets) - written)

    def _count_refused(self, entry: InboundEntry, count: int) -> None:
        if count:
            self._counters.drop(Drop.DEVICE, count, entry.slot)

    def _activate(self, entries: Sequence[InboundEntry]) -> None:
        """Authentic packets of these SAs have come: their standby SAs become active."""
        self.authentic += len(entries)
        for device_id in self._database.activate_each(entries):
            self._release(device_id)

    def watch_source(self, entry: InboundEntry, source: SocketAddress) -> None:
        """Tell control if an authentic packet came from another endpoint than the SA's (RFC 7296 2.23)."""
        path = entry.path
        if not path.encap or source[:2] == path.remote:
            return
        address = ip_address(source[0].partition("%")[0])
        if (address, source[1]) == (path.remote_address, path.remote_port):
            return
        if entry.moved.allow(time.monotonic()):
            self._post(PeerMoved(entry.child_id, address, source[1]))


def _combine_rows(rows: OpenedRows, outer: int) -> bool:
    """Combine the outer ECN field with the inner ones (RFC 6040 4.2); False, and nothing was done, if these
    differ or can't carry it."""
    packets = rows.array[:, rows.headroom :]
    delta = ecn.ecn_delta(memoryview(packets[0]), outer)
    if delta is None or not (packets[:, 1] == packets[0, 1]).all():
        return False
    ecn.add_ecn_delta(packets, delta)
    return True
