"""GSO batch: frames that a device gives in one turn, cut into the rows of one layout and sealed together.

What is done once for all frames costs less than once for each, and so does a send. Frames of several SAs
share a batch if `esp.sa.batch` can seal them together.
"""

from __future__ import annotations

from esp.datapath.device_io import GsoFrame
from esp.datapath.sa_entries import OutboundEntry, SaRun
from esp.datapath.transmit import Batch
from esp.packet.headers import Buffer, flow_key
from esp.packet.row_layouts import Octets, RowLayouts

_ROOM = 5 * ((1 << 16) + (1 << 13))  # octets: five frames of 64 KiB, with what ESP adds to their packets


class GsoBatch:
    """Packets of one size, IP version and TOS octet that wait to be sealed in `runs`, in order."""

    __slots__ = ("_array", "_batch", "_count", "_flows", "_frames", "_layouts", "_version", "runs")

    _array: Octets  # the inner packets' part of the rows
    _batch: Batch

    def __init__(self) -> None:
        self._layouts = RowLayouts(_ROOM)
        self.runs: list[SaRun] = []
        self._frames: list[tuple[GsoFrame, int, int]] = []
        self._flows: set[bytes | None] | None = None  # with None in it: of a packet whose flow is unknown
        self._count = self._version = 0

    def begin(self, entry: OutboundEntry, tos: int, frame: GsoFrame) -> None:
        """Start an empty batch for packets like this frame's."""
        self.runs, self._frames = [], []
        self._count, self._version = 0, frame.headers[0] >> 4
        layout, start = entry.sa.layout(self._layouts, frame.size), entry.sa.start
        self._batch = Batch(self._layouts, layout, frame.size, tos, self.runs)
        self._array = layout.array[:, start : start - (-frame.size // 4) * 4]

    def fits(self, entry: OutboundEntry, tos: int, frame: GsoFrame, first: int) -> bool:
        """Whether the frame's packets from `first` on fit this batch: size, IP version, TOS octet, room and
        SA."""
        if not self.runs or frame.headers[0] >> 4 != self._version:
            return False
        batch = self._batch
        if (frame.size, tos) != (batch.size, batch.tos):
            return False
        if self._count + frame.count - first > batch.layout.capacity:
            return False
        return entry.sa.format == self.runs[-1].sa.format

    def add(self, entry: OutboundEntry, frame: GsoFrame, first: int) -> int:
        """Lay out the frame's packets from `first` on; how many there was room for."""
        at, runs = self._count, self.runs
        left, room = frame.count - first, self._batch.layout.capacity - at
        count, short_by = (room, 0) if left > room else (left, frame.size - frame.last)
        frame.copy_payloads(self._array[at : at + count], first)
        self._frames.append((frame, first, count))
        self._count, self._flows = at + count, None
        if runs and runs[-1].entry is entry and not runs[-1].short_by:
            runs[-1] = SaRun.of(entry, runs[-1].packets + count, short_by)
        else:
            runs.append(SaRun.of(entry, count, short_by))
        return count

    def may_overtake(self, packet: Buffer) -> bool:
        """Whether this whole packet may leave before the batch: it belongs to none of its flows."""
        flows = self._flows
        if flows is None:
            flows = self._flows = {flow_key(frame.headers) for frame, _, _ in self._frames}
        flow = flow_key(packet)
        return flow is not None and None not in flows and flow not in flows

    def take(self) -> Batch | None:
        """Write the inner headers and hand over the batch, if there is one: this one is empty then."""
        if not self.runs:
            return None
        frames, self._frames, self.runs = self._frames, [], []
        frames[0][0].write_headers(self._array[: self._count], frames)
        return self._batch
