"""ECN of tunnels: combines the outer ECN field with the inner one at decapsulation (RFC 6040 4.2).

The inner header keeps its DSCP (RFC 4301 5.1.2.1). Encapsulation copies the field (RFC 6040 4.1).
"""

from __future__ import annotations

import numpy as np

from esp.packet.row_layouts import Octets

NOT_ECT, ECT1, ECT0, CE = range(4)
ECN_MASK = 0x03  # the ECN field of a TOS octet or traffic class

_BE16 = np.dtype(">u2")
_CHECKSUM = 10  # offset in the IPv4 header

# outer field -> new value of each inner one; None: the packet is dropped
_IN: tuple[tuple[int | None, int, int, int], ...] = (
    (NOT_ECT, ECT1, ECT0, CE),
    (NOT_ECT, ECT1, ECT1, CE),
    (NOT_ECT, ECT1, ECT0, CE),
    (None, CE, CE, CE),
)
ECT = frozenset((ECT0, ECT1))  # such packets can be marked instead of dropped (RFC 3168 5)
CHANGES_INNER = frozenset(outer for outer, inner in enumerate(_IN) if inner != (NOT_ECT, ECT1, ECT0, CE))


def ecn_of(packet: memoryview) -> int:
    """The ECN field of a whole IP packet."""
    return (packet[1] if packet[0] >> 4 == 4 else packet[1] >> 4) & ECN_MASK


def combine(packet: memoryview, outer: int) -> bool:
    """Combine the outer ECN field with an inner packet's; False if the packet has to be dropped."""
    inner = ecn_of(packet)
    result = _IN[outer][inner]
    if result is None:
        return False
    if result != inner:
        add_ecn_delta(np.frombuffer(packet, np.uint8).reshape(1, -1), result - inner)
    return True


def ecn_delta(packet: memoryview, outer: int) -> int | None:
    """What `combine` would add to the inner ECN field; None if it would return False."""
    inner = ecn_of(packet)
    result = _IN[outer][inner]
    return None if result is None else result - inner


def add_ecn_delta(packets: Octets, change: int) -> None:
    """Add to the ECN field of IP packets of one version and one ECN field, a row each, and mend IPv4's
    checksum."""
    if packets[0, 0] >> 4 == 6:
        packets[:, 1] += np.uint8(change << 4 & 0xFF)
        return
    packets[:, 1] += np.uint8(change & 0xFF)
    # RFC 1624 eqn. 3, with the difference of old and new value, which is below 0xFFFF: one fold is enough
    field = packets[:, _CHECKSUM : _CHECKSUM + 2].view(_BE16)[:, 0]
    total = (0xFFFF - field.astype(np.int64)) + change % 0xFFFF
    field[:] = 0xFFFF - ((total & 0xFFFF) + (total >> 16))
