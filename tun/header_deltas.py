"""Header deltas: what IP, TCP and UDP headers of consecutive GSO segments add to the first one, in 32-bit
words.

Headers of many packets are a matrix of words, a row a packet, so that numpy writes or compares all at once.
"""

from __future__ import annotations

from functools import lru_cache
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

HeaderWords = NDArray[np.uint32]

MAX_ROWS = 286
_TABLES, _TABLES_IN_TURN = 128, 32  # cached
BE32 = np.dtype(">u4")


class HeaderLayout(NamedTuple):
    """Where a packet's headers are, in 32-bit words."""

    version: int
    tcp: bool
    l4: int  # offset of TCP or UDP
    width: int


@lru_cache(_TABLES)
def deltas(layout: HeaderLayout, gso: int) -> HeaderWords:
    """What the headers of packet 0, 1, 2, ... add to those of packet 0 if each carries `gso` octets, modulo
    2^32; a 0 follows each row.

    IPv4's identification counts up and its header checksum down; TCP's sequence number counts octets. Valid
    until one of IPv4's fields wraps: `packets_until_wrap`.
    """
    step = np.zeros(layout.width + 1, np.uint32)
    if layout.version == 4:
        step[1] = 1 << 16
        step[2] = (1 << 32) - 1
    if layout.tcp:
        step[layout.l4 + 1] = gso
    return np.outer(np.arange(MAX_ROWS, dtype=np.uint32), step)


@lru_cache(_TABLES_IN_TURN)
def deltas_in_turn(layout: HeaderLayout, gso: int, counts: tuple[int, ...]) -> HeaderWords:
    """`deltas` of several frames in a row, of so many packets each, without the 0."""
    every = deltas(layout, gso)[:, :-1]
    return np.concatenate([every[:count] for count in counts])


def packets_until_wrap(identification: int, checksum: int) -> int:
    """For how many packets neither IPv4's identification nor its header checksum wraps, from these values
    on."""
    return min(0x10000 - identification, checksum + 1)


def change_length(words: HeaderWords, layout: HeaderLayout, change: int) -> None:
    """Add `change` to the length fields of one packet, and subtract it from IPv4's header checksum."""
    if layout.version == 4:
        words[:1] += np.uint32(change % (1 << 32))
        words[2:3] -= np.uint32(change % (1 << 32))
    else:
        words[1:2] += np.uint32((change << 16) % (1 << 32))
    if not layout.tcp:
        words[layout.l4 + 1 : layout.l4 + 2] += np.uint32((change << 16) % (1 << 32))
