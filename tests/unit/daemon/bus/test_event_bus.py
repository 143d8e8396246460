"""The bus: who gets what, in which order, and what a slow or faulty one costs the others."""

from __future__ import annotations

import asyncio
from ipaddress import IPv4Address

import pytest

from ikepy.daemon.bus.daemon_events import AddressGone, DeviceUp, WorkerStarted
from ikepy.daemon.bus.event_bus import EventBus, Item, Missed, Subscription
from ikepy.sa.api.effects import Level, Log
from ikepy.sa.api.events import ChildUp, IkeRekeyed, IkeUp
from tests.unit.daemon.fakes import ike_info

UP = IkeUp(ike_info(1))
LINE = Log(Level.INFO, "a #1", "up")


def test_a_subscriber_gets_what_it_asked_for_in_order() -> None:
    bus = EventBus()
    some, all_kinds = bus.subscribe(IkeUp, DeviceUp), bus.subscribe(IkeUp, Log, WorkerStarted)
    published: list[Item] = [LINE, UP, WorkerStarted(0, 7), DeviceUp("a", "t0"), UP]
    for item in published:
        bus.publish(item)
    assert some.take() == [UP, DeviceUp("a", "t0"), UP]
    assert all_kinds.take() == [LINE, UP, WorkerStarted(0, 7), UP]
    assert some.take() == []


@pytest.mark.parametrize(
    ("item", "about"),
    [
        (UP, True),
        (IkeRekeyed(ike_info(1), ike_info(2)), True),
        (DeviceUp("a", "t0"), True),
        (DeviceUp("ab", "t0"), False),
        (LINE, True),
        (Log(Level.INFO, "a", "x"), True),
        (Log(Level.INFO, "ab #1", "x"), False),
        (Log(Level.INFO, "192.0.2.1[500]", "x"), False),
        (WorkerStarted(0, 7), False),
        (AddressGone(IPv4Address("192.0.2.1")), False),
    ],
)
def test_one_connection(item: Item, about: bool) -> None:
    bus = EventBus()
    kinds = (IkeUp, IkeRekeyed, DeviceUp, Log, WorkerStarted, AddressGone)
    subscription = bus.subscribe(*kinds, connection="a")
    bus.publish(item)
    assert subscription.take() == ([item] if about else [])


def test_a_slow_subscriber_loses_the_oldest_and_nobody_else_anything() -> None:
    bus = EventBus()
    slow, fast = bus.subscribe(WorkerStarted, most=3), bus.subscribe(WorkerStarted)
    for slot in range(10):
        bus.publish(WorkerStarted(slot, 1))
    assert slow.take() == [Missed(7), *(WorkerStarted(slot, 1) for slot in (7, 8, 9))]
    assert len(fast.take()) == 10
    bus.publish(WorkerStarted(10, 1))
    assert slow.take() == [WorkerStarted(10, 1)]


def test_a_faulty_listener_costs_itself(caplog: pytest.LogCaptureFixture) -> None:
    bus, heard = EventBus(), list[Item]()

    def fail(item: WorkerStarted) -> None:
        raise ValueError("mine")

    bus.listen((WorkerStarted,), fail)
    bus.listen((WorkerStarted,), heard.append)
    subscription = bus.subscribe(WorkerStarted)
    with caplog.at_level("ERROR", "ikepy"):
        bus.publish(WorkerStarted(0, 1))
    assert heard == subscription.take() == [WorkerStarted(0, 1)]
    assert "telling of WorkerStarted: ValueError: mine" in caplog.text


def test_iteration_waits_and_ends() -> None:
    async def read(subscription: Subscription) -> list[object]:
        return [item async for item in subscription]

    async def scenario() -> list[object]:
        bus = EventBus()
        subscription = bus.subscribe(IkeUp, ChildUp, most=2)
        reading = asyncio.create_task(read(subscription))
        await asyncio.sleep(0)
        bus.publish(UP)
        await asyncio.sleep(0)
        await asyncio.sleep(0)
        for number in (2, 3, 4):
            bus.publish(IkeUp(ike_info(number)))
        subscription.close()
        bus.publish(UP)  # too late
        return await asyncio.wait_for(reading, 5)

    assert asyncio.run(scenario()) == [UP, Missed(1), IkeUp(ike_info(3)), IkeUp(ike_info(4))]


def test_a_closed_subscription_costs_nothing() -> None:
    bus = EventBus()
    subscription = bus.subscribe(IkeUp)
    subscription.close()
    subscription.close()
    bus.publish(UP)
    assert subscription.take() == []


def test_a_subscription_of_nothing_is_refused() -> None:
    bus = EventBus()
    with pytest.raises(ValueError, match="of 0 items"):
        bus.subscribe(IkeUp, most=0)
    bus.publish(UP)


def test_a_faulty_listener_does_not_fill_the_log(caplog: pytest.LogCaptureFixture) -> None:
    bus = EventBus()

    def fail(item: WorkerStarted) -> None:
        raise ValueError("mine")

    bus.listen((WorkerStarted,), fail)
    with caplog.at_level("ERROR", "ikepy"):
        for slot in range(1000):
            bus.publish(WorkerStarted(slot, 1))
    assert 0 < len(caplog.messages) < 100


def test_a_burst_costs_a_sleeping_subscriber_and_nobody_else() -> None:
    """64 subscribers, one of which never reads, one of which closes another one's subscription."""

    async def scenario() -> None:
        bus = EventBus()
        sleeping = bus.subscribe(WorkerStarted)
        subscriptions = [bus.subscribe(WorkerStarted) for _ in range(63)]
        bus.listen((WorkerStarted,), lambda item: subscriptions[0].close() if item.slot == 5_000 else None)

        async def read(subscription: Subscription) -> list[Item | Missed]:
            return [item async for item in subscription]

        readers = [asyncio.create_task(read(one)) for one in subscriptions]
        published = [WorkerStarted(slot, 1) for slot in range(10_000)]
        for number, item in enumerate(published):
            bus.publish(item)
            if number % 500 == 0:
                await asyncio.sleep(0)
        for subscription in subscriptions:
            subscription.close()
        first, *others = await asyncio.gather(*readers)
        assert first == published[:5_000]
        assert all(heard == published for heard in others)
        assert sleeping.take() == [Missed(8976), *published[-1024:]]

    asyncio.run(scenario())
