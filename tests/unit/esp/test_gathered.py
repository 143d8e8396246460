"""Datagrams that are read to be opened together."""

from ipaddress import IPv4Address

import pytest

from esp.gathered import ROOM, Gathered
from esp.trains import MOST_ROWS
from esp.transport import MOST_SEGMENTS, Received


@pytest.mark.parametrize("stride", [50, 100, 1000, 1472])
def test_there_is_always_room_for_one_more_until_it_is_full(stride: int) -> None:
    """Trains as large as they can be."""
    length = min(MOST_SEGMENTS, 65507 // stride) * stride
    received = Received(length, stride, 0, ("192.0.2.1", 4500), IPv4Address("192.0.2.2"))
    run = Gathered(received)
    while not run.is_full():
        assert run.takes(received)
        assert run.count <= MOST_ROWS
        assert run.end <= ROOM
    assert run.count > MOST_ROWS // 2
