"""Row layouts: ESP packets of equal size as rows of one arena, with a view of every field's column.

Views are made once for each layout and kept: making them costs more than sealing the packets.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

Octets = NDArray[np.uint8]
LowHalves = NDArray[np.uint32]
SequenceNumbers = NDArray[np.uint64]

MAX_ROWS = 286  # more than five frames of 64 KiB have in packets of 1,500 octets
_MAX_LAYOUTS = 48  # kept
_FEW_ROWS = 16, 64  # of layouts for no more rows: anybody can have them made, by packets of ever other sizes
_SALT = _SPI = 4

STEPS = np.arange(MAX_ROWS, dtype=np.uint64)
_KEY_4, _KEY_6 = np.dtype("V8"), np.dtype("V32")
BE32, BE64 = np.dtype(">u4"), np.dtype(">u8")


def all_equal(rows: NDArray[np.generic]) -> bool:
    """Whether all rows (or numbers) of an array are equal."""
    octets, count = rows.tobytes(), len(rows)
    return octets == octets[: len(octets) // count] * count


def address_keys(packets: Octets, version: int) -> list[bytes]:
    """`headers.address_key` of whole IP packets of one version, a row each."""
    addresses = packets[:, 12:20].view(_KEY_4) if version == 4 else packets[:, 8:40].view(_KEY_6)
    keys: list[bytes] = addresses[:, 0].tolist()
    return keys


class RowLayout:
    """Rows of one length in an arena, with views of their parts."""

    __slots__ = (
        "_contiguous",
        "_memory",
        "array",
        "capacity",
        "ciphertexts",
        "esp_headers",
        "ivs",
        "most",
        "plaintexts",
        "rows",
        "seq_lows",
        "spis",
        "stride",
    )

    def __init__(
        self, arena: memoryview, pitch: int, stride: int, start: int, icv: int, rows: int = MAX_ROWS
    ) -> None:
        """`pitch`: octets from row to row, `stride`: of a row; `start`: where the ciphertext begins there;
        `icv`: octets at its end; `rows`: how many at most."""
        self.stride, self.most = stride, rows
        self.capacity = min(rows, len(arena) // pitch)
        self._contiguous = pitch == stride
        self._memory = used = arena[: self.capacity * pitch]
        whole: Octets = np.frombuffer(used, np.uint8).reshape(self.capacity, pitch)
        self.array = whole[:, :stride]
        self._view_columns()
        self.rows = [used[at : at + stride] for at in range(0, len(used), pitch)]
        self.esp_headers = [row[:8] for row in self.rows]
        self.ciphertexts = [row[start:] for row in self.rows]  # with the ICV
        self.plaintexts = [row[start : stride - icv] for row in self.rows]  # without IV and ICV

    def packets(self, first: int, count: int, last: int) -> Sequence[memoryview]:
        """`count` rows from `first` on, the last one of `last` octets: all in one buffer if they stand back
        to back, else a buffer each."""
        if self._contiguous:
            begin = first * self.stride
            return (self._memory[begin : begin + (count - 1) * self.stride + last],)
        rows = self.rows[first : first + count]
        if last < self.stride:
            rows[-1] = rows[-1][:last]
        return rows

    def from_row(self, first: int) -> RowLayout:
        """The rows from `first` on."""
        if first == 0:
            return self
        behind = RowLayout.__new__(RowLayout)
        behind.stride, behind.capacity, behind.array = self.stride, self.capacity - first, self.array[first:]
        behind._view_columns()
        behind._contiguous, behind._memory = self._contiguous, self._memory[first * self.stride :]
        behind.rows, behind.esp_headers = self.rows[first:], self.esp_headers[first:]
        behind.ciphertexts, behind.plaintexts = self.ciphertexts[first:], self.plaintexts[first:]
        return behind

    def _view_columns(self) -> None:
        """Columns as numbers: SPIs, low halves of sequence numbers, IVs of AEADs."""
        array = self.array
        self.spis, self.seq_lows = array[:, :4].view(BE32)[:, 0], array[:, 4:8].view(BE32)[:, 0]
        self.ivs = array[:, 8:16].view(BE64)[:, 0] if self.stride >= 16 else array[:0, :0]


class RowLayouts:
    """The row layouts of one arena (the least recently used is dropped), and tables of nonces and AAD.

    Not for concurrent use: the tables are valid only while a batch is sealed or opened.
    """

    __slots__ = (
        "_cache",
        "_pitch",
        "aad",
        "aad_sequences",
        "aad_spis",
        "arena",
        "nonce_ivs",
        "nonce_salts",
        "nonces",
    )

    def __init__(self, arena: int, pitch: int = 0) -> None:
        """`arena`: octets. Rows stand back to back, or every `pitch` octets."""
        self.arena = memoryview(bytearray(arena))
        self._pitch = pitch
        self._cache: dict[tuple[int, int, int, int], RowLayout] = {}
        nonces, self.nonces = _table(_SALT + 8)
        self.nonce_salts, self.nonce_ivs = _columns(nonces)
        aad, self.aad = _table(_SPI + 8)  # a sequence number of 64 bits
        self.aad_spis, self.aad_sequences = _columns(aad)

    def layout(self, stride: int, start: int, icv: int, offset: int = 0, rows: int = MAX_ROWS) -> RowLayout:
        """The layout of rows of `stride` octets, the first one `offset` octets into the arena. `start`: where
        the ciphertext begins in a row; `icv`: its octets at the end. `rows`: how many are needed; fewer if
        the arena has no room for them."""
        key = stride, start, icv, offset
        layout = self._cache.pop(key, None)
        if layout is None or layout.most < rows:
            most = next((few for few in _FEW_ROWS if rows <= few), MAX_ROWS)
            layout = RowLayout(self.arena[offset:], self._pitch or stride, stride, start, icv, most)
            if len(self._cache) >= _MAX_LAYOUTS:
                del self._cache[next(iter(self._cache))]
        self._cache[key] = layout
        return layout


def _table(width: int) -> tuple[Octets, list[memoryview]]:
    view = memoryview(bytearray(MAX_ROWS * width))
    array: Octets = np.frombuffer(view, np.uint8).reshape(MAX_ROWS, width)
    return array, [view[at : at + width] for at in range(0, len(view), width)]


def _columns(table: Octets) -> tuple[NDArray[np.uint32], SequenceNumbers]:
    """Of each row the first four octets, and the other eight."""
    return table[:, :4].view(BE32)[:, 0], table[:, 4:].view(BE64)[:, 0]
