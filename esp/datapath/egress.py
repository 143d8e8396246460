"""Egress: from TUN devices, through SAs, to sockets (RFC 4303 3.3, RFC 4301 5.1, RFC 3948 2).

1. Read. One turn takes up to 64 packets from one device: GSO frames, of which one read gives up to 64 KiB of
   one flow, and lone packets, each into a row of the TUN batch (`esp.datapath.tun_batch`).
2. Look up the SA (`esp.datapath.sa_database`, RFC 4301 5.1). A packet without an SA goes to the acquire queue
   (`esp.datapath.acquire`); in a standing queue CoDel marks or drops packets (`esp.datapath.codel`).
3. Lay out. Frames are cut into rows (`esp.datapath.gso_batch`); lone packets stay where they were read, with
   room for ESP in front and behind (`esp.datapath.lone_packets`). Uniform packets in rows are a batch, in
   runs of one SA each.
4. Seal (`esp.datapath.transmit`). ESP headers, sequence numbers, IVs and AEAD for all rows of a batch at once
   (`esp.sa.batch`); packets that are not uniform one by one (`esp.sa.outbound`).
5. Transmit. ESP packets to one peer leave in one UDP_SEGMENT send, or in one sendmmsg.
6. Count. Packets and octets are counted; control is told when an SA's sequence numbers run low.

A packet that comes alone after a pause passes all stages in one closure (`esp.datapath.flow_cache`).
"""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from functools import partial
from typing import TypeVar

from esp.datapath.acquire import AcquireQueue
from esp.datapath.context import Context
from esp.datapath.device_io import FrameDevice, GsoFrame
from esp.datapath.devices import BrokenDevice, Device
from esp.datapath.gso_batch import GsoBatch
from esp.datapath.limits import TURN_PACKETS
from esp.datapath.lone_packets import LonePackets
from esp.datapath.transmit import Transmitter
from esp.datapath.tun_batch import MAX_ROW_PACKET, TunBatch
from esp.net.transport import Transport
from esp.packet import ecn
from esp.packet.drop_reasons import Drop
from esp.packet.headers import IPV4_HEADER, IPV4_NO_OPTIONS, Buffer, ip_length, tos_of

T = TypeVar("T")

# Of the turn's packets a frame uses two, and one more for every four of its own.
_FRAME_COST, _PACKETS_A_COST = 2, 4
TURN_SECONDS = 0.001  # seconds after which the worker serves other devices and sockets


class Egress:
    """Seals and sends the packets that one worker reads from its devices."""

    def __init__(self, context: Context) -> None:
        self._database, self._counters, self._devices = context.database, context.counters, context.devices
        self._transmitter = Transmitter(context)
        self._tun_batch = TunBatch()
        self._gso_batch = GsoBatch()
        self._lone: list[int] = []  # lengths of the lone packets that wait in the first rows of `_tun_batch`
        self._acquire = AcquireQueue(context)
        self._lone_packets = LonePackets(context, self._transmitter, self._acquire, self._tun_batch)

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
        read, send_single = self._reader(frames), self._lone_packets.send_single
        packet, flows = self._tun_batch.first_packet, self._database.flow_cache.egress(device.device_id)

        def read_single() -> int:
            try:
                found = read()
            except OSError as error:
                raise BrokenDevice(error.strerror or str(error)) from error
            if found is None:
                device.codel.note_empty()
                return 1
            if not isinstance(found, int):
                return self._read_frames(device, frames, (), found)
            usual = (
                found > IPV4_HEADER and packet[0] == IPV4_NO_OPTIONS and packet[2] << 8 | packet[3] == found
            )
            fast_path = flows.get(bytes(packet[12:20])) if usual else None
            if fast_path(found, packet[1]) if fast_path is not None else send_single(device, found):
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
        budget, until = TURN_PACKETS, now + TURN_SECONDS
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
                    frame, empty = self._read_rows(frames, budget, rows)
                    lengths, more = rows, not empty
        finally:
            self._flush_turn(device)
        if not more:
            device.codel.note_empty()
        return 0 if count else lone or 1  # an empty read counts as one lone packet

    def _reader(self, frames: FrameDevice) -> Callable[[], int | GsoFrame | None]:
        """The function that reads one packet, or a frame, into the first row."""
        return frames.reader(self._tun_batch.read_buffers(frames.headroom)[1][0])

    def _read_rows(self, frames: FrameDevice, most: int, lengths: list[int]) -> tuple[GsoFrame | None, bool]:
        """Read up to `most` packets into the rows behind the waiting ones; a frame, or a packet longer than
        its row, ends the read. Returns as `FrameDevice.read_rows` does."""
        rows, read_buffers = self._tun_batch.read_buffers(frames.headroom)
        first = len(self._lone)
        return _read_or_broken(
            lambda: frames.read_rows(rows[first:], read_buffers[first : first + most], lengths)
        )

    # 2. and 3. Look up the SA and lay out

    def _queue_lone(self, device: Device, lengths: Sequence[int]) -> None:
        """Queue lone packets ahead of this turn's frames unless that would reorder a flow. So
        acknowledgements do not split what is sealed together. The packets stand in the rows behind those that
        already wait."""
        gso_batch, tun_batch, first = self._gso_batch, self._tun_batch, len(self._lone)
        ahead = not gso_batch.runs or all(
            length >= IPV4_HEADER and gso_batch.may_overtake(tun_batch.packet(row, length))
            for row, length in enumerate(lengths, first)
        )
        if ahead and lengths[-1] <= MAX_ROW_PACKET:  # a longer one reaches into the row that is read next
            self._lone += lengths
        else:
            self._flush_turn(device)
            self._lone_packets.send(device, lengths, first)

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
        tos, first = tos_of(packet), 0
        if device.codel.should_signal(now):
            if tos & ecn.ECN_MASK in ecn.ECT:
                frame.mark_ce()
                tos |= ecn.CE  # RFC 6040 4.1
            else:
                self._counters.drop(Drop.CONGESTION, 1, entry.slot)
                first = 1
        if entry.sa.copied:
            self._flush_turn(device)
            for each in frame.packets()[first:]:
                self._transmitter.seal_copy(entry, each, tos)
            return
        while first < frame.count:
            if not gso_batch.fits(entry, tos, frame, first):
                if gso_batch.runs:
                    self._flush_turn(device)
                gso_batch.begin(entry, tos, frame)
            first += gso_batch.add(entry, frame, first)

    def _flush_turn(self, device: Device) -> None:
        """Send the waiting lone packets, then the GSO batch."""
        lengths, self._lone = self._lone, []
        try:
            if lengths:
                self._lone_packets.send(device, lengths, 0)
        finally:
            batch = self._gso_batch.take()  # whatever is raised below, nothing is sealed twice
            if batch is not None:
                self._transmitter.send_batch(batch)
            self._transmitter.flush()

    # Whole packets: devices without offloads, packets that waited for an SA

    def send(self, device: Device, packets: Sequence[Buffer]) -> None:
        """Send whole packets, as a device without offloads gives them."""
        try:
            for packet in packets:
                length = ip_length(packet)
                if length is None:
                    self._counters.drop(Drop.MALFORMED)
                    continue
                entry = self._database.outbound(device.device_id, packet)
                if entry is None:
                    self._acquire.enqueue(device, packet)
                else:
                    self._transmitter.seal_copy(entry, packet[:length], tos_of(packet))
        finally:
            self._transmitter.flush()

    def release_waiting(self, device_id: int | None) -> None:
        """A device has one more active SA: send the packets that waited for one."""
        device = None if device_id is None else self._devices.get(device_id)
        if device is not None and device.waiting:
            for entry, packet in self._acquire.release(device):
                self._transmitter.seal_copy(entry, packet, tos_of(packet))
            self._transmitter.flush()


def _read_or_broken(read: Callable[[], T]) -> T:
    """The result of a device's read. Raises BrokenDevice."""
    try:
        return read()
    except OSError as error:
        raise BrokenDevice(error.strerror or str(error)) from error
