"""What the data path asks of a TUN device, with and without segmentation offload: two protocols.

A frame is what the kernel's GSO hands over: one IP packet that stands for many of one flow.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Protocol, Self, runtime_checkable

from esp.packet.row_layouts import Octets


class PacketDevice(Protocol):
    """A TUN device as a source and sink of whole IP packets."""

    def fileno(self) -> int: ...

    def read_batch(self, limit: int, /) -> Sequence[bytes | memoryview]:
        """Read up to `limit` packets; empty if it would block. Raises OSError if the device is broken."""

    def write_batch(self, packets: Sequence[bytes | memoryview], /) -> int:
        """Write in order; how many were accepted. Raises OSError if the device is broken."""

    def set_mss(self, mss4: int, mss6: int, /) -> None:
        """Change the bounds of MSS clamping (RFC 9293 3.7.1), if the device clamps at all."""


class GsoFrame(Protocol):
    """A GSO frame: `count` packets of `size` octets, but the last one of `last`."""

    packet: memoryview  # the frame as an IP packet, whose header lengths and checksums are not valid
    headers: bytearray  # a copy of its headers, valid also after the buffer is reused
    count: int
    size: int
    last: int

    def mark_ce(self) -> None:
        """Set CE in all packets (RFC 3168 5)."""

    def copy_payloads(self, rows: Octets, first: int, /) -> None:
        """Copy the payloads of packets `first`, `first` + 1, ... into rows, which are as wide as `size`
        rounded up to 4. Then `packet` is not needed any more."""

    @classmethod
    def write_headers(cls, rows: Octets, pieces: Sequence[tuple[Self, int, int]], /) -> None:
        """Write the headers of packets whose payloads are in these rows. `pieces`: frame, index of its first
        packet here, number of packets; all frames have one `size`."""

    def packets(self) -> list[bytes]:
        """All packets, one by one."""


@runtime_checkable
class FrameDevice(PacketDevice, Protocol):
    """A TUN device with segmentation offload. It may overwrite `headroom` octets in front of each packet."""

    headroom: int

    def read_rows(
        self, rows: Octets, buffers: Sequence[tuple[memoryview]], lengths: list[int], /
    ) -> tuple[GsoFrame | None, bool]:
        """Read packets, each behind the headroom of one of `buffers`, until the device is empty, a packet is
        longer than its row, or a frame comes. Returns the frame, which is valid until its buffer is used
        again, and whether the device was found empty.

        `rows` are the buffers as an array; the lengths of the packets before the frame are appended to
        `lengths` (0: malformed). Raises OSError if the device is broken."""

    def reader(self, buffer: tuple[memoryview], /) -> Callable[[], int | GsoFrame | None]:
        """A function that reads one packet, or a frame, into this buffer as `read_rows` does. It returns the
        length, or the frame, or None if the device is empty. Raises OSError if the device is broken."""

    def write_packet(self, row: memoryview, /) -> bool:
        """Write the packet behind the headroom; whether it was accepted. Raises OSError if the device is
        broken."""

    def write_rows(self, rows: Octets, size: int, last: int, /) -> int:
        """Write packets of `size` octets, the last one of `last`, each behind its headroom; how many were
        accepted. The rows are overwritten. Raises OSError if the device is broken."""
