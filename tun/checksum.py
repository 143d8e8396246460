"""The Internet checksum (RFC 1071), one packet at a time and for all rows of an array at once.

Sums are kept modulo 65535, where the order of bytes does not matter: 2^16 is 1 there.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

Buffer = bytes | bytearray | memoryview
Rows = NDArray[np.uint8]
Sums = NDArray[np.uint64]

_MODULUS = 0xFFFF
_ENOUGH = _MODULUS << 32  # above every sum here, and 0 in the modulus
_LONG = 256  # octets from which on numpy is faster
UDP_FIELD = 6  # where UDP's checksum is: 0 means none there


def fold(data: Buffer) -> int:
    """The sum of `data` in 16-bit big-endian words, an odd end padded with 0, modulo 65535."""
    if len(data) >= _LONG:
        words = np.frombuffer(data, np.dtype("<u4"), len(data) // 4)
        little = int(np.add.reduce(words, dtype=np.uint64)) + int.from_bytes(data[len(words) * 4 :], "little")
        little %= _MODULUS
        return (little & 0xFF) << 8 | little >> 8
    total = int.from_bytes(data, "big")
    return (total << 8 if len(data) % 2 else total) % _MODULUS


def partial_to_full(packet: memoryview, start: int, field: int) -> None:
    """Put the checksum over `packet` from `start` on at `field`, where the pseudo header's sum stands."""
    checksum = -fold(packet[start:]) % _MODULUS
    if checksum == 0 and field - start == UDP_FIELD:
        checksum = 0xFFFF
    packet[field : field + 2] = checksum.to_bytes(2, "big")


def little_sums(rows: Rows) -> Sums:
    """The sum of each row in little-endian words, not yet reduced; rows are a multiple of 4 octets long."""
    sums: Sums = np.add.reduce(rows.view(np.dtype("<u4")), axis=1, dtype=np.uint64)
    return sums


def checksums(sums: Sums, more: int) -> Sums:
    """The checksums that belong to these sums and `more` (less than 2^20) that is in all of them."""
    return (np.uint64(_ENOUGH - more) - sums) % np.uint64(_MODULUS)


def swapped(word: int) -> int:
    """A 16-bit number as it is read in the other order of bytes."""
    return (word & 0xFF) << 8 | word >> 8
