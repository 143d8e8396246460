"""ikepy.sa.admission.queued_inits: admitted requests that wait to be processed."""

from __future__ import annotations

from ipaddress import ip_address

from ikepy.sa.admission.cpu_budget import Charge, CpuBudget
from ikepy.sa.admission.queued_inits import MOST, PATIENCE, QueuedInits
from ikepy.sa.api.path import Endpoint

ONE, OTHER = Endpoint(ip_address("198.51.100.7"), 500), Endpoint(ip_address("203.0.113.9"), 500)
BUDGET = CpuBudget(0.25, lambda: 0.5)


def charge(remote: Endpoint = ONE, at: float = 0.0) -> Charge:
    return Charge(BUDGET, remote, 0.001, at)


def spi(number: int) -> bytes:
    return number.to_bytes(8, "big")


def test_a_request_waits_until_it_is_taken() -> None:
    queue, one = QueuedInits(), charge()
    queue.add(spi(1), one)
    assert (len(queue), (spi(1), ONE) in queue, queue.from_address(ONE.address)) == (1, True, 1)
    assert queue.take(spi(1), OTHER) is None
    assert queue.take(spi(2), ONE) is None
    assert queue.take(spi(1), ONE) is one
    assert (len(queue), (spi(1), ONE) in queue, queue.from_address(ONE.address)) == (0, False, 0)
    assert queue.take(spi(1), ONE) is None


def test_addresses_are_counted_apart_and_ports_together() -> None:
    queue = QueuedInits()
    queue.add(spi(1), charge())
    queue.add(spi(1), charge(Endpoint(ONE.address, 1024)))
    queue.add(spi(1), charge(OTHER))
    assert (queue.from_address(ONE.address), queue.from_address(OTHER.address), len(queue)) == (2, 1, 3)


def test_one_that_was_lost_is_forgotten() -> None:
    queue = QueuedInits()
    for number in range(3):
        queue.add(spi(number), charge(at=float(number)))
    queue.expire(PATIENCE + 1.0)
    assert [(spi(number), ONE) in queue for number in range(3)] == [False, False, True]
    assert queue.from_address(ONE.address) == 1
    queue.expire(PATIENCE + 1.9)
    assert len(queue) == 1


def test_too_many_push_out_the_oldest() -> None:
    queue = QueuedInits()
    queue.add(spi(0), charge(OTHER))
    for number in range(MOST):
        queue.add(spi(number), charge())
    assert (len(queue), queue.from_address(OTHER.address)) == (MOST, 0)
    assert (spi(0), ONE) in queue
