"""The Internet checksum (RFC 1071), of one packet and of all rows of an array at once.

Sums are modulo 65535, where 2^16 is 1: so they can be computed in either byte order and swapped at the end.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

Buffer = bytes | bytearray | memoryview
Rows = NDArray[np.uint8]
Sums = NDArray[np.uint64]

_MODULUS = 0xFFFF
_ENOUGH = _MODULUS << 32  # a multiple of the modulus above every sum here
_NUMPY_FROM = 256  # octets from which on numpy is faster
UDP_FIELD = 6  # offset of UDP's checksum, where 0 means none


def fold(data: Buffer) -> int:
    """The sum of `data` in 16-bit big-endian words, an odd end padded with 0, modulo 65535."""
    if len(data) >= _NUMPY_FROM:
        words = np.frombuffer(data, np.dtype("<u4"), len(data) // 4)
        little = int(np.add.reduce(words, dtype=np.uint64)) + int.from_bytes(data[len(words) * 4 :], "little")
        little %= _MODULUS
        return (little & 0xFF) << 8 | little >> 8
    total = int.from_bytes(data, "big")
    return (total << 8 if len(data) % 2 else total) % _MODULUS


def partial_to_full(packet: memoryview, start: int, field: int) -> None:
    """Write the checksum of `packet` from `start` on at `field`, which holds the pseudo header's sum."""
    checksum = -fold(packet[start:]) % _MODULUS
    if checksum == 0 and field - start == UDP_FIELD:
        checksum = 0xFFFF
    packet[field : field + 2] = checksum.to_bytes(2, "big")


def little_sums(rows: Rows) -> Sums:
    """The sum of each row in little-endian words, not yet reduced; rows are a multiple of 4 octets long."""
    sums: Sums = np.add.reduce(rows.view(np.dtype("<u4")), axis=1, dtype=np.uint64)
    return sums


def checksums(sums: Sums, more: int) -> Sums:
    """The checksums of these sums plus `more` (less than 2^20)."""
    return (np.uint64(_ENOUGH - more) - sums) % np.uint64(_MODULUS)


def swapped(word: int) -> int:
    """A 16-bit number in the other byte order."""
    return (word & 0xFF) << 8 | word >> 8
