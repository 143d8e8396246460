"""ECN at decapsulation: what becomes of the inner field, and that IPv4's header checksum stays right."""

from __future__ import annotations

import struct

import numpy as np
import pytest
from numpy.typing import NDArray

from esp.packet import ecn

ROWS = 0x10000  # an identification each, so that every header checksum comes up


def headers(field: int) -> NDArray[np.uint8]:
    """IPv4 headers of all identifications with this ECN field and right checksums."""
    rest = struct.pack(">HBBH4s4s", 0x4000, 64, 6, 0, b"\x0a\x01\0\1", b"\x0a\x02\0\1")
    words = np.empty((ROWS, 10), np.uint16)
    words[:] = np.frombuffer(struct.pack(">BBHH", 0x45, field, 40, 0) + rest, ">u2")
    words[:, 2] = np.arange(ROWS)
    words[:, 5] = 0xFFFF - folded(words)
    return words.astype(">u2").view(np.uint8)


def folded(
    words: NDArray[np.uint16],
) -> NDArray[np.int64]:
    total: NDArray[np.int64] = words.astype(np.int64).sum(axis=1)
    while (total >> 16).any():
        total = (total & 0xFFFF) + (total >> 16)
    return total


@pytest.mark.parametrize(
    ("inner", "outer", "result"),
    [
        (ecn.ECT0, ecn.CE, ecn.CE),
        (ecn.ECT1, ecn.CE, ecn.CE),
        (ecn.ECT0, ecn.ECT1, ecn.ECT1),
    ],
)
def test_every_header_checksum_stays_right(inner: int, outer: int, result: int) -> None:
    """RFC 1624: 0x0000 with a sum that folds twice is one of them."""
    rows = headers(inner)
    assert {0x0000, 0x0001, 0xFFFE} <= set(rows.view(">u2")[:, 5].tolist())
    delta = ecn.ecn_delta(memoryview(rows[0]), outer)
    assert delta is not None
    ecn.add_ecn_delta(rows, delta)
    assert set(rows[:, 1].tolist()) == {result}
    assert set(folded(rows.view(">u2").astype(np.uint16)).tolist()) == {0xFFFF}


def test_ipv6_has_no_header_checksum() -> None:
    packet = memoryview(bytearray(struct.pack(">IHBB", 6 << 28 | ecn.ECT0 << 20, 0, 59, 64) + bytes(32)))
    after = bytearray(packet)
    after[1] |= ecn.CE << 4
    assert ecn.combine(packet, ecn.CE)
    assert packet == after


def test_ce_on_a_packet_that_knows_no_ecn_is_a_drop() -> None:
    packet = memoryview(bytearray(headers(ecn.NOT_ECT)[7]))
    before = bytes(packet)
    assert not ecn.combine(packet, ecn.CE)
    assert packet == before
