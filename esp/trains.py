"""Trains: packets of equal size, the last one perhaps shorter, as rows of one array that is never copied.

Who makes them and who takes them is a device with segmentation offload; it is known here by its methods only.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Protocol, Self, runtime_checkable

import numpy as np
from numpy.typing import NDArray

Octets = NDArray[np.uint8]
Lows = NDArray[np.uint32]
Numbers = NDArray[np.uint64]

MOST_ROWS = 286  # five frames of 64 KiB in packets of 1,500 octets, and more
_KEPT = 48  # layouts whose views are kept
_NONCE, _SALT = 12, 4
_ASSOCIATED = 12  # SPI and a sequence number of 64 bits

STEPS = np.arange(MOST_ROWS, dtype=np.uint64)
_KEY_4, _KEY_6 = np.dtype("V8"), np.dtype("V32")
BE32, BE64 = np.dtype(">u4"), np.dtype(">u8")


def alike(rows: NDArray[np.generic]) -> bool:
    """Whether all rows, or numbers, are equal."""
    octets, count = rows.tobytes(), len(rows)
    return octets == octets[: len(octets) // count] * count


def address_keys(packets: Octets, version: int) -> list[bytes]:
    """`packet.address_key` of whole IP packets of one version, one a row."""
    addresses = packets[:, 12:20].view(_KEY_4) if version == 4 else packets[:, 8:40].view(_KEY_6)
    keys: list[bytes] = addresses[:, 0].tolist()
    return keys


class PacketDevice(Protocol):
    """Where inner packets come from and go to: whole IP packets, nothing in front."""

    def fileno(self) -> int: ...

    def read_batch(self, limit: int, /) -> Sequence[bytes | memoryview]:
        """What is there, at most `limit` packets; empty if it would block. Raises OSError if it is broken."""

    def write_batch(self, packets: Sequence[bytes | memoryview], /) -> int:
        """Write in order; how many were taken. Raises OSError if it is broken."""

    def set_mss(self, mss4: int, mss6: int, /) -> None:
        """To what TCP's MSS is lowered from now on, where it is at all."""


class Segments(Protocol):
    """A frame that is `count` packets of `size` octets, but the last one of `last`."""

    packet: memoryview  # an IP packet with the headers of all, whose lengths mean nothing
    headers: bytearray  # those, which are there also when `packet` is needed no more
    count: int
    size: int
    last: int

    def mark(self) -> None:
        """Give all packets the mark CE (RFC 3168 5)."""

    def lay(self, rows: Octets, first: int, /) -> None:
        """Write packets `first`, `first` + 1, ... into rows as wide as `size` rounded up to 4, but not yet
        their headers. After that `packet` is needed no more."""

    @classmethod
    def head(cls, rows: Octets, pieces: Sequence[tuple[Self, int, int]], /) -> None:
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
    ) -> Segments | None:
        """Read packets, each behind the headroom of one of `places`, until there are no more, or one is too
        long for its row, or a frame comes, which is returned and valid until its place is used again.

        `rows` begin where `places` do; `lengths` takes what the packets before the frame have (0: nonsense).
        Raises OSError if it is broken."""

    def reader(self, place: tuple[memoryview], /) -> Callable[[], int | Segments | None]:
        """What reads one packet, or a frame, into this place as `read_rows` does: its length, or the frame;
        None if there is none. Raises OSError if the device is broken."""

    def write_packet(self, row: memoryview, /) -> bool:
        """Write the packet behind the headroom; whether it was taken. Raises OSError if it is broken."""

    def write_rows(self, rows: Octets, size: int, last: int, /) -> int:
        """Write packets of `size` octets, the last one of `last`, behind their headroom; how many were taken.
        The rows are spent. Raises OSError if it is broken."""


class Train:
    """Rows of one length in an arena, with views into them, made once and used for every train."""

    __slots__ = ("array", "bodies", "capacity", "heads", "ivs", "lows", "rows", "spis", "stride", "texts")

    def __init__(self, arena: memoryview, pitch: int, stride: int, start: int, icv: int) -> None:
        """`pitch`: octets from row to row, `stride`: of a row; `start`: where the ciphertext begins there;
        `icv`: octets at its end."""
        self.stride = stride
        self.capacity = min(MOST_ROWS, len(arena) // pitch)
        used = arena[: self.capacity * pitch]
        whole: Octets = np.frombuffer(used, np.uint8).reshape(self.capacity, pitch)
        self.array = whole[:, :stride]
        self._name_columns()
        self.rows = [used[at : at + stride] for at in range(0, len(used), pitch)]
        self.heads = [row[:8] for row in self.rows]
        self.bodies = [row[start:] for row in self.rows]  # ciphertext and ICV
        self.texts = [row[start : stride - icv] for row in self.rows]  # plaintext

    def behind(self, first: int) -> Train:
        """The rows from `first` on, for one use."""
        if first == 0:
            return self
        part = Train.__new__(Train)
        part.stride, part.capacity, part.array = self.stride, self.capacity - first, self.array[first:]
        part._name_columns()
        part.rows, part.heads = self.rows[first:], self.heads[first:]
        part.bodies, part.texts = self.bodies[first:], self.texts[first:]
        return part

    def _name_columns(self) -> None:
        """SPIs, low halves of sequence numbers, and what stands for the IV of an AEAD, a number a row."""
        array = self.array
        self.spis, self.lows = array[:, :4].view(BE32)[:, 0], array[:, 4:8].view(BE32)[:, 0]
        self.ivs = array[:, 8:16].view(BE64)[:, 0] if self.stride >= 16 else array[:0, :0]


class Trains:
    """The layouts of one arena, the least recently used forgotten, and room for what AEADs are given beside.

    One user at a time: nonces stand here only while a train is sealed or opened.
    """

    __slots__ = (
        "_kept",
        "_pitch",
        "_salt",
        "arena",
        "associated",
        "associated_rows",
        "nonce_numbers",
        "nonce_rows",
        "nonces",
    )

    def __init__(self, arena: int, pitch: int = 0) -> None:
        """An arena of so many octets; rows stand back to back there, or one every `pitch` octets."""
        self.arena = memoryview(bytearray(arena))
        self._pitch = pitch
        self._kept: dict[tuple[int, int, int, int], Train] = {}
        self.nonce_rows, self.nonces = _table(_NONCE)
        self.nonce_numbers = self.nonce_rows[:, _SALT:].view(BE64)[:, 0]
        self._salt = b""
        self.associated_rows, self.associated = _table(_ASSOCIATED)

    def layout(self, stride: int, start: int, icv: int, offset: int = 0) -> Train:
        """Rows of `stride` octets, the first one `offset` octets into the arena."""
        key = stride, start, icv, offset
        train = self._kept.pop(key, None)
        if train is None:
            train = Train(self.arena[offset:], self._pitch or stride, stride, start, icv)
            if len(self._kept) >= _KEPT:
                del self._kept[next(iter(self._kept))]
        self._kept[key] = train
        return train

    def set_salts(self, salts: Octets) -> None:
        """Begin the first nonces with these, one a row."""
        self.nonce_rows[: len(salts), :_SALT] = salts
        self._salt = b""  # of all no longer

    def set_salt(self, salt: bytes) -> None:
        """Begin all nonces with these octets."""
        if salt != self._salt:
            self.nonce_rows[:, :_SALT] = np.frombuffer(salt, np.uint8)
            self._salt = salt


def _table(width: int) -> tuple[Octets, list[memoryview]]:
    view = memoryview(bytearray(MOST_ROWS * width))
    array: Octets = np.frombuffer(view, np.uint8).reshape(MOST_ROWS, width)
    return array, [view[at : at + width] for at in range(0, len(view), width)]
