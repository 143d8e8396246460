"""Transmit: picks the socket of an SA's path, sends ESP packets, counts them, and watches sequence
numbers."""

from __future__ import annotations

import time
from collections.abc import Sequence

from esp.datapath.context import Context
from esp.datapath.sa_entries import OutboundEntry, OuterPath
from esp.ipc.messages import SequenceExhausted, SequenceLow
from esp.net.transport import GsoSend, Transport
from esp.packet.drop_reasons import Drop
from esp.packet.headers import Buffer


class Transmitter:
    """Sends and counts through the sockets of one worker."""

    def __init__(self, context: Context) -> None:
        self._transports: dict[tuple[bytes, int], Transport] = {}
        self._counters, self._post = context.counters, context.post

    def set_transports(self, transports: Sequence[Transport]) -> None:
        """Send through these sockets from now on."""
        self._transports = {(each.local_address.packed, each.local_port): each for each in transports}

    def transport(self, path: OuterPath) -> Transport | None:
        """The socket of the path's local address and port, else the one bound to the wildcard address. Port
        0: protocol 50."""
        address, port = path.local
        return self._transports.get(path.local) or self._transports.get((bytes(len(address)), port))

    def send_run(self, entry: OutboundEntry, gso: GsoSend, tos: int, octets: int) -> None:
        """Send and count uniform ESP packets of one SA; `octets`: of the inner packets."""
        self.count_run(entry, gso.count, octets, self.send_uniform(entry.path, gso, tos))

    def seal_and_send(self, entry: OutboundEntry, packets: Sequence[Buffer], tos: int) -> None:
        """Seal, send and count inner packets of one SA and any sizes."""
        try:
            rows = entry.sa.seal_batch(packets)
        finally:
            self.note_sequence(entry)
        if len(rows) < len(packets):
            self._counters.drop(Drop.EXHAUSTED, len(packets) - len(rows), entry.slot)
        self.send_packets(entry, rows, [len(packet) for packet in packets], tos)

    def send_packets(
        self, entry: OutboundEntry, rows: Sequence[memoryview], lengths: Sequence[int], tos: int
    ) -> None:
        """Send and count ESP packets of one SA and any sizes; `lengths`: of the inner packets."""
        failures = self._send_rows(entry.path, rows, tos)
        sent = [lengths[index] for index in range(len(rows)) if index not in failures]
        self._count(entry, len(sent), sum(sent), failures)

    def send_path(self, path: OuterPath, rows: Sequence[memoryview], tos: int) -> dict[int, Drop]:
        """Send ESP packets of any SAs over one path, in one GSO send if their sizes permit. Returns the
        reason of each that was not sent, by index."""
        size = len(rows[0])
        if len(rows) > 1 and all(len(row) == size for row in rows[:-1]) and len(rows[-1]) <= size:
            return self.send_uniform(path, GsoSend(rows, size, len(rows)), tos)
        return self._send_rows(path, rows, tos)

    def send_uniform(self, path: OuterPath, gso: GsoSend, tos: int) -> dict[int, Drop]:
        """Send uniform ESP packets of any SAs over one path. Returns the reason of each that was not sent, by
        index."""
        transport = self.transport(path)
        if transport is None:
            return dict.fromkeys(range(gso.count), Drop.NO_SOCKET)
        return transport.send_gso(gso, path.local_address, path.remote, tos)

    def _send_rows(self, path: OuterPath, rows: Sequence[memoryview], tos: int) -> dict[int, Drop]:
        transport = self.transport(path)
        if transport is None:
            return dict.fromkeys(range(len(rows)), Drop.NO_SOCKET)
        return transport.send(rows, path.local_address, path.remote, tos)

    def count_each(
        self, entries: Sequence[OutboundEntry], lengths: Sequence[int], failures: dict[int, Drop]
    ) -> None:
        """Count packets, given the SA of each, of which some were not sent; `lengths`: of the inner
        packets."""
        now, first = time.time(), entries[0]
        if not failures and entries.count(first) == len(entries):  # the usual case
            sequence = first.sa.sequence
            self._counters.count_sealed(first.slot, len(entries), sum(lengths), sequence, now)
            if sequence >= first.sa.low_from:
                self.note_sequence(first)
            return
        for index, (entry, length) in enumerate(zip(entries, lengths, strict=True)):
            sequence = entry.sa.sequence
            if index in failures:
                self._counters.drop(failures[index], 1, entry.slot)
                self._counters.set_sequence(entry.slot, sequence)
            else:
                self._counters.count_sealed(entry.slot, 1, length, sequence, now)
            if sequence >= entry.sa.low_from:
                self.note_sequence(entry)

    def count_run(self, entry: OutboundEntry, count: int, octets: int, failures: dict[int, Drop]) -> None:
        """Count uniform packets of one SA, of which some were not sent; `octets`: of the inner packets."""
        if failures:
            octets -= octets * len(failures) // count
        self._count(entry, count - len(failures), octets, failures)

    def _count(self, entry: OutboundEntry, packets: int, octets: int, failures: dict[int, Drop]) -> None:
        for reason in failures.values():
            self._counters.drop(reason, 1, entry.slot)
        if packets:
            self._counters.count_out(entry.slot, packets, octets, time.time())

    def note_sequence(self, entry: OutboundEntry) -> None:
        """Publish an SA's last sequence number; tell control once when they run low, and once when none is
        left (RFC 4303 3.3.3)."""
        sa = entry.sa
        self._counters.set_sequence(entry.slot, sa.sequence)
        if not sa.low:
            return
        if not entry.low_reported:
            entry.low_reported = self._post(SequenceLow(entry.child_id))
        if sa.exhausted and not entry.exhausted_reported:
            entry.exhausted_reported = self._post(SequenceExhausted(entry.child_id))
