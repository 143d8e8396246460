"""Egress of lone packets: stages 2 to 6 of `esp.datapath.egress` for packets in the rows of the TUN batch.

Runs of uniform packets are sealed at once, under one SA or many (`esp.sa.multi_sa_batch`), others one by one;
packets of one path and TOS octet leave in one send. A packet that comes alone after a pause takes the fast
path of its flow (`esp.datapath.flow_cache`).
"""

from __future__ import annotations

import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from functools import partial

from esp.datapath.acquire import AcquireQueue
from esp.datapath.context import Context
from esp.datapath.devices import Device
from esp.datapath.flow_cache import MAX_FLOWS, EgressFastPath
from esp.datapath.sa_entries import OutboundEntry, OuterPath
from esp.datapath.transmit import Transmitter
from esp.datapath.tun_batch import Run, TunBatch
from esp.net.transport import GsoSend, drop_reason
from esp.packet.drop_reasons import Drop
from esp.packet.headers import IPV4_HEADER, IPV4_NO_OPTIONS, Buffer, address_key, ip_length, tos_of
from esp.sa import multi_sa_batch

_MIN_UNIFORM = 6  # uniform packets from which on numpy is faster than one by one


@dataclass(slots=True, eq=False)
class _Pending:
    """Packets sealed one by one, under any SAs, that wait to leave in one send: all have one path and TOS
    octet."""

    path: OuterPath | None = None
    tos: int = 0
    rows: list[memoryview] = field(default_factory=list)
    entries: list[OutboundEntry] = field(default_factory=list)
    lengths: list[int] = field(default_factory=list)  # of the inner packets


class LonePackets:
    """Seals and sends the lone packets that a device has given, which stand in rows of the TUN batch."""

    def __init__(
        self, context: Context, transmitter: Transmitter, acquire: AcquireQueue, tun_batch: TunBatch
    ) -> None:
        self._database, self._counters, self._deferred = context.database, context.counters, context.deferred
        self._transmitter, self._acquire, self._tun_batch = transmitter, acquire, tun_batch
        self._pending = _Pending()

    def send(self, device: Device, lengths: Sequence[int], begin: int) -> None:
        """Send the lone packets in the rows from `begin` on: uniform runs at once, others one by one."""
        if begin == 0 and len(lengths) == 1 and self.send_single(device, lengths[0]):
            return
        uniform = len(lengths) >= _MIN_UNIFORM and self._database.by_addresses(device.device_id)
        try:
            runs = (
                self._tun_batch.runs(begin, lengths, _MIN_UNIFORM) if uniform else (Run(begin, len(lengths)),)
            )
            for run in runs:
                first, count, keys = run
                send = self._send_multi_sa if keys else self._send_uniform
                if not (uniform and count >= _MIN_UNIFORM and send(device, run, lengths[first - begin])):
                    for row in range(first, first + count):
                        self._seal_one(device, row, lengths[row - begin])
        finally:
            self._flush()

    def _send_uniform(self, device: Device, run: Run, length: int) -> bool:
        """Send a run of uniform packets of one flow under their SA. False: nothing was done, they need to be
        sent one by one."""
        first, count, _ = run
        packet = self._tun_batch.packet(first, length)
        real = ip_length(packet)
        entry = self._database.outbound(device.device_id, packet) if real is not None else None
        if real is None or entry is None or entry.sa.tfc:
            return False
        if self._database.local_endpoints.may_have_sent(address_key(packet)):
            return False
        self._flush()
        sa, tos, size = entry.sa, tos_of(packet), entry.sa.esp_length(real)
        layout = self._tun_batch.layout(first, size, sa.start, sa.suite.icv_length)
        try:
            sealed = sa.seal_run(self._tun_batch.layouts, layout, count, real)
        finally:
            self._transmitter.note_sequence(entry)
        if sealed < count:
            self._counters.drop(Drop.EXHAUSTED, count - sealed, entry.slot)
        if sealed:
            self._transmitter.send_run(entry, GsoSend(layout.rows[:sealed], size, sealed), tos, sealed * real)
        return True

    def _send_multi_sa(self, device: Device, run: Run, length: int) -> bool:
        """Seals and sends a run of uniform packets that belong to different SAs. False: nothing was done."""
        tun_batch, (first, count, keys) = self._tun_batch, run
        packet = tun_batch.packet(first, length)
        real = ip_length(packet)
        columns = self._database.batch_columns(
            device.device_id, keys, lambda index: tun_batch.packet(first + index, length)
        )
        if real is None or columns is None:
            return False
        self._flush()
        size = multi_sa_batch.esp_length(real)
        layout = tun_batch.layout(first, size, multi_sa_batch.START, multi_sa_batch.ICV)
        try:
            sequences = multi_sa_batch.seal_each(tun_batch.layouts, layout, columns, real)
        except BaseException:
            for entry in columns.entries:
                self._transmitter.note_sequence(entry)
            raise
        if sequences is None:
            return False
        failures: dict[int, Drop] = {}
        for path, begin, end in _path_runs(columns.paths):
            gso = GsoSend(layout.rows[begin:end], size, end - begin)
            for index, reason in self._transmitter.send_uniform(path, gso, tos_of(packet)).items():
                failures[begin + index] = reason
        if failures:
            self._transmitter.count_each(columns.entries, [real] * count, failures)
        else:
            self._counters.count_each_out(columns.slots, real, sequences, time.time())
        return True

    def _seal_one(self, device: Device, row: int, length: int) -> None:
        """Seal one packet where it stands; it leaves with the following ones of the same path and TOS
        octet."""
        run, packet = self._pending, self._tun_batch.packet(row, length)
        usual = length > IPV4_HEADER and packet[0] == IPV4_NO_OPTIONS and packet[2] << 8 | packet[3] == length
        real = length if usual else ip_length(packet)
        if real is None:
            self._counters.drop(Drop.MALFORMED)
            return
        entry = self._database.outbound(device.device_id, packet)
        if entry is None:
            self._flush()
            self._acquire.enqueue(device, packet[:real])
            return
        path, tos = entry.path, packet[1] if usual else tos_of(packet)
        if entry.sa.tfc:
            self._flush()
            self._transmitter.seal_and_send(entry, [packet[:real]], tos)
            return
        if run.path is not path or run.tos != tos:
            if run.path is None or run.tos != tos or not run.path.shares_send_with(path):
                self._flush()
            run.path, run.tos = path, tos
        sealed = entry.sa.seal_in_place(self._tun_batch.arena, self._tun_batch.start(row), real)
        if sealed is None:
            self._counters.drop(Drop.EXHAUSTED, 1, entry.slot)
            self._transmitter.note_sequence(entry)
        else:
            run.rows.append(sealed)
            run.entries.append(entry)
            run.lengths.append(real)

    def _flush(self) -> None:
        """Send the packets that were sealed one by one and wait to leave together."""
        run = self._pending
        path, rows, entries, lengths = run.path, run.rows, run.entries, run.lengths
        if path is None:
            return
        run.path, run.rows, run.entries, run.lengths = None, [], [], []
        if rows:
            self._transmitter.count_each(entries, lengths, self._transmitter.send_path(path, rows, run.tos))

    # The single-packet fast path

    def send_single(self, device: Device, length: int) -> bool:
        """Send the packet in the first row by its flow's fast path. False: it has none, and nothing was
        done."""
        packet = self._tun_batch.first_packet[:length]
        if ip_length(packet) != length:
            return False
        flows, key = self._database.flow_cache.egress(device.device_id), address_key(packet)
        fast_path = flows.get(key) or self._fast_path(device, packet)
        if fast_path is None:
            return False
        if len(flows) >= MAX_FLOWS:
            flows.clear()
        flows[key] = fast_path
        return fast_path(length, tos_of(packet))

    def _fast_path(self, device: Device, packet: Buffer) -> EgressFastPath | None:
        """Makes the fast path of packets between these two addresses, read into the first row; None if
        addresses alone do not determine the SA."""
        if self._database.local_endpoints.may_have_sent(address_key(packet)):
            return None
        entry = self._database.outbound(device.device_id, packet)
        transport = None if entry is None else self._transmitter.transport(entry.path)
        if entry is None or transport is None or not self._database.by_addresses(device.device_id):
            return None
        sa, seal = entry.sa, entry.sa.seal_in_place
        arena, begin = self._tun_batch.arena, self._tun_batch.begin
        source, remote, plain = entry.path.local_address, entry.path.remote, not transport.wildcard
        sendto, send = transport.sock.sendto, transport.send
        deferred, count = self._deferred, self._count_single

        def fast_path(length: int, tos: int) -> bool:
            sealed = None if sa.tfc else seal(arena, begin, length)
            if sealed is None:
                return False
            failure = None
            if plain and not tos:
                try:
                    sendto(sealed, remote)
                except OSError as error:
                    failure = drop_reason(error.errno)
            else:
                failure = send([sealed], source, remote, tos).get(0)
            deferred.append(partial(count, entry, length, failure))
            return True

        return fast_path

    def _count_single(self, entry: OutboundEntry, octets: int, failure: Drop | None) -> None:
        """Deferred: counts a packet that was sent, or not. Others may have been sent since."""
        sequence = entry.sa.sequence
        if failure is None:
            self._counters.count_sealed(entry.slot, 1, octets, sequence, time.time())
        else:
            self._counters.drop(failure, 1, entry.slot)
        if failure is not None or sequence >= entry.sa.low_from:
            self._transmitter.note_sequence(entry)


def _path_runs(paths: Sequence[OuterPath]) -> Iterator[tuple[OuterPath, int, int]]:
    """Splits packets, given the path of each, into runs that one send takes: path, first index, end index."""
    path, begin = paths[0], 0
    if paths.count(path) == len(paths):  # usually one object
        yield path, 0, len(paths)
        return
    for index, other in enumerate(paths):
        if not other.shares_send_with(path):
            yield path, begin, index
            path, begin = other, index
    yield path, begin, len(paths)
