"""The way out: from devices, through SAs, to sockets (RFC 4303 3.3, RFC 3948 2, RFC 4301 5.1).

Frames that a device with offloads hands over become trains (`esp.joint`). Lone packets are sealed where they
were read, those alike all at once; what goes the same way leaves in one system call.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from functools import partial
from typing import TypeVar

from esp import ecn, medley
from esp.bursts import LONGEST_ROW, Burst, Run
from esp.counters import CounterBlock, Drop
from esp.database import Outbound, OuterPath, SaDatabase
from esp.departure import Departure
from esp.devices import BrokenDevice, Device
from esp.joint import Joint, Part
from esp.lanes import LIMIT, OutLane
from esp.messages import Message
from esp.packet import IPV4_HEADER, USUAL_IPV4, Buffer, address_key, ip_length, tos_of
from esp.trains import FrameDevice, Segments
from esp.transport import Train, Transport, reason_of
from esp.trap import Trap

T = TypeVar("T")

BATCH = 64  # packets of one turn
_FRAME, _OF_FRAME = 2, 4  # a frame counts for two packets, and so many of its own for one
_FEWEST = 6  # lone packets alike that are worth numpy
_TURN = 0.001  # seconds after which others get their turn


@dataclass(slots=True, eq=False)
class _Run:
    """Packets sealed one by one, under whatever SAs, that go the same way."""

    path: OuterPath | None = None
    tos: int = 0
    rows: list[memoryview] = field(default_factory=list)
    entries: list[Outbound] = field(default_factory=list)
    lengths: list[int] = field(default_factory=list)  # of the inner packets


class Outward:
    """Seals and sends what the devices of one worker hand over.

    `post` sends a message to control; it returns False if the message was lost.
    """

    def __init__(self, database: SaDatabase, counters: CounterBlock, post: Callable[[Message], bool]) -> None:
        self.devices: dict[int, Device] = {}
        self.rests: list[Callable[[], object]] = []  # what is left to do for packets that are on their way
        self._database = database
        self._counters = counters
        self._departure = Departure(counters, post)
        self._burst = Burst()
        self._joint = Joint()
        self._run = _Run()
        self._early: list[int] = []  # lengths of packets in the first rows of `_burst`: before the frames
        self._trap = Trap(database, counters, post)

    def set_transports(self, transports: Sequence[Transport]) -> None:
        """Send through these from now on."""
        self._departure.set_transports(transports)
        self._database.set_own((each.local_address, each.local_port) for each in transports)

    def read_device(self, device: Device) -> int:
        """Take one batch from a device and send it; how many packets came one by one, 0 if there were frames
        too. Raises BrokenDevice."""
        if device.frames is not None:
            return self._read_frames(device, device.frames)
        packets = _broken_if_not(lambda: device.io.read_batch(BATCH))
        self.send(device, packets)
        return len(packets) or 1

    # Frames and lone packets of a device with offloads

    def taker(self, device: Device) -> Callable[[], int]:
        """`read_device` where one packet is expected, which shall not wait until it is known that there are
        no more. What need not be done before the next one is left to `rests`."""
        frames = device.frames
        if frames is None:
            return partial(self.read_device, device)
        read = self._reader(frames)
        packet, lanes = self._burst.first, self._database.lanes.outward(device.device_id)

        def take() -> int:
            try:
                found = read()
            except OSError as error:
                raise BrokenDevice(error.strerror or str(error)) from error
            if not isinstance(found, int):
                return 1 if found is None else self._read_frames(device, frames, (), found)
            usual = found > IPV4_HEADER and packet[0] == USUAL_IPV4 and packet[2] << 8 | packet[3] == found
            lane = lanes.get(bytes(packet[12:20])) if usual else None
            if lane(found, packet[1]) if lane is not None else self._send_straight(device, found):
                return 1  # whether there is more, the poll will tell
            return self._read_frames(device, frames, (found,))

        return take

    def _read_frames(
        self,
        device: Device,
        frames: FrameDevice,
        lengths: Sequence[int] = (),
        frame: Segments | None = None,
    ) -> int:
        """`lengths` and `frame`: what was read already."""
        now = time.monotonic()
        left, until = BATCH, now + _TURN
        lone = count = 0
        more = True
        read: Callable[[], int | Segments | None] | None = None
        try:
            while True:
                if lengths:
                    self._take_lone(device, lengths)
                    lone += len(lengths)
                    left -= len(lengths)
                if frame is not None:
                    self._take_frame(device, frame, now)
                    count += 1
                    left -= _FRAME + frame.count // _OF_FRAME
                now = time.monotonic()
                if not more or left <= 0 or now >= until:
                    break
                if frame is not None and not self._early:  # behind a frame there is another one, as a rule
                    read = read or self._reader(frames)
                    found = _broken_if_not(read)
                    frame = None if isinstance(found, int) else found
                    lengths = (found,) if isinstance(found, int) else ()
                    more = found is not None
                else:
                    rows: list[int] = []
                    frame = self._read_rows(frames, left, rows)
                    more = frame is not None or len(rows) >= left
                    lengths = rows
        finally:
            self._send_turn(device)
        if not more:
            device.standing.is_empty()
        return 0 if count else lone or 1  # nothing is no frame

    def _read_rows(self, frames: FrameDevice, most: int, lengths: list[int]) -> Segments | None:
        """Read behind what waits."""
        rows, places = self._burst.places(frames.headroom)
        first = len(self._early)
        return _broken_if_not(lambda: frames.read_rows(rows[first:], places[first : first + most], lengths))

    def _reader(self, frames: FrameDevice) -> Callable[[], int | Segments | None]:
        """What reads into the first row."""
        return frames.reader(self._burst.places(frames.headroom)[1][0])

    def _take_lone(self, device: Device, lengths: Sequence[int]) -> None:
        """Packets in the rows behind those that wait: they wait too, to leave before the frames at the end of
        the turn, unless they belong behind one of these. So acknowledgements don't cut what is sealed
        together."""
        joint, burst, first = self._joint, self._burst, len(self._early)
        may_pass = not joint.parts or all(
            length >= IPV4_HEADER and joint.may_pass(burst.packet(row, length))
            for row, length in enumerate(lengths, first)
        )
        if may_pass and lengths[-1] <= LONGEST_ROW:  # else what is read next would stand in it
            self._early += lengths
        else:
            self._send_turn(device)
            self._send_lone(device, lengths, first)

    def _send_turn(self, device: Device) -> None:
        """Send lone packets that wait, and seal and send the frames that were laid out."""
        if self._early:
            early, self._early = self._early, []
            try:
                self._send_lone(device, early, 0)
            finally:
                self._send_joint()
        else:
            self._send_joint()

    def _send_straight(self, device: Device, length: int) -> bool:
        """Send the packet in the first row by its lane if it has one. False: nothing has been done."""
        packet = self._burst.first[:length]
        if ip_length(packet) != length:
            return False
        lanes, key = self._database.lanes.outward(device.device_id), address_key(packet)
        lane = lanes.get(key) or self._lane(device, packet)
        if lane is None:
            return False
        if len(lanes) >= LIMIT:
            lanes.clear()
        lanes[key] = lane
        return lane(length, tos_of(packet))

    def _lane(self, device: Device, packet: Buffer) -> OutLane | None:
        """The lane of packets with these addresses in the first row, if no more than that has to be known."""
        if self._database.own.may_have_sent(address_key(packet)):
            return None
        entry = self._database.outbound(device.device_id, packet)
        transport = None if entry is None else self._departure.transport(entry.path)
        if entry is None or transport is None or not self._database.by_addresses(device.device_id):
            return None
        sa, seal, arena, begin = entry.sa, entry.sa.seal_in_place, self._burst.arena, self._burst.begin
        source, remote, plain = entry.path.local_address, entry.path.remote, not transport.anywhere
        sendto, send = transport.sock.sendto, transport.send
        rests, count = self.rests, self._count_straight

        def lane(length: int, tos: int) -> bool:
            sealed = None if sa.tfc else seal(arena, begin, length)
            if sealed is None:
                return False
            failure = None
            if plain and not tos:
                try:
                    sendto(sealed, remote)
                except OSError as error:
                    failure = reason_of(error.errno)
            else:
                failure = send([sealed], source, remote, tos).get(0)
            rests.append(partial(count, entry, length, failure))
            return True

        return lane

    def _count_straight(self, entry: Outbound, octets: int, failure: Drop | None) -> None:
        """What is left to do for a packet that has been sent, or not. Others may have been sent since."""
        sequence = entry.sa.sequence
        if failure is None:
            self._counters.count_sealed(entry.slot, 1, octets, sequence, time.time())
        else:
            self._counters.drop(failure, 1, entry.slot)
        if failure is not None or sequence >= entry.sa.watch_from:
            self._departure.watch_sequence(entry)

    def _send_lone(self, device: Device, lengths: Sequence[int], begin: int) -> None:
        """Send the packets that stand in the rows from `begin` on."""
        if begin == 0 and len(lengths) == 1 and self._send_straight(device, lengths[0]):
            return
        alike = len(lengths) >= _FEWEST and self._database.by_addresses(device.device_id)
        try:
            runs = self._burst.runs(begin, lengths, _FEWEST) if alike else (Run(begin, len(lengths)),)
            for run in runs:
                first, count, keys = run
                send = self._send_medley if keys else self._send_rows
                if not (alike and count >= _FEWEST and send(device, run, lengths[first - begin])):
                    for row in range(first, first + count):
                        self._take(device, row, lengths[row - begin])
        finally:
            self._flush()

    def _send_rows(self, device: Device, run: Run, length: int) -> bool:
        """Send packets that are alike, a row each; False if they have to be looked at one by one."""
        first, count, _ = run
        packet = self._burst.packet(first, length)
        real = ip_length(packet)
        entry = self._database.outbound(device.device_id, packet) if real is not None else None
        if real is None or entry is None or entry.sa.tfc:
            return False
        if self._database.own.may_have_sent(address_key(packet)):
            return False
        self._flush()
        sa, tos, size = entry.sa, tos_of(packet), entry.sa.size_of(real)
        layout = self._burst.layout(first, size, sa.start, sa.suite.icv_length)
        try:
            sealed = sa.seal_run(self._burst.trains, layout, count, real)
        finally:
            self._departure.watch_sequence(entry)
        if sealed < count:
            self._counters.drop(Drop.EXHAUSTED, count - sealed, entry.slot)
        if sealed:
            self._departure.send_train(entry, Train(layout.rows[:sealed], size, sealed), tos, sealed * real)
        return True

    def _send_medley(self, device: Device, run: Run, length: int) -> bool:
        """The same for packets of different addresses: each under its SA, all sealed at once."""
        burst, (first, count, keys) = self._burst, run
        packet = burst.packet(first, length)
        real = ip_length(packet)
        seats = self._database.seats(
            device.device_id, keys, lambda index: burst.packet(first + index, length)
        )
        if real is None or seats is None:
            return False
        self._flush()
        size = medley.size_of(real)
        train = burst.layout(first, size, medley.START, medley.ICV)
        try:
            numbers = medley.seal(burst.trains, train, seats, real)
        except BaseException:
            for entry in seats.entries:
                self._departure.watch_sequence(entry)
            raise
        if numbers is None:
            return False
        failures: dict[int, Drop] = {}
        for path, begin, end in _ways(seats.paths):
            part = Train(train.rows[begin:end], size, end - begin)
            for index, reason in self._departure.send_alike(path, part, tos_of(packet)).items():
                failures[begin + index] = reason
        if failures:
            self._departure.count_each(seats.entries, [real] * count, failures)
        else:
            self._counters.count_each_out(seats.slots, real, numbers, time.time())
        return True

    def _take(self, device: Device, row: int, length: int) -> None:
        """Seal one packet, to be sent with the next ones that go the same way."""
        run, packet = self._run, self._burst.packet(row, length)
        usual = length > IPV4_HEADER and packet[0] == USUAL_IPV4 and packet[2] << 8 | packet[3] == length
        real = length if usual else ip_length(packet)
        if real is None:
            self._counters.drop(Drop.MALFORMED)
            return
        entry = self._database.outbound(device.device_id, packet)
        if entry is None:
            self._flush()
            self._trap.catch(device, packet[:real])
            return
        path, tos = entry.path, packet[1] if usual else tos_of(packet)
        if entry.sa.tfc:
            self._flush()
            self._send(entry, [packet[:real]], tos)
            return
        if run.path is not path or run.tos != tos:
            if run.path is None or run.tos != tos or not run.path.goes_with(path):
                self._flush()
            run.path, run.tos = path, tos
        sealed = entry.sa.seal_in_place(self._burst.arena, self._burst.start(row), real)
        if sealed is None:
            self._counters.drop(Drop.EXHAUSTED, 1, entry.slot)
            self._departure.watch_sequence(entry)
        else:
            run.rows.append(sealed)
            run.entries.append(entry)
            run.lengths.append(real)

    def _flush(self) -> None:
        """Send what was sealed one by one and waits to be sent together."""
        run = self._run
        path, rows, entries, lengths = run.path, run.rows, run.entries, run.lengths
        if path is None:
            return
        run.path, run.rows, run.entries, run.lengths = None, [], [], []
        if rows:
            self._departure.count_each(entries, lengths, self._departure.send_way(path, rows, run.tos))

    def _take_frame(self, device: Device, segments: Segments, now: float) -> None:
        """Lay out a frame, to be sealed and sent with the next ones that go the same way. `now`: monotonic
        seconds."""
        joint, packet = self._joint, segments.packet
        entry = self._database.outbound(device.device_id, packet)
        if entry is None:
            self._send_turn(device)
            for each in segments.packets():
                self._trap.catch(device, memoryview(each))
            return
        tos = tos_of(packet)
        if entry.sa.tfc:
            self._send_turn(device)
            self._send(entry, segments.packets(), tos)
            return
        first = 0
        if device.standing.tell(now):
            if tos & ecn.MARK in ecn.CAPABLE:
                segments.mark()
                tos |= ecn.CE  # RFC 6040 4.1
            else:
                self._counters.drop(Drop.CONGESTION, 1, entry.slot)
                first = 1
        while first < segments.count:
            if not joint.takes(entry, segments, first):
                if joint.parts:
                    self._send_turn(device)
                joint.begin(entry, segments)
            first += joint.add(entry, tos, segments, first)

    def _send_joint(self) -> None:
        """Seal and send the frames that were laid out."""
        joint = self._joint
        parts = joint.take()  # whatever happens now, this is not done again
        if len(parts) > 1 and self._seal_together(parts):
            for way in joint.ways(parts):
                self._send_parts(way)
        else:
            for part in parts:
                self._send_part(part)

    def _seal_together(self, parts: list[Part]) -> bool:
        """False, and nothing has been done, if the numbers of one SA are near their end."""
        try:
            return self._joint.seal_parts(parts)
        except BaseException:
            for part in parts:
                self._departure.watch_sequence(part.entry)
            raise

    def _send_part(self, part: Part) -> None:
        """Seal and send what is under one SA."""
        joint, entry, count = self._joint, part.entry, part.count
        try:
            sealed = joint.seal_part(part)
        finally:
            self._departure.watch_sequence(entry)
        if sealed < count:
            self._counters.drop(Drop.EXHAUSTED, count - sealed, entry.slot)
        if sealed:
            last = part.last if sealed == count else joint.train.stride
            train = joint.sealed(part.first, sealed, last)
            self._departure.send_train(entry, train, part.tos, part.octets(sealed))

    def _send_parts(self, parts: Sequence[Part]) -> None:
        """Send sealed packets of several SAs that go the same way."""
        begin, end = parts[0].first, parts[-1].first + parts[-1].count
        train = self._joint.sealed(begin, end - begin, parts[-1].last)
        failures = self._departure.send_alike(parts[0].entry.path, train, parts[0].tos)
        if failures:
            for part in parts:
                rows = range(part.first - begin, part.first - begin + part.count)
                own = {row: failures[row] for row in rows if row in failures}
                self._departure.count_train(part.entry, part.count, part.octets(part.count), own)
                self._departure.watch_sequence(part.entry)
        else:
            count, now = self._counters.count_sealed, time.time()
            for part in parts:
                entry = part.entry
                count(entry.slot, part.count, part.octets(part.count), entry.sa.sequence, now)

    # Packets one by one

    def send(self, device: Device, packets: Sequence[Buffer]) -> None:
        """Send a batch that was read from a device."""
        by_sa: dict[tuple[Outbound, int], list[Buffer]] = {}
        find = self._database.outbound
        for packet in packets:
            length = ip_length(packet)
            if length is None:
                self._counters.drop(Drop.MALFORMED)
                continue
            entry = find(device.device_id, packet)
            if entry is None:
                self._trap.catch(device, packet)
            else:
                by_sa.setdefault((entry, tos_of(packet)), []).append(packet[:length])
        for (entry, tos), batch in by_sa.items():
            self._send(entry, batch, tos)

    def _send(self, entry: Outbound, packets: Sequence[Buffer], tos: int) -> None:
        try:
            rows = entry.sa.seal_batch(packets)
        finally:
            self._departure.watch_sequence(entry)
        if len(rows) < len(packets):
            self._counters.drop(Drop.EXHAUSTED, len(packets) - len(rows), entry.slot)
        self._departure.send_sealed(entry, rows, [len(packet) for packet in packets], tos)

    def release_waiting(self, device_id: int | None) -> None:
        """A device has one more active SA: send what waited for it."""
        device = None if device_id is None else self.devices.get(device_id)
        if device is not None and device.waiting:
            for (entry, tos), batch in self._trap.release(device).items():
                self._send(entry, batch, tos)


def _broken_if_not(read: Callable[[], T]) -> T:
    """What a device gives. Raises BrokenDevice."""
    try:
        return read()
    except OSError as error:
        raise BrokenDevice(error.strerror or str(error)) from error


def _ways(paths: Sequence[OuterPath]) -> Iterator[tuple[OuterPath, int, int]]:
    """The ways that packets take, given for each: which ones, from where to where."""
    path, begin = paths[0], 0
    if paths.count(path) == len(paths):  # as a rule one object
        yield path, 0, len(paths)
        return
    for index, other in enumerate(paths):
        if not other.goes_with(path):
            yield path, begin, index
            path, begin = other, index
    yield path, begin, len(paths)
