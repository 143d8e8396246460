"""The way in: from sockets, through SAs, to devices (RFC 4303 3.4, RFC 3948 2, RFC 4301 5.2).

Every packet that goes no further is counted under its reason (`esp.counters.Drop`); nothing here logs or
raises for a bad packet. What the kernel hands over together is opened together and written together.
"""

from __future__ import annotations

import contextlib
import time
from collections.abc import Callable, Sequence
from functools import partial
from ipaddress import ip_address
from itertools import groupby

from esp import cmsg, ecn, medley
from esp.counters import CounterBlock, Drop
from esp.database import Inbound, SaDatabase
from esp.devices import Device
from esp.gathered import ROOM, SHORTEST, Gathered
from esp.inbound import Opened, OpenedRows
from esp.lanes import LIMIT, InLane
from esp.messages import ForwardEsp, Message, NotPermitted, PeerMoved, SocketKind
from esp.outward import BATCH
from esp.places import Place, RawRows
from esp.strays import MARKER, Strays
from esp.trains import BE32, MOST_ROWS, Octets, Train, Trains, alike
from esp.transport import Received, SocketAddress, Transport

_KEEPALIVE = b"\xff"
_FEWEST, _FEWEST_SMALL = 5, 10  # packets that are worth opening together
_SMALL = 160  # octets of an ESP packet with hardly more than headers inside: little to gain by merging
_TRAIN = 8  # packets that a train counts for in a batch, whatever its length

_TOO_SHORT = -1
_IKE = 0  # as an SPI


class Inward:
    """Opens what the sockets of one worker receive and writes what is inside to `devices`.

    `catch_up` obeys what control has said meanwhile: it is called before an SPI is taken for unknown, because
    the peer may be faster than the message that installs it. `release` is told of a device that has one more
    active outbound SA.
    """

    def __init__(
        self,
        database: SaDatabase,
        counters: CounterBlock,
        devices: dict[int, Device],
        steering: tuple[int, int],
        post: Callable[[Message], bool],
        catch_up: Callable[[], None],
        release: Callable[[int | None], None],
        rests: list[Callable[[], object]],
    ) -> None:
        """`steering`: the worker's slot, of how many. `rests`: takes what can wait (`Outward.rests`)."""
        self._database = database
        self._counters = counters
        self._devices = devices
        self._slot, self._workers = steering
        self._post = post
        self._catch_up = catch_up
        self._release = release
        self._rests = rests
        self.unfinished = False  # the last trains read were not all that their sender has sealed together
        self.authentic = 0  # batches, with lone packets for one each, that had an authentic packet
        self._trains = Trains(ROOM)
        self._raw: RawRows | None = None
        self._strays = Strays(counters, post)

    def read_transport(self, transport: Transport) -> int:
        """Take one batch from a socket and write what is inside to the devices; how many packets came one by
        one, 0 if there were trains too."""
        self.unfinished = False
        udp = transport.kind is SocketKind.UDP
        lone = self._read_udp(transport) if udp else self._read_raw(transport) or 1
        self._count_lost(transport)
        return lone

    def taker(self, transport: Transport) -> Callable[[], int]:
        """`read_transport` where one packet is expected, which shall not wait until it is known that there
        are no more. What need not be done before the next one is left to `rests`."""
        if transport.kind is not SocketKind.UDP:
            return partial(self.read_transport, transport)
        arena, lanes = self._trains.arena, self._database.lanes.inward
        recvmsg_into, buffers = transport.sock.recvmsg_into, [arena]

        def take() -> int:
            try:
                length, ancillary, _, source = recvmsg_into(buffers, cmsg.SPACE)
            except OSError:  # nothing, or an ICMP error
                return self.read_transport(transport)
            if length >= SHORTEST and ancillary == transport.plain:
                lane = lanes.get(int.from_bytes(arena[:MARKER], "big"))
                if lane is not None:
                    lane(arena[:length], source, transport)
                    return 1  # whether there is more, the poll will tell
            return self._read_on(transport, transport.understand(length, ancillary, source))

        return take

    def _read_on(self, transport: Transport, first: Received) -> int:
        """Behind what was read already where one packet was expected."""
        if first.length <= first.segment and self._open_straight(
            transport, self._trains.arena[: first.length], first.source, first.tos
        ):
            return 1
        lone = self._read_udp(transport, first)
        self._count_lost(transport)
        return lone

    def _count_lost(self, transport: Transport) -> None:
        if lost := transport.lost(time.monotonic()):
            self._counters.drop(Drop.SOCKET_QUEUE, lost)

    def _read_udp(self, transport: Transport, first: Received | None = None) -> int:
        """`first`: what was read already."""
        arena, run = self._trains.arena, Gathered()
        count = trains = 0
        left = BATCH
        self.unfinished = False
        while left > 0 or (trains and run.is_unfinished()):  # frames are cut where a read ends
            over, end = left <= 0, run.end
            received = first or transport.receive(arena[end:])
            first = None
            if received is None:
                self.unfinished = trains > 0 and run.is_unfinished()
                break
            if received.length <= received.segment:
                count += 1
            else:
                trains += 1
            left = BATCH - count - _TRAIN * trains
            if not run.takes(received):
                # A train's short last packet is read as a whole row, and what is behind it is overwritten.
                kept = bytes(arena[end : end + received.length]) if end else b""
                self._receive_run(transport, run)
                if end:
                    arena[: received.length] = kept
                run = Gathered(received)
                if over:  # the batch is full, and this was not the rest
                    break
            if run.is_full():
                break
        self._receive_run(transport, run)
        return 0 if trains else count or 1  # nothing, after an ICMP error, is no train

    def _open_straight(self, transport: Transport, row: memoryview, source: SocketAddress, tos: int) -> bool:
        """Open one datagram by its lane if it has one. False: nothing has been done."""
        if len(row) < SHORTEST or tos & ecn.MARK in ecn.CHANGING:
            return False
        lanes, spi = self._database.lanes.inward, int.from_bytes(row[:MARKER], "big")
        lane = lanes.get(spi) or self._lane(spi)
        if lane is None:
            return False
        if len(lanes) >= LIMIT:
            lanes.clear()
        lanes[spi] = lane
        lane(row, source, transport)
        return True

    def _lane(self, spi: int) -> InLane | None:
        """The lane of packets under an SPI of ours whose marks change nothing."""
        entry = self._database.inbound(spi)
        frames = None if entry is None else self._devices[entry.device_id].frames
        if entry is None or frames is None:
            return None
        open_lone, headroom, write = entry.sa.open_lone, frames.headroom, frames.write_packet
        standby, rests, count = self._database.standby, self._rests, self._count_straight

        def lane(row: memoryview, source: SocketAddress, transport: Transport) -> None:
            opened = open_lone(row, headroom)
            if isinstance(opened, Opened):
                self._finish(entry, opened, source, ecn.NOT_ECT)
                return
            try:
                written = write(opened)
            except OSError:
                written = False
            if standby:  # before there is an answer
                self._release(self._database.activate(entry.child_id))
            rests.append(partial(count, transport, entry, len(opened) - headroom, written, source))
            self.authentic += 1

        return lane

    def _count_straight(
        self, transport: Transport, entry: Inbound, octets: int, written: bool, source: SocketAddress
    ) -> None:
        """What is left to do for a packet that has been written, or not."""
        self._counters.count_in(entry.slot, 1, octets, time.time())
        if not written:
            self._counters.drop(Drop.DEVICE, 1, entry.slot)
        if source != entry.path.remote:
            self._watch_source(entry, source)
        self._count_lost(transport)

    def _receive_run(self, transport: Transport, run: Gathered) -> None:
        received, stride, count = run.received, run.stride, run.count
        if received is None:
            return
        if count > 1:
            place = Place(self._trains, 0, 0, stride, count, run.end - (count - 1) * stride, stride)
            self._receive_train(transport, received, place)
        else:
            self._receive(transport, received, [self._trains.arena[: run.end]])

    def _read_raw(self, transport: Transport) -> int:
        """Packets of protocol 50, each read into a row: those alike follow each other as a train."""
        if self._raw is None:
            self._raw = RawRows()
        count = 0
        for received, place in self._raw.read(transport, BATCH):
            count += place.count
            if place.count > 1:
                self._receive_train(transport, received, place)
            else:
                self._receive(transport, received, place.rows())
        return count

    def _receive_train(self, transport: Transport, received: Received, place: Place) -> None:
        """Datagrams of one size from one source: all at once if they are under one of our SPIs."""
        fewest = _FEWEST if place.stride > _SMALL else _FEWEST_SMALL
        if fewest <= place.count <= MOST_ROWS and min(place.stride, place.last) >= SHORTEST:
            spis = place.column(0, MARKER)
            if alike(spis):
                entry = self._database.inbound(int.from_bytes(spis[0].tobytes(), "big"))
                if entry is not None and self._open_train(transport, received, entry, place):
                    return
            elif done := self._open_medley(transport, received, place, spis):
                if done == place.count:
                    return
                place = place.behind(done)
        for _, run in groupby(place.rows(), _spi):
            self._receive(transport, received, list(run))

    def _open_train(self, transport: Transport, received: Received, entry: Inbound, place: Place) -> bool:
        suite = entry.sa.suite
        headroom = self._headroom(entry)
        if place.stride < suite.overhead or headroom > entry.sa.start:
            return False
        train = place.trains.layout(place.stride, entry.sa.start, suite.icv_length, place.offset)
        if train.capacity < place.first + place.count:
            return False
        train = train.behind(place.first)
        opened = entry.sa.open_train(place.trains, train, place.count, place.last, headroom)
        if opened is None:
            return False
        self._finish(
            entry, opened, received.source if transport.kind is SocketKind.UDP else None, received.tos
        )
        return True

    def _open_medley(self, transport: Transport, received: Received, place: Place, spis: Octets) -> int:
        """Open datagrams under whatever SPIs all at once, but for a shorter last one; how many, or 0: nothing
        has been done because something about one of them is unusual."""
        count = place.count - (place.last < place.stride)
        entries = self._database.inbound_each(spis[:count].view(BE32)[:, 0].tolist())
        remote = received.source[:2] if transport.kind is SocketKind.UDP else None
        if entries is None or place.stride < medley.SHORTEST or received.tos & ecn.MARK in ecn.CHANGING:
            return 0
        headroom = self._headroom(entries[0])
        devices = {entry.device_id for entry in entries}
        if not all(self._takes_rows(device_id, headroom) for device_id in devices):
            return 0
        train = place.trains.layout(place.stride, medley.START, medley.ICV, place.offset)
        if train.capacity < place.first + count or (remote is not None and not _all_from(entries, remote)):
            return 0
        train = train.behind(place.first)
        sas = [entry.sa for entry in entries]
        numbers = medley.can_open(sas, train)
        if numbers is None:
            return 0
        drops = medley.open_rows(place.trains, train, sas, numbers)
        size = None if drops else medley.inner_size(train, sas)
        if size is None:
            self._finish_each(entries, train, drops, headroom, received.tos)
        else:
            self._deliver_each(entries, train, size, headroom)
        return count

    def _takes_rows(self, device_id: int, headroom: int) -> bool:
        frames = self._devices[device_id].frames
        return frames is not None and frames.headroom == headroom <= medley.START

    def _finish_each(
        self, entries: Sequence[Inbound], train: Train, drops: dict[int, Drop], headroom: int, tos: int
    ) -> None:
        """Look at opened packets one by one; they come from where their SAs' peers are known to be."""
        for index, entry in enumerate(entries):
            opened = entry.sa.sort(train.rows[index], drops.get(index, train.texts[index]), headroom)
            self._finish(entry, opened, None, tos)

    def _deliver_each(self, entries: Sequence[Inbound], train: Train, size: int, headroom: int) -> None:
        """Write packets of one size that are permitted, each to the device of its SA."""
        begin, end = medley.START - headroom, medley.START + size
        lost = []
        for row, entry in zip(train.rows, entries, strict=False):
            frames = self._devices[entry.device_id].frames
            written = False
            with contextlib.suppress(OSError):
                written = frames is not None and frames.write_packet(row[begin:end])
            if not written:
                lost.append(entry.slot)
        self._counters.count_each_in([entry.slot for entry in entries], size, time.time())
        for slot in lost:
            self._counters.drop(Drop.DEVICE, 1, slot)
        self.authentic += len(entries)
        for device_id in self._database.activate_each(entries):
            self._release(device_id)

    def _receive(self, transport: Transport, received: Received, rows: list[memoryview]) -> None:
        """Datagrams from one source under one SPI."""
        udp = transport.kind is SocketKind.UDP
        if udp and len(rows) < _FEWEST_SMALL:
            straight, tos = self._open_straight, received.tos
            rows = [row for row in rows if not straight(transport, row, received.source, tos)]
            if not rows:
                return
        spi = _spi(rows[0])
        if spi == _TOO_SHORT:
            for row in rows:
                keepalive = udp and row == _KEEPALIVE
                self._counters.drop(Drop.KEEPALIVE if keepalive else Drop.MALFORMED)
        elif spi == _IKE and udp:
            self._strays.pass_on_ike(transport, received, rows)
        elif spi % self._workers != self._slot:
            self._strays.pass_on_esp(transport, received, rows)
        else:
            source = received.source if udp else None
            if self._open(spi, rows, source, received.tos):
                return
            self._catch_up()
            if not self._open(spi, rows, source, received.tos):
                self._strays.tell_unknown(transport, spi, received, len(rows))

    def _open(self, spi: int, rows: Sequence[memoryview], source: SocketAddress | None, tos: int) -> bool:
        """Open ESP packets and write them to their device; False if there is no such SA.

        `source`: the remote address and port if they came in UDP. The rows are overwritten.
        """
        entry = self._database.inbound(spi)
        if entry is None:
            return False
        self._finish(entry, entry.sa.open_batch(rows, self._headroom(entry)), source, tos)
        return True

    def _headroom(self, entry: Inbound) -> int:
        frames = self._devices[entry.device_id].frames
        return frames.headroom if frames is not None else 0

    def _finish(self, entry: Inbound, opened: Opened, source: SocketAddress | None, tos: int) -> None:
        if tos & ecn.MARK in ecn.CHANGING:
            _mark(opened, self._headroom(entry), tos & ecn.MARK)
        for reason, count in opened.drops.items():
            self._counters.drop(reason, count, entry.slot)
        if opened.refused and entry.refused.allow(time.monotonic()):
            self._post(NotPermitted(entry.child_id, opened.refused))
        if opened.rows is not None:
            self._deliver_rows(entry, opened.rows)
        elif opened.packets:
            self._deliver(entry, opened.packets)
        if opened.valid:
            self.authentic += 1
            self._release(self._database.activate(entry.child_id))
        if opened.newest and source is not None:
            self._watch_source(entry, source)

    def _deliver_rows(self, entry: Inbound, rows: OpenedRows) -> None:
        frames = self._devices[entry.device_id].frames
        count = len(rows.array)
        octets = (count - 1) * rows.size + rows.last
        self._counters.count_in(entry.slot, count, octets, time.time())
        written = 0
        with contextlib.suppress(OSError):
            written = frames.write_rows(rows.array, rows.size, rows.last) if frames is not None else 0
        if written < count:
            self._counters.drop(Drop.DEVICE, count - written, entry.slot)

    def _deliver(self, entry: Inbound, packets: list[memoryview]) -> None:
        device = self._devices[entry.device_id]
        octets = sum(map(len, packets)) - self._headroom(entry) * len(packets)
        self._counters.count_in(entry.slot, len(packets), octets, time.time())
        written = 0
        with contextlib.suppress(OSError):
            if device.frames is None:
                written = device.io.write_batch(packets)
            else:
                for packet in packets:
                    written += device.frames.write_packet(packet)
        if written < len(packets):
            self._counters.drop(Drop.DEVICE, len(packets) - written, entry.slot)

    def _watch_source(self, entry: Inbound, source: SocketAddress) -> None:
        path = entry.path
        if not path.encap or source[:2] == path.remote:
            return
        address = ip_address(source[0].partition("%")[0])
        if (address, source[1]) == (path.remote_address, path.remote_port):
            return
        if entry.moved.allow(time.monotonic()):
            self._post(PeerMoved(entry.child_id, address, source[1]))

    def receive_forwarded(self, message: ForwardEsp) -> None:
        """ESP that control passes on from another worker."""
        row = memoryview(bytearray(message.data))
        if len(row) < SHORTEST:
            self._counters.drop(Drop.MALFORMED)
            return
        source = (str(message.remote_address), message.remote_port) if message.encap else None
        # An SPI of yet another worker is unknown here: passing it on again could go in a circle.
        if not self._open(_spi(row), [row], source, 0):
            self._counters.drop(Drop.UNKNOWN_SPI)


def _mark(opened: Opened, headroom: int, outer: int) -> None:
    """Carry the outer header's congestion mark over to the inner ones."""
    if opened.rows is not None:
        packets = opened.rows.array[:, headroom:]
        change = ecn.change_of(memoryview(packets[0]), outer)
        if change is not None and (packets[:, 1] == packets[0, 1]).all():
            ecn.combine_rows(packets, change)
            return
        opened.separate()
    kept = [packet for packet in opened.packets if ecn.combine(packet[headroom:], outer)]
    if len(kept) < len(opened.packets):
        opened.drop(Drop.ECN, len(opened.packets) - len(kept))
    opened.packets = kept


def _all_from(entries: Sequence[Inbound], remote: tuple[str, int]) -> bool:
    """Whether this address and port is the remote end of all."""
    path = entries[0].path
    return path.remote == remote and all(
        entry.path is path or entry.path.remote == remote for entry in entries
    )


def _spi(row: memoryview) -> int:
    return int.from_bytes(row[:MARKER], "big") if len(row) >= SHORTEST else _TOO_SHORT
