"""GSO batch: frames that a device gives in one turn, cut into the rows of one layout and sealed together.

What is done once for all frames costs less than once for each, and so does a send. Frames of several SAs
share a batch if `esp.sa.multi_sa_batch` can seal them together.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from esp.datapath.device_io import GsoFrame
from esp.datapath.sa_entries import OutboundEntry
from esp.net.transport import GsoSend
from esp.packet.headers import Buffer, flow_key
from esp.packet.row_layouts import Octets, RowLayout, RowLayouts
from esp.sa import multi_sa_batch

_ROOM = 5 * ((1 << 16) + (1 << 13))  # octets: five frames of 64 KiB, with what ESP adds to their packets


@dataclass(slots=True, eq=False)
class SaRun:
    """Consecutive rows under one SA, from row `first` on; only the last packet may be shorter than the
    others."""

    entry: OutboundEntry
    tos: int
    first: int
    count: int
    size: int  # octets of an inner packet
    short_by: int  # octets by which the last packet is shorter
    last: int  # octets of the last ESP packet

    def octets(self, count: int) -> int:
        """Octets of the first `count` inner packets."""
        return count * self.size - (self.short_by if count == self.count else 0)


class GsoBatch:
    """Rows that wait to be sealed: `sa_runs`, in order."""

    __slots__ = ("_array", "_count", "_flows", "_frames", "_size", "_version", "layout", "layouts", "sa_runs")

    layout: RowLayout
    _array: Octets  # the inner packets' part of the rows

    def __init__(self) -> None:
        self.layouts = RowLayouts(_ROOM)
        self.sa_runs: list[SaRun] = []
        self._frames: list[tuple[GsoFrame, int, int]] = []
        self._flows: set[bytes | None] | None = None  # with None in it: of a packet whose flow is unknown
        self._count = self._size = self._version = 0

    def begin(self, entry: OutboundEntry, frame: GsoFrame) -> None:
        """Start an empty batch for packets of this frame's size and IP version."""
        self.sa_runs, self._frames = [], []
        self._count, self._size, self._version = 0, frame.size, frame.headers[0] >> 4
        self.layout = entry.sa.layout(self.layouts, self._size)
        start = entry.sa.start
        self._array = self.layout.array[:, start : start - (-self._size // 4) * 4]

    def fits(self, entry: OutboundEntry, frame: GsoFrame, first: int) -> bool:
        """Whether the frame's packets from `first` on fit this batch: size, IP version, room and SA."""
        sa_runs = self.sa_runs
        if not sa_runs or frame.size != self._size or frame.headers[0] >> 4 != self._version:
            return False
        if self._count + frame.count - first > self.layout.capacity:
            return False
        before = sa_runs[-1]
        if entry is before.entry and not before.short_by:
            return True
        return multi_sa_batch.share_layout(entry.sa, before.entry.sa)

    def add(self, entry: OutboundEntry, tos: int, frame: GsoFrame, first: int) -> int:
        """Lay out the frame's packets from `first` on; how many there was room for."""
        at, size, sa_runs = self._count, self._size, self.sa_runs
        left, room = frame.count - first, self.layout.capacity - at
        count, short_by, last = left, size - frame.last, self.layout.stride
        if left > room:
            count, short_by = room, 0
        frame.copy_payloads(self._array[at : at + count], first)
        self._frames.append((frame, first, count))
        self._count, self._flows = at + count, None
        if short_by:
            last = entry.sa.esp_length(size - short_by)
        before = sa_runs[-1] if sa_runs else None
        if before is not None and before.entry is entry and before.tos == tos and not before.short_by:
            before.count += count
            before.short_by, before.last = short_by, last
        else:
            sa_runs.append(SaRun(entry, tos, at, count, size, short_by, last))
        return count

    def may_overtake(self, packet: Buffer) -> bool:
        """Whether this whole packet may leave before the batch: it belongs to none of its flows."""
        flows = self._flows
        if flows is None:
            flows = self._flows = {flow_key(frame.headers) for frame, _, _ in self._frames}
        flow = flow_key(packet)
        return flow is not None and None not in flows and flow not in flows

    def finish(self) -> list[SaRun]:
        """Write headers and trailers, and hand over the runs: the batch is empty then."""
        sa_runs, self.sa_runs = self.sa_runs, []
        if sa_runs:
            frames, self._frames = self._frames, []
            frames[0][0].write_headers(self._array[: self._count], frames)
            sa = sa_runs[0].entry.sa  # all have the same layout
            sa.write_trailers(self.layout, self._count, self._version, self._size)
            for sa_run in sa_runs:
                if sa_run.short_by:
                    sa.write_short_trailer(
                        self.layout.rows[sa_run.first + sa_run.count - 1], self._size - sa_run.short_by
                    )
        return sa_runs

    def seal_run(self, sa_run: SaRun) -> int:
        """Seal one SA's run; returns how many packets, as its sequence numbers may run out."""
        return sa_run.entry.sa.seal_layout(
            self.layouts, self.layout.from_row(sa_run.first), sa_run.count, sa_run.last
        )

    def seal_runs(self, sa_runs: list[SaRun]) -> bool:
        """Seal the runs of all SAs at once; False, and nothing was done, if one SA is near the end of its
        numbers."""
        runs = [(sa_run.entry.sa, sa_run.count, sa_run.last) for sa_run in sa_runs]
        return multi_sa_batch.seal_runs(self.layouts, self.layout, runs)

    def gso_send(self, first: int, count: int, last: int) -> GsoSend:
        """`count` ESP packets from row `first` on as one send, the last one of `last` octets."""
        stride = self.layout.stride
        begin = first * stride
        return GsoSend((self.layouts.arena[begin : begin + (count - 1) * stride + last],), stride, count)

    def sends(self, sa_runs: list[SaRun]) -> Iterator[list[SaRun]]:
        """Groups runs that one send takes: same path and TOS octet, and only the last packet may be short."""
        group = sa_runs[:1]
        for sa_run in sa_runs[1:]:
            before = group[-1]
            same = before.entry.path.shares_send_with(sa_run.entry.path)
            if not (same and before.tos == sa_run.tos and before.last == self.layout.stride):
                yield group
                group = []
            group.append(sa_run)
        yield group
