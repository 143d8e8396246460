"""Transmit: seals packets, sends them through the socket of their SA's path, counts them, and watches
sequence numbers.

Batches of uniform packets are sealed at once (`esp.sa.batch`), others one by one; what goes the same way
leaves in one send.
"""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import NamedTuple

from esp.datapath.context import Context
from esp.datapath.sa_entries import OutboundEntry, OuterPath, SaRun
from esp.ipc.messages import SequenceExhausted, SequenceLow
from esp.net.transport import GsoSend, Transport
from esp.packet.drop_reasons import Drop
from esp.packet.headers import Buffer
from esp.packet.row_layouts import RowLayout, RowLayouts
from esp.sa import batch as sa_batch


class Batch(NamedTuple):
    """Inner packets of `size` octets, one IP version and one TOS octet, laid out in rows, run by run."""

    layouts: RowLayouts
    layout: RowLayout  # of their ESP packets, from the first one on
    size: int
    tos: int
    runs: Sequence[SaRun]


@dataclass(slots=True, eq=False)
class _Pending:
    """Packets sealed one by one, under any SAs, that wait to leave in one send: all have one path and TOS
    octet."""

    path: OuterPath | None = None
    tos: int = 0
    rows: list[memoryview] = field(default_factory=list)
    entries: list[OutboundEntry] = field(default_factory=list)
    octets: list[int] = field(default_factory=list)  # of the inner packets


class Transmitter:
    """Seals, sends and counts through the sockets of one worker."""

    def __init__(self, context: Context) -> None:
        self._transports: dict[tuple[bytes, int], Transport] = {}
        self._counters, self._post = context.counters, context.post
        self._pending = _Pending()

    def set_transports(self, transports: Sequence[Transport]) -> None:
        """Send through these sockets from now on."""
        self._transports = {(each.local_address.packed, each.local_port): each for each in transports}

    def transport(self, path: OuterPath) -> Transport | None:
        """The socket of the path's local address and port, else the one bound to the wildcard address. Port
        0: protocol 50."""
        address, port = path.local
        return self._transports.get(path.local) or self._transports.get((bytes(len(address)), port))

    # Batches

    def send_batch(self, batch: Batch) -> None:
        """Seal, send and count the packets of a batch, whatever SAs they belong to."""
        if self._pending.path is not None:
            self.flush()
        layouts, layout, size, _, runs = batch
        entries, sas, paths, slots, counts, shorts = zip(*runs, strict=True)
        try:
            sealed, sequences = sa_batch.seal_runs(layouts, layout, size, sas, counts, shorts)
        except BaseException:
            for entry in entries:
                self._note_sequence(entry)
            raise
        if len(sas) == 1 and sealed is counts:  # not by way of the columns, 3 % of a packet of 64 octets
            failures = self._send_rows(batch, paths[0], 0, counts[0], shorts[0])
            if not failures:
                self.count_sent(entries[0], counts[0], size * counts[0] - shorts[0])
                return
        else:
            failures = self._send_runs(batch, paths, counts, shorts, sealed)
        if sealed is counts and sum(counts) == len(sas) and not failures:  # a packet of each SA
            self._counters.count_each_out(slots, size, sequences, time.monotonic())
            return
        octets = [size * count for count in sealed]
        for index, (count, short_by, done) in enumerate(zip(counts, shorts, sealed, strict=True)):
            if done == count:
                octets[index] -= short_by
            else:
                self._counters.drop(Drop.EXHAUSTED, count - done, slots[index])
        self.count(entries, sealed, octets, failures)

    def _send_runs(
        self,
        batch: Batch,
        paths: Sequence[OuterPath],
        counts: Sequence[int],
        shorts: Sequence[int],
        sealed: Sequence[int],
    ) -> dict[int, Drop]:
        """Send sealed runs, as many in one send as it takes: one path, and only the last packet may be short,
        or missing. Returns the reason of each packet that was not sent, by index among those sealed."""
        failures: dict[int, Drop] = {}
        end = len(paths)
        one = sealed is counts and paths.count(paths[0]) == end and not any(shorts[:-1])
        row = sent = begin = 0
        for last in (end - 1,) if one else range(end):
            missing = counts[last] - sealed[last]
            apart = missing or shorts[last] or last + 1 == end
            if apart or not paths[last].shares_send_with(paths[last + 1]):
                count, short_by = sum(sealed[begin : last + 1]), 0 if missing else shorts[last]
                failed = self._send_rows(batch, paths[begin], row, count, short_by) if count else {}
                if failed:
                    failures.update((sent + index, reason) for index, reason in failed.items())
                row, sent, begin = row + count + missing, sent + count, last + 1
        return failures

    def _send_rows(
        self, batch: Batch, path: OuterPath, first: int, count: int, short_by: int
    ) -> dict[int, Drop]:
        """Send `count` sealed rows from row `first` on. Returns the reason of each that was not sent, by
        index."""
        layout, last = batch.layout, batch.layout.stride
        if short_by:
            last = batch.runs[0].sa.esp_length(batch.size - short_by)
        return self._send(path, layout.packets(first, count, last), layout.stride, count, batch.tos)

    # Packets one by one

    def seal_in_place(
        self,
        entry: OutboundEntry,
        arena: memoryview,
        at: int,
        length: int,
        tos: int,
        octets: int = 0,
        next_header: int | None = None,
    ) -> None:
        """Seal the packet at arena[at : at + length] where it stands (`OutboundSa.seal_in_place`); it leaves
        with the following ones of the same path and TOS octet, at `flush`. `octets`: without padding."""
        pending, path = self._pending, entry.path
        if pending.path is not path or pending.tos != tos:
            if pending.path is None or pending.tos != tos or not pending.path.shares_send_with(path):
                self.flush()
            pending.path, pending.tos = path, tos
        try:
            row = entry.sa.seal_in_place(arena, at, length, next_header)
        except BaseException:
            self._note_sequence(entry)
            raise
        if row is None:
            self._counters.drop(Drop.EXHAUSTED, 1, entry.slot)
            self._note_sequence(entry)
        else:
            pending.rows.append(row)
            pending.entries.append(entry)
            pending.octets.append(octets or length)

    def seal_copy(self, entry: OutboundEntry, packet: Buffer, tos: int) -> None:
        """`seal_in_place` of a copy of the packet, with TFC padding, or without its header (transport
        mode)."""
        copied = entry.sa.copy(packet)
        if copied is None:
            self._counters.drop(Drop.MALFORMED, 1, entry.slot)
            return
        memory, length, next_header = copied
        self.seal_in_place(entry, memory, entry.sa.start, length, tos, len(packet), next_header)

    def flush(self) -> None:
        """Send and count the packets that were sealed one by one."""
        pending = self._pending
        path, rows, entries, octets = pending.path, pending.rows, pending.entries, pending.octets
        if path is None:
            return
        pending.path, pending.rows, pending.entries, pending.octets = None, [], [], []
        if rows:
            size = len(rows[0])
            if len(rows) == 1 or len(rows[-1]) > size or any(len(row) != size for row in rows[:-1]):
                size = 0
            failures = self._send(path, rows, size, len(rows), pending.tos)
            self.count(entries, [1] * len(rows), octets, failures)

    # Send and count

    def _send(
        self, path: OuterPath, rows: Sequence[memoryview], size: int, count: int, tos: int
    ) -> dict[int, Drop]:
        """Send `count` ESP packets of `size` octets, but the last one, or of any sizes if that is 0. Returns
        the reason of each that was not sent, by index."""
        transport = self.transport(path)
        if transport is None:
            return dict.fromkeys(range(count), Drop.NO_SOCKET)
        if size:
            return transport.send_gso(GsoSend(rows, size, count), path.local_address, path.remote, tos)
        return transport.send(rows, path.local_address, path.remote, tos)

    def count(
        self,
        entries: Sequence[OutboundEntry],
        counts: Sequence[int],
        octets: Sequence[int],
        failures: Mapping[int, Drop],
    ) -> None:
        """Count packets, so many of each SA, of which some were not sent: the reason of each by index.
        `octets`: of the inner packets."""
        packets, first = sum(counts), 0
        if not failures and packets and entries.count(entries[0]) == len(entries):  # the usual case
            self.count_sent(entries[0], packets, sum(octets))
            return
        for entry, count, length in zip(entries, counts, octets, strict=True):
            rows, first = range(first, first + count), first + count
            failed = [failures[row] for row in rows if row in failures] if failures else []
            for reason in failed:
                self._counters.drop(reason, 1, entry.slot)
            if count > len(failed):
                self.count_sent(entry, count - len(failed), length - length * len(failed) // count)
            else:
                self._note_sequence(entry)

    def count_sent(self, entry: OutboundEntry, packets: int, octets: int) -> None:
        """Count packets of one SA that were sent."""
        sequence = entry.sa.sequence
        self._counters.count_sealed(entry.slot, packets, octets, sequence, time.monotonic())
        if sequence >= entry.sa.low_from:
            self._note_sequence(entry)

    def _note_sequence(self, entry: OutboundEntry) -> None:
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
