"""Packets counted together are counted as one by one, whatever is counted, read and cleared between them."""

from __future__ import annotations

import os
from collections.abc import Callable

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from esp.ipc.counters import CounterBlock
from esp.ipc.deferred_counters import MAX_DEFERRED
from esp.packet.drop_reasons import Drop

SLOTS = 5
slot = st.integers(0, SLOTS - 1)
slots = st.lists(slot, min_size=1, max_size=12)
octets = st.integers(28, 65535)
step = st.one_of(
    st.tuples(st.just("each in"), slots, octets),
    st.tuples(st.just("each out"), slots, octets),
    st.tuples(st.sampled_from(["in", "sequence", "sealed", "drop", "clear", "read"]), slot, octets),
    st.tuples(st.just("settle"), st.none(), st.just(0)),
)
Step = tuple[str, list[int] | int | None, int]


@given(st.lists(step, max_size=30), st.sampled_from([1, (1 << 32) + 1, (1 << 64) - 10**6]))
def test_as_one_by_one(steps: list[Step], first: int) -> None:
    with CounterBlock.create(SLOTS) as together, CounterBlock.create(SLOTS) as apart:
        number = first
        for index, (what, where, size) in enumerate(steps):
            now = 1000.1 + index / 4  # some within one second
            if isinstance(where, list):
                numbers = list(range(number, number + len(where)))
                number += len(where)
                if what == "each in":
                    together.count_each_in(where, size, now)
                    for one in where:
                        apart.count_in(one, 1, size, now)
                else:
                    together.count_each_out(where, size, np.array(numbers, np.uint64), now)
                    for one, taken in zip(where, numbers, strict=True):
                        apart.count_sealed(one, 1, size, taken, now)
            elif where is None:
                together.flush()
            else:
                number += 1
                for block in (together, apart):
                    _DO[what](block, where, size, number, now)
                assert together.sa(where) == apart.sa(where)
        assert [together.sa(one) for one in range(SLOTS)] == [apart.sa(one) for one in range(SLOTS)]
        assert together.drops() == apart.drops() == {}


_DO: dict[str, Callable[[CounterBlock, int, int, int, float], object]] = {
    "in": lambda block, slot, size, number, now: block.count_in(slot, 3, 3 * size, now),
    "sequence": lambda block, slot, size, number, now: block.set_sequence(slot, number),
    "sealed": lambda block, slot, size, number, now: block.count_sealed(slot, 2, 2 * size, number, now),
    "drop": lambda block, slot, size, number, now: block.drop(Drop.REPLAY, 2, slot),
    "clear": lambda block, slot, size, number, now: block.clear(slot, number),
    "read": lambda block, slot, size, number, now: block.volume(slot, number),
}


def test_others_see_them_once_they_are_settled() -> None:
    with CounterBlock.create(SLOTS) as worker, CounterBlock.attach(os.dup(worker.fd)) as control:
        worker.count_each_in([1, 3], 100, 50.0)
        worker.count_each_out([3, 3], 200, np.array([7, 8], np.uint64), 60.0)
        assert worker.has_deferred
        assert control.sa(3).in_packets == control.sa(3).out_packets == 0
        worker.flush()
        assert not worker.has_deferred
        assert (control.sa(1).in_bytes, control.sa(3).in_bytes) == (100, 100)
        assert (control.sa(3).out_bytes, control.sa(3).out_seq) == (400, 8)


@pytest.mark.parametrize("direction", ["in", "out"])
def test_not_more_than_so_many_wait(direction: str) -> None:
    with CounterBlock.create(SLOTS) as worker, CounterBlock.attach(os.dup(worker.fd)) as control:
        batch, numbers = [0, 1, 2, 3] * 16, np.arange(64, dtype=np.uint64)
        for count in range(1, 2 * MAX_DEFERRED // 64 + 1):
            if direction == "in":
                worker.count_each_in(batch, 100, 50.0)
            else:
                worker.count_each_out(batch, 100, numbers, 50.0)
            counted = control.sa(0).in_packets + control.sa(0).out_packets
            assert 4 * counted == 64 * count // MAX_DEFERRED * MAX_DEFERRED


def test_what_waits_is_not_counted_for_the_next_sa_of_a_slot() -> None:
    with CounterBlock.create(SLOTS) as worker:
        worker.count_each_out([2, 3], 100, np.array([7, 8], np.uint64), 60.0)
        worker.clear(2, 7)
        assert worker.sa(2).out_packets == worker.sa(2).out_seq == 0
        assert worker.sa(3).out_packets == 1


def test_what_waits_is_written_before_the_memory_is_left() -> None:
    worker = CounterBlock.create(SLOTS)
    with CounterBlock.attach(os.dup(worker.fd)) as control:
        worker.count_each_in([1], 100, 50.0)
        worker.close()
        assert control.sa(1).in_packets == 1
