"""The way out: from devices, through SAs, to sockets (RFC 4303 3.3, RFC 3948 2, RFC 4301 5.1).

Frames that a device with offloads hands over become trains (`esp.datapath.gso_batch`). Lone packets are
sealed where they were read, those alike all at once; what goes the same way leaves in one system call.
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
from esp.datapath.sa_database import OutboundEntry, OuterPath, SaDatabase
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

_FRAME, _OF_FRAME = 2, 4  # a frame counts for two packets, and so many of its own for one
_MIN_UNIFORM = 6  # lone packets alike that are worth numpy
_TURN = 0.001  # seconds after which others get their turn


@dataclass(slots=True, eq=False)
class _Pending:
    """Packets sealed one by one, under whatever SAs, that go the same way."""

    path: OuterPath | None = None
    tos: int = 0
    rows: list[memoryview] = field(default_factory=list)
    entries: list[OutboundEntry] = field(default_factory=list)
    lengths: list[int] = field(default_factory=list)  # of the inner packets


class Egress:
    """Seals and sends what the devices of one worker hand over.

    `post` sends a message to control; it returns False if the message was lost.
    """

    def __init__(self, database: SaDatabase, counters: CounterBlock, post: Callable[[Message], bool]) -> None:
        self.devices: dict[int, Device] = {}
        self.deferred: list[Callable[[], object]] = []  # what is left to do for packets that are on their way
        self._database = database
        self._counters = counters
        self._transmitter = Transmitter(counters, post)
        self._tun_batch = TunBatch()
        self._gso_batch = GsoBatch()
        self._pending = _Pending()
        self._lone: list[int] = []  # lengths of packets in the first rows of `_tun_batch`: before the frames
        self._acquire = AcquireQueue(database, counters, post)

    def set_transports(self, transports: Sequence[Transport]) -> None:
        """Send through these from now on."""
        self._transmitter.set_transports(transports)
        self._database.set_local_endpoints((each.local_address, each.local_port) for each in transports)

    def read_device(self, device: Device) -> int:
        """Take one batch from a device and send it; how many packets came one by one, 0 if there were frames
        too. Raises BrokenDevice."""
        if device.frames is not None:
            return self._read_frames(device, device.frames)
        packets = _read_or_broken(lambda: device.io.read_batch(TURN_PACKETS))
        self.send(device, packets)
        return len(packets) or 1

    # Frames and lone packets of a device with offloads

    def single_packet_reader(self, device: Device) -> Callable[[], int]:
        """`read_device` where one packet is expected, which shall not wait until it is known that there are
        no more. What need not be done before the next one is left to `deferred`."""
        frames = device.frames
        if frames is None:
            return partial(self.read_device, device)
        read = self._reader(frames)
        packet, flows = self._tun_batch.first, self._database.flow_cache.egress(device.device_id)

        def take() -> int:
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
                return 1  # whether there is more, the poll will tell
            return self._read_frames(device, frames, (found,))

        return take

    def _read_frames(
        self,
        device: Device,
        frames: FrameDevice,
        lengths: Sequence[int] = (),
        frame: GsoFrame | None = None,
    ) -> int:
        """`lengths` and `frame`: what was read already."""
        now = time.monotonic()
        left, until = TURN_PACKETS, now + _TURN
        lone = count = 0
        more = True
        read: Callable[[], int | GsoFrame | None] | None = None
        try:
            while True:
                if lengths:
                    self._queue_lone(device, lengths)
                    lone += len(lengths)
                    left -= len(lengths)
                if frame is not None:
                    self._add_frame(device, frame, now)
                    count += 1
                    left -= _FRAME + frame.count // _OF_FRAME
                now = time.monotonic()
                if not more or left <= 0 or now >= until:
                    break
                if frame is not None and not self._lone:  # behind a frame there is another one, as a rule
                    read = read or self._reader(frames)
                    found = _read_or_broken(read)
                    frame = None if isinstance(found, int) else found
                    lengths = (found,) if isinstance(found, int) else ()
                    more = found is not None
                else:
                    rows: list[int] = []
                    frame = self._read_rows(frames, left, rows)
                    more = frame is not None or len(rows) >= left
                    lengths = rows
        finally:
            self._flush_turn(device)
        if not more:
            device.codel.note_empty()
        return 0 if count else lone or 1  # nothing is no frame

    def _read_rows(self, frames: FrameDevice, most: int, lengths: list[int]) -> GsoFrame | None:
        """Read behind what waits."""
        rows, read_buffers = self._tun_batch.read_buffers(frames.headroom)
        first = len(self._lone)
        return _read_or_broken(
            lambda: frames.read_rows(rows[first:], read_buffers[first : first + most], lengths)
        )

    def _reader(self, frames: FrameDevice) -> Callable[[], int | GsoFrame | None]:
        """What reads into the first row."""
        return frames.reader(self._tun_batch.read_buffers(frames.headroom)[1][0])

    def _queue_lone(self, device: Device, lengths: Sequence[int]) -> None:
        """Packets in the rows behind those that wait: they wait too, to leave before the frames at the end of
        the turn, unless they belong behind one of these. So acknowledgements don't cut what is sealed
        together."""
        gso_batch, tun_batch, first = self._gso_batch, self._tun_batch, len(self._lone)
        may_pass = not gso_batch.sa_runs or all(
            length >= IPV4_HEADER and gso_batch.may_overtake(tun_batch.packet(row, length))
            for row, length in enumerate(lengths, first)
        )
        if may_pass and lengths[-1] <= MAX_ROW_PACKET:  # else what is read next would stand in it
            self._lone += lengths
        else:
            self._flush_turn(device)
            self._send_lone(device, lengths, first)

    def _flush_turn(self, device: Device) -> None:
        """Send lone packets that wait, and seal and send the frames that were laid out."""
        if self._lone:
            early, self._lone = self._lone, []
            try:
                self._send_lone(device, early, 0)
            finally:
                self._send_gso_batch()
        else:
            self._send_gso_batch()

    def _send_single(self, device: Device, length: int) -> bool:
        """Send the packet in the first row by its lane if it has one. False: nothing has been done."""
        packet = self._tun_batch.first[:length]
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
        """The lane of packets with these addresses in the first row, if no more than that has to be known."""
        if self._database.local_endpoints.may_have_sent(address_key(packet)):
            return None
        entry = self._database.outbound(device.device_id, packet)
        transport = None if entry is None else self._transmitter.transport(entry.path)
        if entry is None or transport is None or not self._database.by_addresses(device.device_id):
            return None
        sa, seal, arena, begin = (
            entry.sa,
            entry.sa.seal_in_place,
            self._tun_batch.arena,
            self._tun_batch.begin,
        )
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
        """What is left to do for a packet that has been sent, or not. Others may have been sent since."""
        sequence = entry.sa.sequence
        if failure is None:
            self._counters.count_sealed(entry.slot, 1, octets, sequence, time.time())
        else:
            self._counters.drop(failure, 1, entry.slot)
        if failure is not None or sequence >= entry.sa.low_from:
            self._transmitter.note_sequence(entry)

    def _send_lone(self, device: Device, lengths: Sequence[int], begin: int) -> None:
        """Send the packets that stand in the rows from `begin` on."""
        if begin == 0 and len(lengths) == 1 and self._send_single(device, lengths[0]):
            return
        alike = len(lengths) >= _MIN_UNIFORM and self._database.by_addresses(device.device_id)
        try:
            runs = (
                self._tun_batch.runs(begin, lengths, _MIN_UNIFORM) if alike else (Run(begin, len(lengths)),)
            )
            for run in runs:
                first, count, keys = run
                send = self._send_multi_sa if keys else self._send_rows
                if not (alike and count >= _MIN_UNIFORM and send(device, run, lengths[first - begin])):
                    for row in range(first, first + count):
                        self._seal_one(device, row, lengths[row - begin])
        finally:
            self._flush()

    def _send_rows(self, device: Device, run: Run, length: int) -> bool:
        """Send packets that are alike, a row each; False if they have to be looked at one by one."""
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
            self._transmitter.send_gso(entry, GsoSend(layout.rows[:sealed], size, sealed), tos, sealed * real)
        return True

    def _send_multi_sa(self, device: Device, run: Run, length: int) -> bool:
        """The same for packets of different addresses: each under its SA, all sealed at once."""
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
            sa_run = GsoSend(layout.rows[begin:end], size, end - begin)
            for index, reason in self._transmitter.send_uniform(path, sa_run, tos_of(packet)).items():
                failures[begin + index] = reason
        if failures:
            self._transmitter.count_each(columns.entries, [real] * count, failures)
        else:
            self._counters.count_each_out(columns.slots, real, sequences, time.time())
        return True

    def _seal_one(self, device: Device, row: int, length: int) -> None:
        """Seal one packet, to be sent with the next ones that go the same way."""
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
        """Send what was sealed one by one and waits to be sent together."""
        run = self._pending
        path, rows, entries, lengths = run.path, run.rows, run.entries, run.lengths
        if path is None:
            return
        run.path, run.rows, run.entries, run.lengths = None, [], [], []
        if rows:
            self._transmitter.count_each(entries, lengths, self._transmitter.send_path(path, rows, run.tos))

    def _add_frame(self, device: Device, frame: GsoFrame, now: float) -> None:
        """Lay out a frame, to be sealed and sent with the next ones that go the same way. `now`: monotonic
        seconds."""
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

    def _send_gso_batch(self) -> None:
        """Seal and send the frames that were laid out."""
        gso_batch = self._gso_batch
        sa_runs = gso_batch.finish()  # whatever happens now, this is not done again
        if len(sa_runs) > 1 and self._seal_gso_batch(sa_runs):
            for send in gso_batch.sends(sa_runs):
                self._send_runs(send)
        else:
            for sa_run in sa_runs:
                self._send_run(sa_run)

    def _seal_gso_batch(self, sa_runs: list[SaRun]) -> bool:
        """False, and nothing has been done, if the numbers of one SA are near their end."""
        try:
            return self._gso_batch.seal_runs(sa_runs)
        except BaseException:
            for sa_run in sa_runs:
                self._transmitter.note_sequence(sa_run.entry)
            raise

    def _send_run(self, sa_run: SaRun) -> None:
        """Seal and send what is under one SA."""
        gso_batch, entry, count = self._gso_batch, sa_run.entry, sa_run.count
        try:
            sealed = gso_batch.seal_run(sa_run)
        finally:
            self._transmitter.note_sequence(entry)
        if sealed < count:
            self._counters.drop(Drop.EXHAUSTED, count - sealed, entry.slot)
        if sealed:
            last = sa_run.last if sealed == count else gso_batch.layout.stride
            layout = gso_batch.gso_send(sa_run.first, sealed, last)
            self._transmitter.send_gso(entry, layout, sa_run.tos, sa_run.octets(sealed))

    def _send_runs(self, sa_runs: Sequence[SaRun]) -> None:
        """Send sealed packets of several SAs that go the same way."""
        begin, end = sa_runs[0].first, sa_runs[-1].first + sa_runs[-1].count
        layout = self._gso_batch.gso_send(begin, end - begin, sa_runs[-1].last)
        failures = self._transmitter.send_uniform(sa_runs[0].entry.path, layout, sa_runs[0].tos)
        if failures:
            for sa_run in sa_runs:
                rows = range(sa_run.first - begin, sa_run.first - begin + sa_run.count)
                own = {row: failures[row] for row in rows if row in failures}
                self._transmitter.count_run(sa_run.entry, sa_run.count, sa_run.octets(sa_run.count), own)
                self._transmitter.note_sequence(sa_run.entry)
        else:
            count, now = self._counters.count_sealed, time.time()
            for sa_run in sa_runs:
                entry = sa_run.entry
                count(entry.slot, sa_run.count, sa_run.octets(sa_run.count), entry.sa.sequence, now)

    # Packets one by one

    def send(self, device: Device, packets: Sequence[Buffer]) -> None:
        """Send a batch that was read from a device."""
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

    def _send(self, entry: OutboundEntry, packets: Sequence[Buffer], tos: int) -> None:
        try:
            rows = entry.sa.seal_batch(packets)
        finally:
            self._transmitter.note_sequence(entry)
        if len(rows) < len(packets):
            self._counters.drop(Drop.EXHAUSTED, len(packets) - len(rows), entry.slot)
        self._transmitter.send_packets(entry, rows, [len(packet) for packet in packets], tos)

    def release_waiting(self, device_id: int | None) -> None:
        """A device has one more active SA: send what waited for it."""
        device = None if device_id is None else self.devices.get(device_id)
        if device is not None and device.waiting:
            for (entry, tos), batch in self._acquire.release(device).items():
                self._send(entry, batch, tos)


def _read_or_broken(read: Callable[[], T]) -> T:
    """What a device gives. Raises BrokenDevice."""
    try:
        return read()
    except OSError as error:
        raise BrokenDevice(error.strerror or str(error)) from error


def _path_runs(paths: Sequence[OuterPath]) -> Iterator[tuple[OuterPath, int, int]]:
    """The ways that packets take, given for each: which ones, from where to where."""
    path, begin = paths[0], 0
    if paths.count(path) == len(paths):  # as a rule one object
        yield path, 0, len(paths)
        return
    for index, other in enumerate(paths):
        if not other.shares_send_with(path):
            yield path, begin, index
            path, begin = other, index
    yield path, begin, len(paths)
