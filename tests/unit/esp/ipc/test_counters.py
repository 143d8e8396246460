"""esp.ipc.counters: shared memory, as two processes see it."""

from __future__ import annotations

import os

import numpy as np
import pytest

from esp.ipc.counters import NOTHING, CounterBlock, SaCounters
from esp.packet.drop_reasons import Drop


def test_control_reads_what_the_worker_writes() -> None:
    with CounterBlock.create(3) as control, CounterBlock.attach(os.dup(control.fd)) as worker:
        assert worker.slots == 3
        worker.count_in(1, 2, 300, 1000.9)
        worker.count_in(1, 1, 50, 1001.0)
        worker.count_sealed(1, 5, 600, 9, 1002.0)
        worker.set_sequence(1, (1 << 64) - 1)
        worker.drop(Drop.REPLAY, 4, slot=1)
        worker.drop(Drop.UNKNOWN_SPI)
        expected = SaCounters(3, 350, 1001, 5, 600, 1002, (1 << 64) - 1, {"replay": 4})
        assert control.sa(1) == expected
        assert control.drops() == {"unknown_spi": 1}
        assert control.sa(0) == control.sa(2) == SaCounters(0, 0, 0, 0, 0, 0, 0, {})


@pytest.mark.parametrize("slots", [[3, 0, 2], [3, 0, 3, 2, 0]])
def test_many_at_once_are_counted_as_one_by_one(slots: list[int]) -> None:
    with CounterBlock.create(4) as together, CounterBlock.create(4) as apart:
        for block in (together, apart):
            block.count_in(3, 5, 500, 900.0)
            block.drop(Drop.REPLAY, 7, slot=2)
        for now in (1000.9, 2000.0):
            numbers = np.arange(len(slots), dtype=np.uint64) + np.uint64((1 << 64) - 100)
            together.count_each_in(slots, 1300, now)
            together.count_each_out(slots, 1200, numbers, now)
            for slot, number in zip(slots, numbers.tolist(), strict=True):
                apart.count_in(slot, 1, 1300, now)
                apart.count_sealed(slot, 1, 1200, number, now)
        assert [together.sa(slot) for slot in range(4)] == [apart.sa(slot) for slot in range(4)]


def test_what_was_sealed_is_counted_with_its_last_number() -> None:
    with CounterBlock.create(2) as block:
        for number, now in (((1 << 64) - 9, 1000.9), ((1 << 64) - 2, 2000.0)):
            block.count_sealed(1, 7, 1000, number, now)
        assert block.sa(0) == SaCounters(0, 0, 0, 0, 0, 0, 0, {})
        assert block.sa(1) == SaCounters(0, 0, 0, 14, 2000, 2000, (1 << 64) - 2, {})


def test_clear_is_for_one_slot() -> None:
    with CounterBlock.create(3) as block:
        for slot in range(3):
            block.count_in(slot, 1, 1, 1.0)
            block.drop(Drop.SEND, 1, slot)
        block.clear(1, 7)
        assert [block.sa(slot).in_packets for slot in range(3)] == [1, 0, 1]
        assert [block.sa(slot).drops for slot in range(3)] == [{"send": 1}, {}, {"send": 1}]


def test_a_slot_has_nothing_of_a_child_until_the_worker_has_taken_it_for_that_one() -> None:
    with CounterBlock.create(2) as block:
        assert block.of_child(1, 0) == NOTHING
        block.clear(1, 0)
        block.count_in(1, 2, 300, 1000.9)
        assert (block.of_child(1, 0).in_bytes, block.volume(1, 0)) == (300, (300, 2))
        assert (block.of_child(1, 7), block.volume(1, 7)) == (NOTHING, (0, 0))
        block.clear(1, 7)
        block.count_in(1, 1, 100, 1001.0)
        assert (block.of_child(1, 7).in_bytes, block.volume(1, 7)) == (100, (100, 1))
        assert block.of_child(1, 0) == NOTHING


def test_every_reason_has_a_word_of_its_own() -> None:
    with CounterBlock.create(1) as block:
        for number, reason in enumerate(Drop, 1):
            block.drop(reason, number)
            block.drop(reason, number * 100, slot=0)
        assert block.drops() == {reason.text: number for number, reason in enumerate(Drop, 1)}
        assert block.sa(0).drops == {reason.text: number * 100 for number, reason in enumerate(Drop, 1)}
        assert block.sa(0).out_seq == 0


@pytest.mark.parametrize("slot", [-1, 3])
def test_no_such_slot(slot: int) -> None:
    with CounterBlock.create(3) as block:
        for use in (block.sa, lambda slot: block.clear(slot, 7), lambda slot: block.of_child(slot, 7)):
            with pytest.raises(IndexError):
                use(slot)
        with pytest.raises(IndexError):
            block.count_in(slot, 1, 1, 1.0)
        with pytest.raises(IndexError):
            block.drop(Drop.SEND, 1, slot)


def test_no_memory_for_counters() -> None:
    with pytest.raises(ValueError, match="slots"):
        CounterBlock.create(0)
    fd = os.memfd_create("something-else")
    try:
        for size in (0, 8, 100000):
            os.ftruncate(fd, size)
            with pytest.raises(ValueError, match="no memory"):
                CounterBlock.attach(fd)
    finally:
        os.close(fd)
