"""Egress of lone packets: stages 2 to 6 of `esp.datapath.egress` for packets in the rows of the TUN batch.

Runs of uniform packets are one batch, under one SA or many, others are sealed one by one. A packet that comes
alone after a pause takes the fast path of its flow (`esp.datapath.flow_cache`).
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial

from esp.datapath.acquire import AcquireQueue
from esp.datapath.context import Context
from esp.datapath.devices import Device
from esp.datapath.flow_cache import MAX_FLOWS, EgressFastPath
from esp.datapath.sa_entries import SaRun
from esp.datapath.transmit import Batch, Transmitter
from esp.datapath.tun_batch import Run, TunBatch
from esp.net.transport import drop_reason
from esp.packet.drop_reasons import Drop
from esp.packet.headers import IPV4_HEADER, IPV4_NO_OPTIONS, Buffer, address_key, ip_length, tos_of

_MIN_UNIFORM = 6  # uniform packets from which on numpy is faster than one by one


class LonePackets:
    """Seals and sends the lone packets that a device has given, which stand in rows of the TUN batch."""

    def __init__(
        self, context: Context, transmitter: Transmitter, acquire: AcquireQueue, tun_batch: TunBatch
    ) -> None:
        self._database, self._deferred, self._counters = context.database, context.deferred, context.counters
        self._transmitter, self._acquire, self._tun_batch = transmitter, acquire, tun_batch

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
                first, count, _ = run
                batch = None
                if uniform and count >= _MIN_UNIFORM:
                    batch = self._batch(device, run, lengths[first - begin])
                if batch is not None:
                    self._transmitter.send_batch(batch)
                else:
                    for row in range(first, first + count):
                        self._seal_one(device, row, lengths[row - begin])
        finally:
            self._transmitter.flush()

    def _batch(self, device: Device, run: Run, length: int) -> Batch | None:
        """The batch of a run of uniform packets; None if they need to be sent one by one."""
        tun_batch, (first, count, keys) = self._tun_batch, run
        packet = tun_batch.packet(first, length)
        size = ip_length(packet)
        if size is None:
            return None
        runs = self._database.runs(
            device.device_id,
            keys or (address_key(packet),),
            lambda index: tun_batch.packet(first + index, length),
        )
        if runs is None:
            return None
        sa = runs[0].sa
        if not keys:
            runs = [SaRun(*runs[0][:-2], count, 0)]
        layout = tun_batch.layout(first, count, sa.esp_length(size), sa.start, sa.suite.icv_length)
        return Batch(tun_batch.layouts, layout, size, tos_of(packet), runs)

    def _seal_one(self, device: Device, row: int, length: int) -> None:
        """Seal one packet; it leaves with the following ones of the same path and TOS octet."""
        packet = self._tun_batch.packet(row, length)
        usual = length > IPV4_HEADER and packet[0] == IPV4_NO_OPTIONS and packet[2] << 8 | packet[3] == length
        size = length if usual else ip_length(packet)
        if size is None:
            self._counters.drop(Drop.MALFORMED)
            return
        entry = self._database.outbound(device.device_id, packet)
        if entry is None:
            self._acquire.enqueue(device, packet[:size])
            return
        tos = packet[1] if usual else tos_of(packet)
        if entry.sa.copied:
            self._transmitter.seal_copy(entry, packet[:size], tos)
        else:
            self._transmitter.seal_in_place(
                entry, self._tun_batch.arena, self._tun_batch.start(row), size, tos
            )

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
        deferred, count_sent, count = self._deferred, self._transmitter.count_sent, self._transmitter.count

        def fast_path(length: int, tos: int) -> bool:
            sealed = None if sa.copied else seal(arena, begin, length)
            if sealed is None:
                return False
            failures = None
            if plain and not tos:
                try:
                    sendto(sealed, remote)
                except OSError as error:
                    failures = {0: drop_reason(error.errno)}
            else:
                failures = send([sealed], source, remote, tos)
            if failures:
                deferred.append(partial(count, (entry,), (1,), (length,), failures))
            else:
                deferred.append(partial(count_sent, entry, 1, length))
            return True

        return fast_path
