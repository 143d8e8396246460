"""Ingress: from sockets, through SAs, to TUN devices (RFC 4303 3.4, RFC 4301 5.2, RFC 3948 2).

1. Read. One recvmsg with UDP_GRO gives up to 64 KiB of datagrams of one size from one peer; reads that follow
   each other fill a GRO batch (`esp.datapath.gro_batch`). Packets of protocol 50 come by recvmmsg, a row each
   (`esp.net.raw_receive_ring`).
2. Look up the SA by SPI. IKE messages, other workers' SPIs and unknown ones are forwarded or reported
   (`esp.datapath.unmatched`).
3. Check and open. Sequence numbers against the replay window, then the AEAD in place: for all rows of a batch
   at once, under one SA or an SA a row (`esp.sa.batch`), or packet by packet (`esp.sa.inbound`).
4. Unwrap. The replay window is marked; trailer, next header and the SA's selectors are checked; the outer ECN
   field is combined with the inner one (RFC 6040).
5. Deliver (`esp.datapath.delivery`). The device writes the inner packets, merged into frames where it can
   (`tun.gro`).
6. Count. Packets and octets are counted; control is told when a peer has moved.

A packet that comes alone after a pause passes all stages in one closure (`esp.datapath.flow_cache`). A packet
that fails a stage is counted under its reason (`esp.packet.drop_reasons.Drop`): nothing here logs or raises
for a bad packet.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from functools import partial
from itertools import groupby

from esp.datapath.context import Context
from esp.datapath.delivery import Delivery
from esp.datapath.flow_cache import MAX_FLOWS, IngressFastPath
from esp.datapath.gro_batch import ARENA, GroBatch
from esp.datapath.limits import TURN_PACKETS
from esp.datapath.sa_entries import InboundEntry
from esp.datapath.unmatched import MARKER, Unmatched
from esp.ipc.messages import ForwardEsp
from esp.net import cmsg
from esp.net.raw_receive_ring import RawReceiveRing, RowSpan
from esp.net.sockets import SocketKind
from esp.net.transport import Received, SocketAddress, Transport
from esp.packet import ecn
from esp.packet.drop_reasons import Drop
from esp.packet.row_layouts import BE32, MAX_ROWS, RowLayouts, all_equal
from esp.sa import batch
from esp.sa.inbound import OpenedBatch
from esp.sa.suites import ESP_HEADER

_KEEPALIVE = b"\xff"
_MIN_BATCH, _MIN_BATCH_SMALL = 5, 10  # packets from which on opening them together is faster
_SMALL = 160  # octets of an ESP packet that holds little more than headers: merging gains little
_GRO_COST = 8  # of the turn's packets one GRO read uses, whatever its length

_TOO_SHORT = -1
_IKE = 0  # as an SPI


class Ingress:
    """Opens the ESP packets that one worker's sockets receive and writes the inner packets to its devices.

    `catch_up` reads control's waiting messages: it is called before an SPI counts as unknown, because the
    peer may be faster than the message that installs its SA. `release` is told of a device that has one more
    active outbound SA.
    """

    def __init__(
        self,
        context: Context,
        steering: tuple[int, int],
        catch_up: Callable[[], None],
        release: Callable[[int | None], None],
    ) -> None:
        """`steering`: the worker's slot, of how many."""
        self._database, self._counters, self._devices = context.database, context.counters, context.devices
        self._deferred, self._catch_up, self._release = context.deferred, catch_up, release
        self._slot, self._workers = steering
        self.unfinished = False  # the peer has probably sealed more together than was read yet
        self._layouts = RowLayouts(ARENA)
        self._raw: RawReceiveRing | None = None
        self._unmatched = Unmatched(context)
        self.delivery = Delivery(context, release)

    # 1. Read

    def read_transport(self, transport: Transport) -> int:
        """Take one batch from a socket and write the inner packets to the devices. Returns the number of lone
        packets, 0 if GRO reads came too."""
        self.unfinished = False
        udp = transport.kind is SocketKind.UDP
        lone = self._read_udp(transport) if udp else self._read_raw(transport) or 1
        self._count_kernel_drops(transport)
        return lone

    def single_packet_reader(self, transport: Transport) -> Callable[[], int]:
        """A function that does `read_transport` where one packet is expected: it delivers that packet before
        it looks for more, and leaves to `deferred` what the next packet need not wait for."""
        if transport.kind is not SocketKind.UDP:
            return partial(self.read_transport, transport)
        arena, flows = self._layouts.arena, self._database.flow_cache.ingress
        recvmsg_into, buffers = transport.sock.recvmsg_into, [arena]

        def read_single() -> int:
            try:
                length, ancillary, _, source = recvmsg_into(buffers, cmsg.SPACE)
            except OSError:  # nothing, or an ICMP error
                return self.read_transport(transport)
            if length >= ESP_HEADER and ancillary == transport.plain_ancillary:
                fast_path = flows.get(int.from_bytes(arena[:MARKER], "big"))
                if fast_path is not None:
                    fast_path(arena[:length], source, transport)
                    return 1  # the next poll tells whether there is more
            return self._continue_udp(transport, transport.parse_ancillary(length, ancillary, source))

        return read_single

    def _continue_udp(self, transport: Transport, first: Received) -> int:
        """Handle a datagram, or GRO read, that has no fast path yet, and read on behind it."""
        if first.length <= first.segment and self._open_single(
            transport, self._layouts.arena[: first.length], first.source, first.tos
        ):
            return 1
        lone = self._read_udp(transport, first)
        self._count_kernel_drops(transport)
        return lone

    def _read_udp(self, transport: Transport, first: Received | None = None) -> int:
        """Read until the turn's packets are used up or the socket is empty. `first`: what was read already.
        Returns the number of lone packets, 0 if GRO reads came too."""
        arena, batch = self._layouts.arena, GroBatch()
        lone = gro_reads = 0
        budget = TURN_PACKETS
        self.unfinished = False
        while budget > 0 or (gro_reads and batch.is_unfinished()):  # a batch that ends early cuts a frame
            over, end = budget <= 0, batch.end
            received = first or transport.receive(arena[end:])
            first = None
            if received is None:
                self.unfinished = gro_reads > 0 and batch.is_unfinished()
                break
            if received.length <= received.segment:
                lone += 1
            else:
                gro_reads += 1
            budget = TURN_PACKETS - lone - _GRO_COST * gro_reads
            if not batch.append(received):
                # Opening a short last row uses the whole row: what was read behind it would be overwritten.
                kept = bytes(arena[end : end + received.length]) if end else b""
                self._receive_gro_batch(transport, batch)
                if end:
                    arena[: received.length] = kept
                batch = GroBatch(received)
                if over:  # no packets left in this turn, and this was not the rest of the batch
                    break
            if batch.is_full():
                break
        self._receive_gro_batch(transport, batch)
        return 0 if gro_reads else lone or 1  # an empty read, after an ICMP error, counts as one lone packet

    def _receive_gro_batch(self, transport: Transport, batch: GroBatch) -> None:
        received, stride, count = batch.received, batch.stride, batch.count
        if received is None:
            return
        if count > 1:
            span = RowSpan(self._layouts, 0, 0, stride, count, batch.end - (count - 1) * stride, stride)
            self._receive_span(transport, received, span)
        else:
            self._receive(transport, received, [self._layouts.arena[: batch.end]])

    def _read_raw(self, transport: Transport) -> int:
        """Read packets of protocol 50, a row each; uniform ones that follow each other are one span of
        rows."""
        if self._raw is None:
            self._raw = RawReceiveRing()
        count = 0
        for received, span in self._raw.read(transport, TURN_PACKETS):
            count += span.count
            if span.count > 1:
                self._receive_span(transport, received, span)
            else:
                self._receive(transport, received, span.rows())
        return count

    def _count_kernel_drops(self, transport: Transport) -> None:
        if lost := transport.kernel_drops(time.monotonic()):
            self._counters.drop(Drop.SOCKET_QUEUE, lost)

    # 2. Look up the SA

    def _receive_span(self, transport: Transport, received: Received, span: RowSpan) -> None:
        """Handle datagrams of one size from one source: at once if their SAs permit that, else SPI by SPI."""
        fewest = _MIN_BATCH if span.stride > _SMALL else _MIN_BATCH_SMALL
        if fewest <= span.count <= MAX_ROWS and self._open_span(transport, received, span):
            return
        for _, rows in groupby(span.rows(), _spi):
            self._receive(transport, received, list(rows))

    def _receive(self, transport: Transport, received: Received, rows: list[memoryview]) -> None:
        """Handle datagrams from one source under one SPI."""
        udp = transport.kind is SocketKind.UDP
        if udp and len(rows) < _MIN_BATCH_SMALL:
            open_single, tos = self._open_single, received.tos
            rows = [row for row in rows if not open_single(transport, row, received.source, tos)]
            if not rows:
                return
        spi = _spi(rows[0])
        if spi == _TOO_SHORT:
            for row in rows:
                keepalive = udp and row == _KEEPALIVE
                self._counters.drop(Drop.KEEPALIVE if keepalive else Drop.MALFORMED)
        elif spi == _IKE and udp:
            self._unmatched.forward_ike(transport, received, rows)
        elif spi % self._workers != self._slot:
            self._unmatched.forward_esp(transport, received, rows)
        else:
            source = received.source if udp else None
            if self._open(spi, rows, source, received.tos):
                return
            self._catch_up()
            if not self._open(spi, rows, source, received.tos):
                self._unmatched.report_unknown_spi(transport, spi, received, len(rows))

    def receive_forwarded(self, message: ForwardEsp) -> None:
        """Handle an ESP packet that control forwards from another worker."""
        row = memoryview(bytearray(message.data))
        if len(row) < ESP_HEADER:
            self._counters.drop(Drop.MALFORMED)
            return
        source = (str(message.remote_address), message.remote_port) if message.encap else None
        # An SPI of yet another worker is unknown here: forwarding it again could go in circles.
        if not self._open(_spi(row), [row], source, message.tos):
            self._counters.drop(Drop.UNKNOWN_SPI)

    # 3. and 4. Check, open and unwrap

    def _open_span(self, transport: Transport, received: Received, span: RowSpan) -> bool:
        """Open uniform datagrams at once, and deliver them. False: nothing was done, they have to be opened
        SPI by SPI."""
        if span.last < ESP_HEADER:
            return False
        spis = span.column(0, MARKER)
        entries = self._database.inbound_each(
            (spis[:1] if all_equal(spis) else spis).view(BE32)[:, 0].tolist()
        )
        if entries is None:
            return False
        sa, headroom = entries[0].sa, self.delivery.headroom(entries[0])
        source = received.source if transport.kind is SocketKind.UDP else None
        if len(entries) > 1:
            if not self._share_batch(entries, source, headroom):
                return False
            source = None  # where all peers are
        if span.stride < sa.min_length or headroom > sa.headroom:
            return False
        end = span.first + span.count
        layout = span.layouts.layout(span.stride, sa.start, sa.suite.icv_length, span.offset, end)
        if layout.capacity < end:
            return False
        layout, sas = layout.from_row(span.first), [entry.sa for entry in entries]
        opened = batch.open_rows(span.layouts, layout, sas, span.count, span.last, headroom)
        if opened is None:
            return False
        self.delivery.finish(entries, opened, source, received.tos)
        return True

    def _share_batch(
        self, entries: Sequence[InboundEntry], source: SocketAddress | None, headroom: int
    ) -> bool:
        """Whether packets of these SAs, which come from `source`, can be opened at once: one format, one
        path, which leads there, and devices with this headroom."""
        paths, formats = [each.path for each in entries], [each.sa.format for each in entries]
        if paths.count(paths[0]) < len(entries) or formats.count(formats[0]) < len(entries):
            return False
        if source is not None and paths[0].remote != source[:2]:
            return False
        devices = [self._devices[device_id].frames for device_id in {each.device_id for each in entries}]
        return all(frames is not None and frames.headroom == headroom for frames in devices)

    def _open(self, spi: int, rows: Sequence[memoryview], source: SocketAddress | None, tos: int) -> bool:
        """Open ESP packets under one SPI and deliver them; False if there is no such SA.

        `source`: the remote address and port if they came in UDP. The rows are overwritten.
        """
        entry = self._database.inbound(spi)
        if entry is None:
            return False
        opened = entry.sa.open_batch(rows, self.delivery.headroom(entry))
        self.delivery.finish((entry,), (opened,), source, tos)
        return True

    # 2. to 6. The single-packet fast path

    def _open_single(self, transport: Transport, row: memoryview, source: SocketAddress, tos: int) -> bool:
        """Open one datagram by its SA's fast path. False: it has none, and nothing was done."""
        if len(row) < ESP_HEADER or tos & ecn.ECN_MASK in ecn.CHANGES_INNER:
            return False
        flows, spi = self._database.flow_cache.ingress, int.from_bytes(row[:MARKER], "big")
        fast_path = flows.get(spi) or self._fast_path(spi)
        if fast_path is None:
            return False
        if len(flows) >= MAX_FLOWS:
            flows.clear()
        flows[spi] = fast_path
        fast_path(row, source, transport)
        return True

    def _fast_path(self, spi: int) -> IngressFastPath | None:
        """Makes the fast path of packets under one of our SPIs, for outer ECN fields that leave the inner one
        as it is."""
        entry = self._database.inbound(spi)
        frames = None if entry is None else self._devices[entry.device_id].frames
        if entry is None or frames is None or frames.headroom > entry.sa.headroom:
            return None
        open_single, headroom, write = entry.sa.open_single, frames.headroom, frames.write_packet
        standby, deferred, count = self._database.standby, self._deferred, self._count_single
        delivery = self.delivery

        def fast_path(row: memoryview, source: SocketAddress, transport: Transport) -> None:
            opened = open_single(row, headroom)
            if isinstance(opened, OpenedBatch):
                delivery.finish((entry,), (opened,), source, ecn.NOT_ECT)
                return
            try:
                written = write(opened)
            except OSError:
                written = False
            if standby:  # at once: the answer shall find the new SA active
                self._release(self._database.activate(entry.child_id))
            deferred.append(partial(count, transport, entry, len(opened) - headroom, written, source))
            delivery.authentic += 1

        return fast_path

    def _count_single(
        self, transport: Transport, entry: InboundEntry, octets: int, written: bool, source: SocketAddress
    ) -> None:
        """Deferred: counts a packet that was written, or not."""
        self._counters.count_in(entry.slot, 1, octets, time.monotonic())
        if not written:
            self._counters.drop(Drop.DEVICE, 1, entry.slot)
        if source != entry.path.remote:
            self.delivery.watch_source(entry, source)
        self._count_kernel_drops(transport)


def _spi(row: memoryview) -> int:
    return int.from_bytes(row[:MARKER], "big") if len(row) >= ESP_HEADER else _TOO_SHORT
