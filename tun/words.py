"""Headers of many packets as a matrix of 32-bit numbers, and how they count on from packet to packet."""

from __future__ import annotations

from functools import lru_cache
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from tun.checksum import Rows

Words = NDArray[np.uint32]

MOST_ROWS = 128
_KEPT = 128
_BE32 = np.dtype(">u4")
_STEPS = np.arange(MOST_ROWS, dtype=np.uint32)


class Layout(NamedTuple):
    """Of a packet's headers: lengths in words of 32 bits."""

    version: int
    tcp: bool
    l4: int  # where TCP or UDP begins
    width: int


def read(rows: Rows) -> Words:
    """The words of rows whose width is a multiple of 4."""
    return rows.view(_BE32).astype(np.uint32)


@lru_cache(_KEPT)
def steps(size: int) -> Words:
    """0, `size`, twice that, ... modulo 2^32."""
    return _STEPS * np.uint32(size)


@lru_cache(_KEPT)
def step(layout: Layout, gso: int) -> Words:
    """What a packet's words have more than those of the one before, if each carries `gso` octets.

    IPv4's identification and TCP's sequence number count, modulo what they have room for.
    """
    found = np.zeros(layout.width, np.uint32)
    if layout.version == 4:
        found[1] = 1 << 16
    if layout.tcp:
        found[layout.l4 + 1] = gso
    return found


def change_length(words: Words, layout: Layout, change: int) -> None:
    """Add to the length fields of one packet."""
    if layout.version == 4:
        words[:1] += np.uint32(change % (1 << 32))
    else:
        words[1:2] += np.uint32((change << 16) % (1 << 32))
    if not layout.tcp:
        words[layout.l4 + 1 : layout.l4 + 2] += np.uint32((change << 16) % (1 << 32))
