"""Headers of many packets as a matrix of 32-bit numbers, and how they count on from packet to packet."""

from __future__ import annotations

from functools import lru_cache
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

HeaderWords = NDArray[np.uint32]

MAX_ROWS = 286
_KEPT, _KEPT_IN_TURN = 128, 32
BE32 = np.dtype(">u4")


class HeaderLayout(NamedTuple):
    """Of a packet's headers: lengths in words of 32 bits."""

    version: int
    tcp: bool
    l4: int  # where TCP or UDP begins
    width: int


@lru_cache(_KEPT)
def deltas(layout: HeaderLayout, gso: int) -> HeaderWords:
    """What the words of packet 0, 1, 2, ... have more than those of packet 0, if each carries `gso` octets;
    modulo 2^32, and a 0 behind them.

    IPv4's identification counts up and its header checksum down, TCP's sequence number by octets. This is so
    only as long as neither of IPv4's begins again: `packets_until_wrap`.
    """
    step = np.zeros(layout.width + 1, np.uint32)
    if layout.version == 4:
        step[1] = 1 << 16
        step[2] = (1 << 32) - 1
    if layout.tcp:
        step[layout.l4 + 1] = gso
    return np.outer(np.arange(MAX_ROWS, dtype=np.uint32), step)


@lru_cache(_KEPT_IN_TURN)
def deltas_in_turn(layout: HeaderLayout, gso: int, counts: tuple[int, ...]) -> HeaderWords:
    """`deltas` of so many packets each, one behind the other, without the 0 behind them."""
    every = deltas(layout, gso)[:, :-1]
    return np.concatenate([every[:count] for count in counts])


def packets_until_wrap(identification: int, checksum: int) -> int:
    """How many packets IPv4's identification can count up and its header checksum down from these."""
    return min(0x10000 - identification, checksum + 1)


def change_length(words: HeaderWords, layout: HeaderLayout, change: int) -> None:
    """Add to the length fields of one packet, and take it from IPv4's header checksum."""
    if layout.version == 4:
        words[:1] += np.uint32(change % (1 << 32))
        words[2:3] -= np.uint32(change % (1 << 32))
    else:
        words[1:2] += np.uint32((change << 16) % (1 << 32))
    if not layout.tcp:
        words[layout.l4 + 1 : layout.l4 + 2] += np.uint32((change << 16) % (1 << 32))
