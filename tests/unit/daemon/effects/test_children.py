"""ikepy.daemon.effects.children: counters of a worker are used again, and run out."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import closing

import pytest

from ikepy.daemon.device.vti_device import VtiDevice
from ikepy.daemon.effects.children import ChildTable, TooManyChildren
from ikepy.sa.api.capacity import Capacity
from tests.unit.daemon.fakes import SUITE, FakeTun, config


@pytest.fixture
def device() -> Iterator[VtiDevice]:
    made = next(iter(config().connections.values()))
    with closing(FakeTun("vti-a")) as tun:
        yield VtiDevice(1, made, 0, tun, 1400, trap=False)


def test_counters_are_used_again_before_fresh_ones(device: VtiDevice) -> None:
    table = ChildTable(1, 4)
    assert [table.add(child, device, SUITE, "net").counter for child in (1, 2, 3)] == [0, 1, 2]
    table.remove(2)
    assert [table.add(child, device, SUITE, "net").counter for child in (4, 5)] == [1, 3]
    with pytest.raises(TooManyChildren, match="worker 0"):
        table.add(6, device, SUITE, "net")
    table.remove(1)
    assert table.add(6, device, SUITE, "net").counter == 0


def test_a_child_that_is_known_keeps_its_counter(device: VtiDevice) -> None:
    table = ChildTable(1, 1)
    assert table.add(1, device, SUITE, "net") is table.add(1, device, SUITE, "net")


def test_the_room_that_the_ike_machine_is_told_of(device: VtiDevice) -> None:
    """One place in eight is for rekeys; a worker's table is full at once for all of its connections."""
    table = ChildTable(2, 16)
    assert table.room(0) == Capacity(16, 16)
    for child in range(1, 15):
        table.add(child, device, SUITE, "net")
    assert table.room(0) == Capacity(2, 16)
    assert not table.room(0).for_new
    assert table.room(0).for_rekey
    table.add(15, device, SUITE, "net")
    table.add(16, device, SUITE, "net")
    assert not table.room(0).for_rekey
    assert table.room(1) == Capacity(16, 16)
    table.remove(7)
    assert table.room(0) == Capacity(1, 16)
