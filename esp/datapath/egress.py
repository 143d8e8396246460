"""Egress: from TUN devices, through SAs, to sockets (RFC 4303 3.3, RFC 4301 5.1, RFC 3948 2).

1. Read. One turn takes up to 64 packets from one device: GSO frames, of which one read gives up to 64 KiB of
   one flow, and lone packets, each into a row of the TUN batch (`esp.datapath.tun_batch`).
2. Look up the SA (`esp.datapath.sa_database`, RFC 4301 5.1). A packet without an SA goes to the acquire queue
   (`esp.datapath.acquire`); in a standing queue CoDel marks or drops packets (`esp.datapath.codel`).
3. Lay out. Frames are cut into rows of the GSO batch (`esp.datapath.gso_batch`); lone packets stay where they
   were read, with room for ESP in front and behind.
4. Seal. ESP headers, sequence numbers, IVs and AEAD for all rows of one SA, or of many SAs, at once
   (`esp.sa`).
5. Transmit. ESP packets to one peer leave in one UDP_SEGMENT send, or in one sendmmsg
   (`esp.datapath.transmit`).
6. Count. Packets and octets are counted; control is told when an SA's sequence numbers run low.

A packet that comes alone after a pause passes all stages in one closure (`esp.datapath.flow_cache`).
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from functools import partial
from typing import TypeVar

from esp.datapath.acquire import AcquireQueue
from esp.datapath.device_io import FrameDevice, GsoFrame
from esp.datapath.devices import BrokenDevice, Device
from esp.datapath.flow_cache import MAX_FLOWS, EgressFastPath
from esp.datapath.gso_batch import GsoBatch, SaRun
from esp.datapath.limits import TURN_PACKETS
from esp.datapath.sa_database import SaDatabase
from esp.datapath.sa_entries import OutboundEntry, OuterPath
from esp.datapath.transmit import Transmitter
from esp.datapath.tun_batch import MAX_ROW_PACKET, Run, TunBatch
from esp.ipc.counters import CounterBlock
from esp.ipc.messages import Message
from esp.net.transport import GsoSend, Transport, drop_reason
from esp.packet import ecn
from esp.packet.drop_reasons import Drop
from esp.packet.headers import IPV4_HEADER, IPV4_NO_OPTIONS, Buffer, address_key, ip_length, tos_of
from esp.sa import multi_sa_batch

T = TypeVar("T")

_FRAME_COST, _PACKETS_A_COST = (
    2,
    4,
)  # of the turn's packets a frame uses two, and one more for every four of its own
_MIN_UNIFORM = 6  # uniform packets from which on numpy is faster than one by one
_TURN = 0.001  # seconds after which the worker serves other devices and sockets


@dataclass(slots=True, eq=False)
class _Pending:
    """Packets sealed one by one, under any SAs, that wait to leave in one send: all have one path and TOS
    octet."""

    path: OuterPath | None = None
    tos: int = 0
    rows: list[memoryview] = field(default_factory=list)
    entries: list[OutboundEntry] = field(default_factory=list)
    lengths: list[int] = field(default_factory=list)  # of the inner packets


class Egress:
    """Seals and sends the packets that one worker reads from its devices.

    `post` sends a message to control; it returns False if the message was lost.
    """

    def __init__(self, database: SaDatabase, counters: CounterBlock, post: Callable[[Message], bool]) -> None:
        self.devices: dict[int, Device] = {}
        self.deferred: list[
            Callable[[], object]
        ] = []  # work left for packets that are already sent or written
        self._database = database
        self._counters = counters
        self._transmitter = Transmitter(counters, post)
        self._tun_batch = TunBatch()
        self._gso_batch = GsoBatch()
        self._pending = _Pending()
        self._lone: list[int] = []  # lengths of the lone packets that wait in the first rows of `_tun_batch`
        self._acquire = AcquireQueue(database, counters, post)

    def set_transports(self, transports: Sequence[Transport]) -> None:
        """Send through these sockets from now on; their endpoints are the ones that loop detection knows."""
        self._transmitter.set_transports(transports)
        self._database.set_local_endpoints((each.local_address, each.local_port) for each in transports)

    # 1. Read

    def read_device(self, device: Device) -> int:
        """Take one batch from a device and send it. Returns the number of lone packets, 0 if frames came too
        (an empty read counts as one lone packet). Raises BrokenDevice."""
        if device.frames is not None:
            return self._read_frames(device, device.frames)
        packets = _read_or_broken(lambda: device.io.read_batch(TURN_PACKETS))
        self.send(device, packets)
        return len(packets) or 1

    def single_packet_reader(self, device: Device) -> Callable[[], int]:
        """A function that does `read_device` where one packet is expected: it sends that packet before it
        looks for more, and leaves to `deferred` what the next packet need not wait for."""
        frames = device.frames
        if frames is None:
            return partial(self.read_device, device)
        read = self._reader(frames)
        packet, flows = self._tun_batch.first_packet, self._database.flow_cache.egress(device.device_id)

        def read_single() -> int:
            try:
                found = read()
            except OSError as error:
                raise BrokenDevice(error.strerror or str(error)) from error
            if not isinstance(found, int):
                return 1 if found is None else self._read_frames(device, frames, (), found)
            usual = (
                found > IPV4_HEADER and packet[0] == IPV4_NO_OPTIONS and packet[2] << 8 | packet[3] == found
            )
            fast_path = flows.get(bytes(packet[12:20])) if usual else None
            if fast_path(found, packet[1]) if fast_path is not None else self._send_single(device, found):
                return 1  # the next poll tells whether there is more
            return self._read_frames(device, frames, (found,))

        return read_single

    def _read_frames(
        self,
        device: Device,
        frames: FrameDevice,
        lengths: Sequence[int] = (),
        frame: GsoFrame | None = None,
    ) -> int:
        """One turn of a device with offloads. `lengths` and `frame`: what was read already."""
        now = time.monotonic()
        budget, until = TURN_PACKETS, now + _TURN
        lone = count = 0
        more = True
        read: Callable[[], int | GsoFrame | None] | None = None
        try:
            while True:
                if lengths:
                    self._queue_lone(device, lengths)
                    lone += len(lengths)
                    budget -= len(lengths)
                if frame is not None:
                    self._add_frame(device, frame, now)
                    count += 1
                    budget -= _FRAME_COST + frame.count // _PACKETS_A_COST
                now = time.monotonic()
                if not more or budget <= 0 or now >= until:
                    break
                if frame is not None and not self._lone:  # frames usually follow each other
                    read = read or self._reader(frames)
                    found = _read_or_broken(read)
                    frame = None if isinstance(found, int) else found
                    lengths = (found,) if isinstance(found, int) else ()
                    more = found is not None
                else:
                    rows: list[int] = []
                    frame = self._read_rows(frames, budget, rows)
                    more = frame is not None or len(rows) >= budget
                    lengths = rows
        finally:
            self._flush_turn(device)
        if not more:
            device.codel.note_empty()
        return 0 if count else lone or 1  # an empty read counts as one lone packet

    def _reader(self, frames: FrameDevice) -> Callable[[], int | GsoFrame | None]:
        """The function that reads one packet, or a frame, into the first row."""
        return frames.reader(self._tun_batch.read_buffers(frames.headroom)[1][0])

    def _read_rows(self, frames: FrameDevice, most: int, lengths: list[int]) -> GsoFrame | None:
        """Read up to `most` packets into the rows behind the waiting ones; a frame ends the read."""
        rows, read_buffers = self._tun_batch.read_buffers(frames.headroom)
        first = len(self._lone)
        return _read_or_broken(
            lambda: frames.read_rows(rows[first:], read_buffers[first : first + most], lengths)
        )

    # 2. and 3. Look up the SA and lay out: frames into the GSO batch, lone packets in the rows they were read
    # into

    def _queue_lone(self, device: Device, lengths: Sequence[int]) -> None:
        """Queue lone packets ahead of this turn's frames unless that would reorder a flow. So
        acknowledgements do not split what is sealed together. The packets stand in the rows behind those that
        already wait."""
        gso_batch, tun_batch, first = self._gso_batch, self._tun_batch, len(self._lone)
        ahead = not gso_batch.sa_runs or all(
            length >= IPV4_HEADER and gso_batch.may_overtake(tun_batch.packet(row, length))
            for row, length in enumerate(lengths, first)
        )
        if ahead and lengths[-1] <= MAX_ROW_PACKET:  # a longer one reaches into the row that is read next
            self._lone += lengths
        else:
            self._flush_turn(device)
            self._send_lone(device, lengths, first)

    def _add_frame(self, device: Device, frame: GsoFrame, now: float) -> None:
        """Lay out a frame in the GSO batch, which is sent first if the frame does not fit it. `now`:
        monotonic seconds."""
        gso_batch, packet = self._gso_batch, frame.packet
        entry = self._database.outbound(device.device_id, packet)
        if entry is None:
            self._flush_turn(device)
            for each in frame.packets():
                self._acquire.enqueue(device, memoryview(each))
            return
        tos = tos_of(packet)
        if entry.sa.tfc:
            self._flush_turn(device)
            self._send(entry, frame.packets(), tos)
            return
        first = 0
        if device.codel.should_signal(now):
            if tos & ecn.ECN_MASK in ecn.ECT:
                frame.mark_ce()
                tos |= ecn.CE  # RFC 6040 4.1
            else:
                self._counters.drop(Drop.CONGESTION, 1, entry.slot)
                first = 1
        while first < frame.count:
            if not gso_batch.fits(entry, frame, first):
                if gso_batch.sa_runs:
                    self._flush_turn(device)
                gso_batch.begin(entry, frame)
            first += gso_batch.add(entry, tos, frame, first)

    def _flush_turn(self, device: Device) -> None:
        """Send the waiting lone packets, then seal and send the GSO batch."""
        if self._lone:
            lengths, self._lone = self._lone, []
            try:
                self._send_lone(device, lengths, 0)
            finally:
                self._send_gso_batch()
        else:
            self._send_gso_batch()

    # 4. to 6. Seal, transmit and count: frames

    def _send_gso_batch(self) -> None:
        """Seal and send the GSO batch: at once where all its SAs can, else SA by SA."""
        gso_batch = self._gso_batch
        sa_runs = gso_batch.finish()  # whatever is raised below, nothing is sealed twice
        if len(sa_runs) > 1 and self._seal_gso_batch(sa_runs):
            for runs in gso_batch.sends(sa_runs):
                self._send_runs(runs)
        else:
            for sa_run in sa_runs:
                self._send_run(sa_run)

    def _seal_gso_batch(self, sa_runs: list[SaRun]) -> bool:
        """False, and nothing was done, if one SA is near the end of its sequence numbers."""
        try:
            return self._gso_batch.seal_runs(sa_runs)
        except BaseException:
            for sa_run in sa_runs:
                self._transmitter.note_sequence(sa_run.entry)
            raise

    def _send_runs(self, sa_runs: Sequence[SaRun]) -> None:
        """Send and count sealed packets of several SAs that one send takes."""
        begin, end = sa_runs[0].first, sa_runs[-1].first + sa_runs[-1].count
        gso = self._gso_batch.gso_send(begin, end - begin, sa_runs[-1].last)
        failures = self._transmitter.send_uniform(sa_runs[0].entry.path, gso, sa_runs[0].tos)
        if failures:
            for sa_run in sa_runs:
                rows = range(sa_run.first - begin, sa_run.first - begin + sa_run.count)
                of_this = {row: failures[row] for row in rows if row in failures}
                self._transmitter.count_run(sa_run.entry, sa_run.count, sa_run.octets(sa_run.count), of_this)
                self._transmitter.note_sequence(sa_run.entry)
        else:
            count, now = self._counters.count_sealed, time.time()
            for sa_run in sa_runs:
                entry = sa_run.entry
                count(entry.slot, sa_run.count, sa_run.octets(sa_run.count), entry.sa.sequence, now)

    def _send_run(self, sa_run: SaRun) -> None:
        """Seal and send the packets of one SA."""
        gso_batch, entry, count = self._gso_batch, sa_run.entry, sa_run.count
        try:
            sealed = gso_batch.seal_run(sa_run)
        finally:
            self._transmitter.note_sequence(entry)
        if sealed < count:
            self._counters.drop(Drop.EXHAUSTED, count - sealed, entry.slot)
        if sealed:
            last = sa_run.last if sealed == count else gso_batch.layout.stride
            gso = gso_batch.gso_send(sa_run.first, sealed, last)
            self._transmitter.send_run(entry, gso, sa_run.tos, sa_run.octets(sealed))

    # 2. to 6. Lone packets of a turn

    def _send_lone(self, device: Device, lengths: Sequence[int], begin: int) -> None:
        """Send the lone packets in the rows from `begin` on: uniform runs at once, others one by one."""
        if begin == 0 and len(lengths) == 1 and self._send_single(device, lengths[0]):
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
            self._send(entry, [packet[:real]], tos)
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

    # 2. to 6. The single-packet fast path

    def _send_single(self, device: Device, length: int) -> bool:
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
        deferred, count = self.deferred, self._count_single

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

    # 2. to 6. Whole packets: devices without offloads, TFC padding, packets that waited for an SA

    def send(self, device: Device, packets: Sequence[Buffer]) -> None:
        """Send whole packets, as a device without offloads gives them, SA by SA."""
        by_sa: dict[tuple[OutboundEntry, int], list[Buffer]] = {}
        find = self._database.outbound
        for packet in packets:
            length = ip_length(packet)
            if length is None:
                self._counters.drop(Drop.MALFORMED)
                continue
            entry = find(device.device_id, packet)
            if entry is None:
                self._acquire.enqueue(device, packet)
            else:
                by_sa.setdefault((entry, tos_of(packet)), []).append(packet[:length])
        for (entry, tos), batch in by_sa.items():
            self._send(entry, batch, tos)

    def release_waiting(self, device_id: int | None) -> None:
        """A device has one more active SA: send the packets that waited for one."""
        device = None if device_id is None else self.devices.get(device_id)
        if device is not None and device.waiting:
            for (entry, tos), batch in self._acquire.release(device).items():
                self._send(entry, batch, tos)

    def _send(self, entry: OutboundEntry, packets: Sequence[Buffer], tos: int) -> None:
        try:
            rows = entry.sa.seal_batch(packets)
        finally:
            self._transmitter.note_sequence(entry)
        if len(rows) < len(packets):
            self._counters.drop(Drop.EXHAUSTED, len(packets) - len(rows), entry.slot)
        self._transmitter.send_packets(entry, rows, [len(packet) for packet in packets], tos)


def _read_or_broken(read: Callable[[], T]) -> T:
    """The result of a device's read. Raises BrokenDevice."""
    try:
        return read()
    except OSError as error:
        raise BrokenDevice(error.strerror or str(error)) from error


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
