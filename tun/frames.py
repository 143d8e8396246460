"""Reads and writes a TUN device with offloads (IFF_VNET_HDR): GSO frames in, merged frames out, single
packets without numpy."""

from __future__ import annotations

import errno
import os
from collections.abc import Callable, Sequence

import numpy as np

from tun.checksum import Rows, checksums, little_sums, partial_to_full
from tun.device import PACKET_REFUSED, PacketIo, TunError
from tun.gro import Coalescer
from tun.gso import FLAGS, IPV4_HEADER, IPV6_HEADER, LE16, TCP, UDP_CHECKSUM, GsoFrame
from tun.mss import FLAG_SYN, clamp, is_handshake
from tun.virtio import GSO_NONE, GSO_UDP_L4, HEADER, NEEDS_CSUM, PLAIN, SIZE, has_header

HEADROOM = SIZE
_USUAL_IPV4, _PROTOCOL = 0x45, 9  # version 4 and a header of 20 octets; where IPv4 has its protocol
_USUAL_FLAGS = SIZE + IPV4_HEADER + FLAGS  # where TCP has its flags behind such a header
_MIN_MERGE = 3  # rows from which on merging pays
_MIN_READ_ROWS = 6  # packets of one read from which on numpy is faster
_NO_SYN = bytes(flags for flags in range(256) if not flags & FLAG_SYN)


class FrameIo:
    """Reads and writes frames on a TUN descriptor with IFF_VNET_HDR, which stays its caller's to close.

    `mss4` and `mss6` (bytes; 0: leave alone) bound the MSS option of TCP handshakes in both directions.
    """

    headroom = HEADROOM

    __slots__ = ("_clamping", "_coalescer", "_fd", "_mss4", "_mss6", "_refused")

    def __init__(self, fd: int, mss4: int = 0, mss6: int = 0) -> None:
        self._fd = fd
        self._mss4 = mss4
        self._mss6 = mss6
        self._clamping = bool(mss4 or mss6)
        self._coalescer = Coalescer()
        self._refused: set[int] = set()  # GSO types that this kernel refuses

    def fileno(self) -> int:
        return self._fd

    def set_mss(self, mss4: int, mss6: int) -> None:
        """Change the bounds. A `reader` that was made before goes on clamping, or not, as it did."""
        self._mss4, self._mss6 = mss4, mss6
        self._clamping = bool(mss4 or mss6)

    def read_rows(
        self, rows: Rows, buffers: Sequence[tuple[memoryview]], lengths: list[int]
    ) -> tuple[GsoFrame | None, bool]:
        """Read packets, a buffer each, until the device is empty, one is longer than its row, or a frame
        comes. Returns the frame, a view into its buffer, and whether the device was found empty. `TunError`
        if the device is gone.

        A packet stands behind the first `headroom` octets of its buffer, and its length is appended to
        `lengths` (0: malformed). `rows` are the buffers as an array; each has room for `headroom` and 65,535
        octets.
        """
        fd, readv = self._fd, os.readv
        longest = rows.shape[1]
        frame, empty = None, False
        try:
            for buffer in buffers:
                length = readv(fd, buffer)
                if length > SIZE and buffer[0][1] != GSO_NONE:
                    frame = GsoFrame.parse(buffer[0][:length])
                    if frame is not None:
                        break
                    length = 0
                lengths.append(length - SIZE if length > SIZE else 0)
                if length > longest:
                    break
        except BlockingIOError:
            empty = True
        except OSError as error:
            raise TunError(error.errno, f"cannot read from the TUN device: {error.strerror}") from error
        if len(lengths) < _MIN_READ_ROWS or not self._complete_rows(rows[: len(lengths)], lengths):
            for buffer, length in zip(buffers, lengths, strict=False):
                if length:
                    self._complete(buffer[0][: SIZE + length])
        return frame, empty

    def reader(self, buffer: tuple[memoryview]) -> Callable[[], int | GsoFrame | None]:
        """A function that reads one packet behind the headroom of `buffer`. It returns the length (0:
        malformed), or the frame, or None if the device is empty. `TunError` if the device is gone."""
        fd, readv, memory, clamping = self._fd, os.readv, buffer[0], self._clamping

        def read() -> int | GsoFrame | None:
            try:
                length = readv(fd, buffer)
            except BlockingIOError:
                return None
            except OSError as error:
                raise TunError(error.errno, f"cannot read from the TUN device: {error.strerror}") from error
            if length <= SIZE:
                return 0
            if memory[1] != GSO_NONE:
                return GsoFrame.parse(memory[:length]) or 0
            if memory[0] or (clamping and (memory[SIZE] != _USUAL_IPV4 or memory[SIZE + _PROTOCOL] == TCP)):
                self._complete(memory[:length])
            return length - SIZE

        return read

    def _complete(self, frame: memoryview) -> None:
        """Finish one packet: its partial checksum, MSS clamping."""
        if frame[0] & NEEDS_CSUM:
            _complete_checksum(frame)
        if self._clamping and _may_be_handshake(frame):
            self._clamp(frame[SIZE:])

    def _complete_rows(self, rows: Rows, lengths: Sequence[int]) -> bool:
        """`_complete` for uniform packets at once; False, and nothing was done, if they are not uniform."""
        length = lengths[0]
        heads = rows[:, : SIZE + 1].tobytes()  # virtio header and IP version
        if (
            not IPV4_HEADER <= length <= rows.shape[1] - SIZE - 3
            or lengths.count(length) != len(lengths)
            or heads != heads[: SIZE + 1] * len(lengths)
        ):
            return False
        flags, _, _, _, start, offset = HEADER.unpack_from(heads)
        if self._clamping and _may_have_handshakes(rows, heads[SIZE], length):
            return False
        if flags & NEEDS_CSUM:
            if start % 4 or start + offset + 2 > length:
                return False
            packets = rows[:, SIZE : SIZE + -(-length // 4) * 4]
            packets[:, length:] = 0
            values = checksums(little_sums(packets[:, start:]), 0)
            if offset == UDP_CHECKSUM:
                values[values == 0] = 0xFFFF
            packets[:, start + offset : start + offset + 2].view(LE16)[:, 0] = values
        return True

    def write_packet(self, row: memoryview) -> bool:
        """Write the whole packet behind the first `headroom` octets of `row`, which are overwritten.

        False if the kernel refuses it. `TunError` if the device is gone.
        """
        row[:SIZE] = PLAIN
        if (
            self._clamping
            and (row[SIZE] != _USUAL_IPV4 or row[SIZE + _PROTOCOL] == TCP)  # without a call
            and _may_be_handshake(row)
        ):
            self._clamp(row[SIZE:])
        try:
            os.write(self._fd, row)
        except OSError as error:
            self._refusal(error)
            return False
        return True

    def write_rows(self, rows: Rows, size: int, last: int) -> int:
        """Write rows, merged into frames where GRO may; how many the kernel accepted.

        Each is `headroom` octets, which are overwritten, and a whole IP packet of `size` octets, but the last
        one of `last`; the width is at least `size` rounded up to a multiple of 4 behind the headroom.
        """
        taken = at = 0
        count = len(rows)
        packets = rows[:, SIZE : SIZE + -(-size // 4) * 4]
        pieces = self._coalescer.merge(packets, size, last) if count >= _MIN_MERGE else ((1, None),) * count
        for run, frame in pieces:
            if frame is not None and self._write_frame(frame):
                taken += run
            else:
                for index in range(at, at + run):
                    length = last if index == count - 1 else size
                    taken += self.write_packet(memoryview(rows[index])[: SIZE + length])
            at += run
        return taken

    def _write_frame(self, frame: memoryview) -> bool:
        kind = frame[1]
        if kind in self._refused:
            return False
        refusal = self._write(frame)
        if refusal == errno.EINVAL and kind == GSO_UDP_L4:  # before Linux 6.2
            self._refused.add(kind)
        return not refusal

    def _write(self, data: memoryview) -> int:
        """Write a frame; 0, or the errno with which the kernel refuses it."""
        try:
            os.write(self._fd, data)
        except OSError as error:
            return self._refusal(error)
        return 0

    def _refusal(self, error: OSError) -> int:
        """The errno with which the kernel refuses one packet; `TunError` if the device is gone."""
        number = error.errno or 0
        if number != errno.EAGAIN and number not in PACKET_REFUSED:
            raise TunError(number, f"cannot write to the TUN device: {error.strerror}") from error
        return number

    def _clamp(self, packet: memoryview) -> None:
        changed = clamp(packet, self._mss4, self._mss6)
        if changed is not None:
            packet[:] = changed

    # Packet by packet, for callers without row layouts

    def read_batch(self, limit: int) -> list[bytes]:
        """Up to `limit` packets, more if the last frame has more. `TunError` if the device is gone."""
        buffer = memoryview(bytearray(SIZE + 65536))
        rows = np.frombuffer(buffer, np.uint8).reshape(1, -1)
        packets: list[bytes] = []
        while len(packets) < limit:
            lengths: list[int] = []
            frame, _ = self.read_rows(rows, [(buffer,)], lengths)
            if frame is not None:
                packets += frame.packets()
            elif not lengths:
                break
            elif lengths[0]:
                packets.append(bytes(buffer[SIZE : SIZE + lengths[0]]))
        return packets

    def write_batch(self, packets: Sequence[bytes | bytearray | memoryview]) -> int:
        """Write `packets`; how many the kernel accepted. `TunError` if the device is gone."""
        return sum(self.write_packet(memoryview(bytearray(PLAIN + packet))) for packet in packets)


def _may_be_handshake(frame: memoryview) -> bool:
    """`is_handshake` of the packet behind its headroom, without a call for plain IPv4."""
    if len(frame) > _USUAL_FLAGS and frame[SIZE] == _USUAL_IPV4:
        return frame[SIZE + _PROTOCOL] == TCP and bool(frame[_USUAL_FLAGS] & FLAG_SYN)
    return is_handshake(frame[SIZE : SIZE + 60])


def _may_have_handshakes(rows: Rows, first: int, length: int) -> bool:
    """Whether a TCP SYN may be among packets that all begin with the octet `first`."""
    version, l4 = first >> 4, (first & 0x0F) * 4 if first >> 4 == 4 else IPV6_HEADER
    protocols = rows[:, SIZE + (9 if version == 4 else 6)].tobytes()
    if TCP not in protocols:
        return False
    if protocols.count(TCP) < len(protocols) or l4 + FLAGS >= length:
        return True
    return bool(rows[:, SIZE + l4 + FLAGS].tobytes().translate(None, _NO_SYN))


def packet_io(fd: int, mss4: int = 0, mss6: int = 0) -> FrameIo | PacketIo:
    """The reader and writer of the TUN device behind `fd`, with offloads if it has them."""
    return FrameIo(fd, mss4, mss6) if has_header(fd) else PacketIo(fd, mss4, mss6)


def _complete_checksum(frame: memoryview) -> None:
    """Complete the partial checksum of a packet behind its virtio header, in place. Offsets beyond the packet
    are ignored."""
    start, offset = HEADER.unpack_from(frame)[4:]
    packet = frame[SIZE:]
    if start + offset + 2 <= len(packet):
        partial_to_full(packet, start, start + offset)
