"""Datagrams that are read to be opened together."""

from ipaddress import IPv4Address

import pytest

from esp.datapath.gro_batch import ARENA, GroBatch
from esp.net.transport import MAX_SEGMENTS, Received
from esp.packet.row_layouts import MAX_ROWS


@pytest.mark.parametrize("stride", [50, 100, 1000, 1472])
def test_there_is_always_room_for_one_more_until_it_is_full(stride: int) -> None:
    """GRO reads as large as they can be."""
    length = min(MAX_SEGMENTS, 65507 // stride) * stride
    received = Received(length, stride, 0, ("192.0.2.1", 4500), IPv4Address("192.0.2.2"))
    run = GroBatch(received)
    while not run.is_full():
        assert run.append(received)
        assert run.count <= MAX_ROWS
        assert run.end <= ARENA
    assert run.count > MAX_ROWS // 2
