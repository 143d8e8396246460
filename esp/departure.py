"""Where sealed packets leave: through which socket, what is counted, and when an SA's numbers run out."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence

from esp.counters import CounterBlock, Drop
from esp.database import Outbound, OuterPath
from esp.messages import Message, SequenceExhausted, SequenceLow
from esp.transport import Train, Transport


class Departure:
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

    def send_train(self, entry: Outbound, train: Train, tos: int, octets: int) -> None:
        """Send and count ESP packets under one SA; `octets`: of the inner ones."""
        self.count_train(entry, train.count, octets, self.send_alike(entry.path, train, tos))

    def send_sealed(
        self, entry: Outbound, rows: Sequence[memoryview], lengths: Sequence[int], tos: int
    ) -> None:
        """The same for packets of any size; `lengths`: of the inner ones."""
        failures = self._send_rows(entry.path, rows, tos)
        sent = [lengths[index] for index in range(len(rows)) if index not in failures]
        self._count(entry, len(sent), sum(sent), failures)

    def send_way(self, path: OuterPath, rows: Sequence[memoryview], tos: int) -> dict[int, Drop]:
        """Send ESP packets the same way, as a train if their sizes allow that; why one, by index, was not
        sent."""
        size = len(rows[0])
        if len(rows) > 1 and all(len(row) == size for row in rows[:-1]) and len(rows[-1]) <= size:
            return self.send_alike(path, Train(rows, size, len(rows)), tos)
        return self._send_rows(path, rows, tos)

    def send_alike(self, path: OuterPath, train: Train, tos: int) -> dict[int, Drop]:
        """Send ESP packets under whatever SAs; why one, by index, was not sent."""
        transport = self.transport(path)
        if transport is None:
            return dict.fromkeys(range(train.count), Drop.NO_SOCKET)
        return transport.send_train(train, path.local_address, path.remote, tos)

    def _send_rows(self, path: OuterPath, rows: Sequence[memoryview], tos: int) -> dict[int, Drop]:
        transport = self.transport(path)
        if transport is None:
            return dict.fromkeys(range(len(rows)), Drop.NO_SOCKET)
        return transport.send(rows, path.local_address, path.remote, tos)

    def count_each(
        self, entries: Sequence[Outbound], lengths: Sequence[int], failures: dict[int, Drop]
    ) -> None:
        """Count packets under an SA each, of which some were not sent; `lengths`: of the inner ones."""
        now, first = time.time(), entries[0]
        if not failures and entries.count(first) == len(entries):  # quickly
            sequence = first.sa.sequence
            self._counters.count_sealed(first.slot, len(entries), sum(lengths), sequence, now)
            if sequence >= first.sa.watch_from:
                self.watch_sequence(first)
            return
        for index, (entry, length) in enumerate(zip(entries, lengths, strict=True)):
            sequence = entry.sa.sequence
            if index in failures:
                self._counters.drop(failures[index], 1, entry.slot)
                self._counters.set_sequence(entry.slot, sequence)
            else:
                self._counters.count_sealed(entry.slot, 1, length, sequence, now)
            if sequence >= entry.sa.watch_from:
                self.watch_sequence(entry)

    def count_train(self, entry: Outbound, count: int, octets: int, failures: dict[int, Drop]) -> None:
        """Count packets of one size, but the last one, which may be shorter."""
        if failures:
            octets -= octets * len(failures) // count
        self._count(entry, count - len(failures), octets, failures)

    def _count(self, entry: Outbound, packets: int, octets: int, failures: dict[int, Drop]) -> None:
        for reason in failures.values():
            self._counters.drop(reason, 1, entry.slot)
        if packets:
            self._counters.count_out(entry.slot, packets, octets, time.time())

    def watch_sequence(self, entry: Outbound) -> None:
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
