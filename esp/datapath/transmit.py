"""Where sealed packets leave: through which socket, what is counted, and when an SA's numbers run out."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence

from esp.datapath.sa_database import OutboundEntry, OuterPath
from esp.ipc.counters import CounterBlock
from esp.ipc.messages import Message, SequenceExhausted, SequenceLow
from esp.net.transport import GsoSend, Transport
from esp.packet.drop_reasons import Drop


class Transmitter:
    """The sockets of one worker, and who hears of what leaves through them.

    `post` sends a message to control; it returns False if the message was lost.
    """

    def __init__(self, counters: CounterBlock, post: Callable[[Message], bool]) -> None:
        self._transports: dict[tuple[bytes, int], Transport] = {}
        self._counters = counters
        self._post = post

    def set_transports(self, transports: Sequence[Transport]) -> None:
        """Send through these from now on."""
        self._transports = {(each.local_address.packed, each.local_port): each for each in transports}

    def transport(self, path: OuterPath) -> Transport | None:
        """The socket of an SA's local address, or else one for all addresses. Port 0 is protocol 50."""
        address, port = path.local
        return self._transports.get(path.local) or self._transports.get((bytes(len(address)), port))

    def send_gso(self, entry: OutboundEntry, gso: GsoSend, tos: int, octets: int) -> None:
        """Send and count ESP packets under one SA; `octets`: of the inner ones."""
        self.count_run(entry, gso.count, octets, self.send_uniform(entry.path, gso, tos))

    def send_packets(
        self, entry: OutboundEntry, rows: Sequence[memoryview], lengths: Sequence[int], tos: int
    ) -> None:
        """The same for packets of any size; `lengths`: of the inner ones."""
        failures = self._send_rows(entry.path, rows, tos)
        sent = [lengths[index] for index in range(len(rows)) if index not in failures]
        self._count(entry, len(sent), sum(sent), failures)

    def send_path(self, path: OuterPath, rows: Sequence[memoryview], tos: int) -> dict[int, Drop]:
        """Send ESP packets the same way, as a train if their sizes allow that; why one, by index, was not
        sent."""
        size = len(rows[0])
        if len(rows) > 1 and all(len(row) == size for row in rows[:-1]) and len(rows[-1]) <= size:
            return self.send_uniform(path, GsoSend(rows, size, len(rows)), tos)
        return self._send_rows(path, rows, tos)

    def send_uniform(self, path: OuterPath, gso: GsoSend, tos: int) -> dict[int, Drop]:
        """Send ESP packets under whatever SAs; why one, by index, was not sent."""
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
        """Count packets under an SA each, of which some were not sent; `lengths`: of the inner ones."""
        now, first = time.time(), entries[0]
        if not failures and entries.count(first) == len(entries):  # quickly
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
        """Count packets of one size, but the last one, which may be shorter."""
        if failures:
            octets -= octets * len(failures) // count
        self._count(entry, count - len(failures), octets, failures)

    def _count(self, entry: OutboundEntry, packets: int, octets: int, failures: dict[int, Drop]) -> None:
        for reason in failures.values():
            self._counters.drop(reason, 1, entry.slot)
        if packets:
            self._counters.count_out(entry.slot, packets, octets, time.time())

    def note_sequence(self, entry: OutboundEntry) -> None:
        """Note an SA's last number; control hears once that they are getting scarce, and once that none is
        left."""
        sa = entry.sa
        self._counters.set_sequence(entry.slot, sa.sequence)
        if not sa.low:
            return
        if not entry.low_reported:
            entry.low_reported = self._post(SequenceLow(entry.child_id))
        if sa.exhausted and not entry.exhausted_reported:
            entry.exhausted_reported = self._post(SequenceExhausted(entry.child_id))
