"""Packets through a TUN device with offloads: big frames in, big frames out, lone packets without numpy."""

from __future__ import annotations

import errno
import os
from collections.abc import Sequence

from tun.checksum import Rows
from tun.coalesce import Coalescer
from tun.device import PACKET_REFUSED, PacketIo, TunError
from tun.mss import clamp, is_handshake
from tun.segments import Segments
from tun.virtio import GSO_NONE, GSO_UDP_L4, NEEDS_CSUM, PLAIN, SIZE, complete_checksum, has_header

HEADROOM = SIZE
_FEWEST = 3  # rows worth merging


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
        self._refused: set[int] = set()  # kinds of frames that this kernel does not take

    def fileno(self) -> int:
        return self._fd

    def read_frame(self, place: memoryview) -> int | Segments | None:
        """The next packet or frame; None if there is none now. `TunError` if the device is gone.

        A packet stands behind the first `headroom` octets of `place`, and this is its length (0: nonsense);
        a frame is a view into `place`. 65,536 octets and the headroom are room enough.
        """
        try:
            length = os.readv(self._fd, (place,))
        except BlockingIOError:
            return None
        except OSError as error:
            raise TunError(error.errno, f"cannot read from the TUN device: {error.strerror}") from error
        if length <= SIZE:
            return 0
        if place[1] != GSO_NONE:
            return Segments.parse(place[:length]) or 0
        if place[0] & NEEDS_CSUM:
            complete_checksum(place[:length])
        if self._clamping and is_handshake(place[SIZE : SIZE + 60]):
            self._clamp(place[SIZE:length])
        return length - SIZE

    def write_packet(self, row: memoryview) -> bool:
        """Hand over the packet behind the first `headroom` octets of `row`, which are overwritten.

        False if the kernel does not take it. `TunError` if the device is gone.
        """
        row[:SIZE] = PLAIN
        if self._clamping and is_handshake(row[SIZE : SIZE + 60]):
            self._clamp(row[SIZE:])
        return not self._write(row)

    def write_rows(self, rows: Rows, size: int, last: int) -> int:
        """Hand over rows, merged where that changes nothing; how many the kernel took.

        Each is `headroom` octets, which are overwritten, and a whole IP packet of `size` octets, but the last
        one of `last`; the width is at least `size` rounded up to a multiple of 4 behind the headroom.
        """
        taken = at = 0
        count = len(rows)
        packets = rows[:, SIZE : SIZE + -(-size // 4) * 4]
        pieces = self._coalescer.pieces(packets, size, last) if count >= _FEWEST else ((1, None),) * count
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
        """0, or why the kernel does not take this one."""
        try:
            os.write(self._fd, data)
        except BlockingIOError:
            return errno.EAGAIN
        except OSError as error:
            if error.errno not in PACKET_REFUSED:
                raise TunError(error.errno, f"cannot write to the TUN device: {error.strerror}") from error
            return error.errno
        return 0

    def _clamp(self, packet: memoryview) -> None:
        changed = clamp(packet, self._mss4, self._mss6)
        if changed is not None:
            packet[:] = changed

    # One packet after the other, for whoever has no rows

    def read_batch(self, limit: int) -> list[bytes]:
        """Up to `limit` packets, more if the last frame has more. `TunError` if the device is gone."""
        place = memoryview(bytearray(SIZE + 65536))
        packets: list[bytes] = []
        while len(packets) < limit:
            got = self.read_frame(place)
            if got is None:
                break
            if isinstance(got, Segments):
                packets += got.packets()
            elif got:
                packets.append(bytes(place[SIZE : SIZE + got]))
        return packets

    def write_batch(self, packets: Sequence[bytes | bytearray | memoryview]) -> int:
        """Hand `packets` to the kernel; how many it took. `TunError` if the device is gone."""
        return sum(self.write_packet(memoryview(bytearray(PLAIN + packet))) for packet in packets)


def packet_io(fd: int, mss4: int = 0, mss6: int = 0) -> FrameIo | PacketIo:
    """What reads and writes the TUN device behind `fd`, with offloads if it has them."""
    return FrameIo(fd, mss4, mss6) if has_header(fd) else PacketIo(fd, mss4, mss6)
