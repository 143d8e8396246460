"""What the data path asks of a TUN device, with and without segmentation offload: two protocols.

A frame is what the kernel's GSO hands over: one IP packet that stands for many of one flow.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Protocol, Self, runtime_checkable

from esp.packet.row_layouts import Octets


class PacketDevice(Protocol):
    """Where inner packets come from and go to: whole IP packets, nothing in front."""

    def fileno(self) -> int: ...

    def read_batch(self, limit: int, /) -> Sequence[bytes | memoryview]:
        """What is there, at most `limit` packets; empty if it would block. Raises OSError if it is broken."""

    def write_batch(self, packets: Sequence[bytes | memoryview], /) -> int:
        """Write in order; how many were taken. Raises OSError if it is broken."""

    def set_mss(self, mss4: int, mss6: int, /) -> None:
        """To what TCP's MSS is lowered from now on, where it is at all."""


class GsoFrame(Protocol):
    """A frame that is `count` packets of `size` octets, but the last one of `last`."""

    packet: memoryview  # an IP packet with the headers of all, whose lengths mean nothing
    headers: bytearray  # those, which are there also when `packet` is needed no more
    count: int
    size: int
    last: int

    def mark_ce(self) -> None:
        """Give all packets the mark CE (RFC 3168 5)."""

    def copy_payloads(self, rows: Octets, first: int, /) -> None:
        """Write packets `first`, `first` + 1, ... into rows as wide as `size` rounded up to 4, but not yet
        their headers. After that `packet` is needed no more."""

    @classmethod
    def write_headers(cls, rows: Octets, pieces: Sequence[tuple[Self, int, int]], /) -> None:
        """Write the headers of packets that were laid in these rows: `pieces` are a frame, the number of its
        first packet here, and how many packets. All frames have one `size`."""

    def packets(self) -> list[bytes]:
        """All of them, one by one."""


@runtime_checkable
class FrameDevice(PacketDevice, Protocol):
    """A device that gives and takes frames. It may overwrite `headroom` octets in front of each packet."""

    headroom: int

    def read_rows(
        self, rows: Octets, places: Sequence[tuple[memoryview]], lengths: list[int], /
    ) -> GsoFrame | None:
        """Read packets, each behind the headroom of one of `places`, until there are no more, or one is too
        long for its row, or a frame comes, which is returned and valid until its place is used again.

        `rows` begin where `places` do; `lengths` takes what the packets before the frame have (0: nonsense).
        Raises OSError if it is broken."""

    def reader(self, place: tuple[memoryview], /) -> Callable[[], int | GsoFrame | None]:
        """What reads one packet, or a frame, into this place as `read_rows` does: its length, or the frame;
        None if there is none. Raises OSError if the device is broken."""

    def write_packet(self, row: memoryview, /) -> bool:
        """Write the packet behind the headroom; whether it was taken. Raises OSError if it is broken."""

    def write_rows(self, rows: Octets, size: int, last: int, /) -> int:
        """Write packets of `size` octets, the last one of `last`, behind their headroom; how many were taken.
        The rows are spent. Raises OSError if it is broken."""
