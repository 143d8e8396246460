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
from esp.packet.row_layouts import RowLayout
from esp.sa import multi_sa_batch
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
        self, entry: InboundEntry, opened: OpenedBatch, source: SocketAddress | None, tos: int
    ) -> None:
        """Deliver and count a batch of one SA. `source`: the remote address and port if it came in UDP."""
        if tos & ecn.ECN_MASK in ecn.CHANGES_INNER:
            _combine_ecn(opened, self.headroom(entry), tos & ecn.ECN_MASK)
        for reason, count in opened.drops.items():
            self._counters.drop(reason, count, entry.slot)
        if opened.not_permitted and entry.not_permitted.allow(time.monotonic()):
            self._post(NotPermitted(entry.child_id, opened.not_permitted))
        if opened.rows is not None:
            self._deliver_rows(entry, opened.rows)
        elif opened.packets:
            self._deliver(entry, opened.packets)
        if opened.valid:
            self.authentic += 1
            self._release(self._database.activate(entry.child_id))
        if opened.newest and source is not None:
            self.watch_source(entry, source)

    def finish_each(
        self,
        entries: Sequence[InboundEntry],
        layout: RowLayout,
        drops: dict[int, Drop],
        headroom: int,
        tos: int,
    ) -> None:
        """Unwrap and deliver opened packets one by one; they come from where their SAs' peers are known to
        be."""
        for index, entry in enumerate(entries):
            opened = entry.sa.unwrap(layout.rows[index], drops.get(index, layout.plaintexts[index]), headroom)
            self.finish(entry, opened, None, tos)

    def _deliver_rows(self, entry: InboundEntry, rows: OpenedRows) -> None:
        frames = self._devices[entry.device_id].frames
        count = len(rows.array)
        octets = (count - 1) * rows.size + rows.last
        self._counters.count_in(entry.slot, count, octets, time.time())
        written = 0
        with contextlib.suppress(OSError):
            written = frames.write_rows(rows.array, rows.size, rows.last) if frames is not None else 0
        if written < count:
            self._counters.drop(Drop.DEVICE, count - written, entry.slot)

    def deliver_each(
        self, entries: Sequence[InboundEntry], layout: RowLayout, size: int, headroom: int
    ) -> None:
        """Write permitted packets of one size, each to the device of its SA."""
        begin, end = multi_sa_batch.START - headroom, multi_sa_batch.START + size
        refused = []
        for row, entry in zip(layout.rows, entries, strict=False):
            frames = self._devices[entry.device_id].frames
            written = False
            with contextlib.suppress(OSError):
                written = frames is not None and frames.write_packet(row[begin:end])
            if not written:
                refused.append(entry.slot)
        self._counters.count_each_in([entry.slot for entry in entries], size, time.time())
        for slot in refused:
            self._counters.drop(Drop.DEVICE, 1, slot)
        self.authentic += len(entries)
        for device_id in self._database.activate_each(entries):
            self._release(device_id)

    def _deliver(self, entry: InboundEntry, packets: list[memoryview]) -> None:
        device = self._devices[entry.device_id]
        octets = sum(map(len, packets)) - self.headroom(entry) * len(packets)
        self._counters.count_in(entry.slot, len(packets), octets, time.time())
        written = 0
        with contextlib.suppress(OSError):
            if device.frames is None:
                written = device.io.write_batch(packets)
            else:
                for packet in packets:
                    written += device.frames.write_packet(packet)
        if written < len(packets):
            self._counters.drop(Drop.DEVICE, len(packets) - written, entry.slot)

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


def _combine_ecn(opened: OpenedBatch, headroom: int, outer: int) -> None:
    """Combine the outer ECN field with the inner ones (RFC 6040 4.2); packets that can't carry it are
    dropped."""
    if opened.rows is not None:
        packets = opened.rows.array[:, headroom:]
        delta = ecn.ecn_delta(memoryview(packets[0]), outer)
        if delta is not None and (packets[:, 1] == packets[0, 1]).all():
            ecn.add_ecn_delta(packets, delta)
            return
        opened.split_rows()
    kept = [packet for packet in opened.packets if ecn.combine(packet[headroom:], outer)]
    if len(kept) < len(opened.packets):
        opened.drop(Drop.ECN, len(opened.packets) - len(kept))
    opened.packets = kept
