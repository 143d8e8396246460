"""What RADIUS servers are told of sessions, from the daemon's events."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable, Coroutine
from dataclasses import dataclass, field, replace
from ipaddress import IPv4Address
from typing import Any

import pytest

from esp.ipc.counters import CounterBlock
from ikepy.config.radius import Radius
from ikepy.daemon.bus.daemon_events import ConfigReloaded
from ikepy.daemon.bus.event_bus import EventBus
from ikepy.daemon.device.absent import AbsentTun
from ikepy.daemon.device.vti_device import VtiDevice
from ikepy.daemon.effects.children import ChildTable
from ikepy.daemon.radius import accounting as accounting_module
from ikepy.daemon.radius import attributes
from ikepy.daemon.radius.accounting import (
    ACCT_INPUT_OCTETS,
    ACCT_SESSION_ID,
    ACCT_STATUS_TYPE,
    ACCT_TERMINATE_CAUSE,
    EVENT_TIMESTAMP,
    INTERIM,
    START,
    STOP,
    Accounting,
)
from ikepy.daemon.radius.answers import Answer, NoAnswer
from ikepy.daemon.radius.attributes import Attributes, Key
from ikepy.eap.granted import Granted
from ikepy.sa.api.ends import End
from ikepy.sa.api.events import ChildRekeyed, ChildUp, IkeDown, IkeRekeyed, IkeUp
from ikepy.sa.api.snapshot import ChildSnapshot, IkeSaSnapshot
from tests.exchange.test_established import established
from tests.netns.namespaces import wait_until
from tests.unit.daemon.fakes import config

from .server import settings


@dataclass
class Client:
    """Keeps what it is told."""

    settings: Radius
    fails: bool = False
    told: list[Attributes] = field(default_factory=list)

    def access(self, attributes: Attributes, server: str | None = None) -> Answer:
        raise NotImplementedError

    def account(self, attributes: Attributes) -> Answer:
        self.told.append(attributes)
        if self.fails:
            raise NoAnswer("nobody is there")
        return Answer(5, {}, "s0")


def client(**changes: object) -> Client:
    return Client(settings(1812).model_copy(update={"accounting": True, **changes}))


def alice() -> IkeSaSnapshot:
    net = established()
    (sa,) = net.b.manager.list_sas(net.now)
    granted = Granted(user="Alice", addresses=(IPv4Address("10.9.0.5"),), classes=(b"gold",))
    return replace(sa, eap_id="alice", granted=granted)


def value(told: Attributes, key: Key) -> bytes:
    (found,) = [one for name, one in told if name == key]
    return found


def statuses(of: Client) -> list[int]:
    return [int.from_bytes(value(one, ACCT_STATUS_TYPE), "big") for one in of.told]


def run(
    of: Client | None,
    scenario: Callable[[EventBus, Accounting], Coroutine[Any, Any, None]],
    children: ChildTable | None = None,
    block: CounterBlock | None = None,
    *,
    hurried: bool = False,
) -> None:
    async def inside() -> None:
        bus, hurry = EventBus(), asyncio.Event()
        if hurried:
            hurry.set()
        table = children or ChildTable(1, 8)
        accounting = Accounting(bus, lambda: of, table, lambda slot: block)
        try:
            await scenario(bus, accounting)
        finally:
            await accounting.stop(hurry)

    asyncio.run(inside())


def test_a_session_begins_goes_on_over_a_rekey_and_ends() -> None:
    told, sa = client(), alice()

    async def scenario(bus: EventBus, accounting: Accounting) -> None:
        bus.publish(IkeUp(sa))
        bus.publish(IkeRekeyed(sa, replace(sa, ike_id=99)))
        bus.publish(IkeDown(sa, End.DELETED, None, "the old one"))
        bus.publish(IkeDown(replace(sa, ike_id=99), End.DELETED_BY_PEER, None, "deleted"))

    run(told, scenario)
    assert sorted(statuses(told)) == [START, STOP]
    start, stop = sorted(told.told, key=lambda one: value(one, ACCT_STATUS_TYPE))
    assert value(start, ACCT_SESSION_ID) == value(stop, ACCT_SESSION_ID)
    assert value(stop, ACCT_TERMINATE_CAUSE) == attributes.number(1)
    for each in (start, stop):
        assert value(each, attributes.USER_NAME) == b"Alice"
        assert value(each, attributes.FRAMED_IP_ADDRESS) == IPv4Address("10.9.0.5").packed
        assert value(each, attributes.CLASS) == b"gold"


@pytest.mark.parametrize("status", [INTERIM, STOP])
def test_what_a_child_carries_after_its_rekey_counts(status: int) -> None:
    """With what the one before it carried, which is removed later; and again after the next rekey."""
    told, sa = client(accounting_interval=0.05 if status == INTERIM else 0), alice()
    (first,) = sa.children
    table, block = ChildTable(1, 8), CounterBlock.create(8)
    device = VtiDevice(1, config().connections["a"], 0, AbsentTun("vti-a"), 1400, trap=False)

    def installed(child: ChildSnapshot, octets: int) -> None:
        record = table.add(child.child_id, device, child.suite, child.name)
        block.clear(record.counter, child.child_id)
        block.count_in(record.counter, 1, octets, 1.0e9)

    async def scenario(bus: EventBus, accounting: Accounting) -> None:
        table.removing = accounting.removing
        installed(first, 1000)
        bus.publish(IkeUp(sa))
        bus.publish(ChildUp(sa, first))
        old = first
        for octets in (20_000, 300_000):
            new = replace(old, child_id=old.child_id + 1)
            installed(new, octets)
            bus.publish(ChildRekeyed(sa, old, new))
            table.remove(old.child_id)
            old = new
        told.told.clear()
        if status == INTERIM:
            await asyncio.to_thread(wait_until, lambda: INTERIM in statuses(told), "a report", 30)
        else:
            bus.publish(IkeDown(sa, End.DELETED_BY_PEER, None, ""))
            table.remove(old.child_id)

    with block:
        run(told, scenario, table, block)
    report = next(one for one in told.told if value(one, ACCT_STATUS_TYPE) == attributes.number(status))
    assert value(report, ACCT_INPUT_OCTETS) == attributes.number(321_000)


def test_a_session_that_the_daemon_leaves_ends_with_it() -> None:
    """As where the peer has not answered the delete."""
    told, sa = client(), alice()

    async def scenario(bus: EventBus, accounting: Accounting) -> None:
        bus.publish(IkeUp(sa))

    run(told, scenario)
    assert sorted(statuses(told)) == [START, STOP]
    (stop,) = [one for one in told.told if value(one, ACCT_STATUS_TYPE) == attributes.number(STOP)]
    assert value(stop, ACCT_TERMINATE_CAUSE) == attributes.number(7)


@pytest.mark.parametrize("hurried", [False, True])
def test_a_server_that_does_not_answer_holds_up_no_end(
    monkeypatch: pytest.MonkeyPatch, hurried: bool
) -> None:
    """No thread that waits for it is waited for, by the interpreter either; in a hurry, nothing is."""
    monkeypatch.setattr(accounting_module, "PATIENCE", 60 if hurried else 0.05)
    told, sa, gate = client(), alice(), threading.Event()
    monkeypatch.setattr(told, "account", lambda _: gate.wait(30))

    async def scenario(bus: EventBus, accounting: Accounting) -> None:
        before = set(threading.enumerate())
        bus.publish(IkeUp(sa))
        waiting = set(threading.enumerate()) - before
        assert waiting
        assert all(one.daemon for one in waiting)

    try:
        run(told, scenario, hurried=hurried)
        assert not gate.is_set()
    finally:
        gate.set()


def test_interim_reports() -> None:
    told, sa = client(accounting_interval=0.05), alice()

    async def scenario(bus: EventBus, accounting: Accounting) -> None:
        bus.publish(IkeUp(sa))
        await asyncio.to_thread(wait_until, lambda: INTERIM in statuses(told), "an interim report", 30)

    run(told, scenario)
    assert statuses(told)[0] == START


def test_a_reload_changes_who_is_told_and_how_often() -> None:
    """A user who was there before is told from then on; the reports begin, and begin again."""
    told, sa = client(accounting=False, accounting_interval=0.05), alice()

    def configure(bus: EventBus, *, accounting: bool) -> None:
        told.settings = told.settings.model_copy(update={"accounting": accounting})
        bus.publish(ConfigReloaded("a command"))

    async def scenario(bus: EventBus, accounting: Accounting) -> None:
        bus.publish(IkeUp(sa))
        for _ in range(2):
            configure(bus, accounting=True)
            await asyncio.to_thread(wait_until, lambda: INTERIM in statuses(told)[-1:], "a report", 30)
            configure(bus, accounting=False)
            told.told.append([(ACCT_STATUS_TYPE, b"")])  # a mark
        configure(bus, accounting=True)

    run(told, scenario)
    assert statuses(told)[0] == START
    assert statuses(told)[-1] == STOP
    assert statuses(told).count(START) == statuses(told).count(STOP) == 1


@pytest.mark.parametrize(
    "change", [{"eap_id": ""}, {"initiator": True}], ids=["without a user", "as initiator"]
)
def test_others_are_not_told(change: dict[str, object]) -> None:
    told, sa = client(), alice()

    async def scenario(bus: EventBus, accounting: Accounting) -> None:
        bus.publish(IkeUp(replace(sa, **change)))  # type: ignore[arg-type]
        bus.publish(IkeDown(replace(sa, **change), End.DELETED, None, ""))  # type: ignore[arg-type]

    run(told, scenario)
    assert told.told == []


@pytest.mark.parametrize("of", [None, client(accounting=False)], ids=["no server", "not asked for"])
def test_nobody_is_told_without_accounting(of: Client | None) -> None:
    sa = alice()

    async def scenario(bus: EventBus, accounting: Accounting) -> None:
        bus.publish(IkeUp(sa))
        bus.publish(IkeDown(sa, End.DELETED, None, ""))

    run(of, scenario)
    assert of is None or of.told == []


def test_a_server_that_does_not_answer_delays_nobody() -> None:
    told, sa = client(), alice()
    told.fails = True

    async def scenario(bus: EventBus, accounting: Accounting) -> None:
        bus.publish(IkeUp(sa))

    run(told, scenario)
    assert sorted(statuses(told)) == [START, STOP]


def test_a_begin_that_no_server_has_heard_is_sent_again() -> None:
    told, sa = client(accounting_interval=0.05), alice()
    told.fails = True

    async def scenario(bus: EventBus, accounting: Accounting) -> None:
        bus.publish(IkeUp(sa))
        await asyncio.to_thread(wait_until, lambda: statuses(told).count(START) > 1, "another try", 30)
        told.fails = False
        told.told.clear()
        await asyncio.to_thread(wait_until, lambda: statuses(told).count(INTERIM) > 2, "reports", 30)

    run(told, scenario)
    assert statuses(told).count(START) <= 2, "the last one may have been lost, and is told now"
    assert statuses(told)[-1] == STOP
    begins = {value(one, EVENT_TIMESTAMP) for one in told.told if value(one, ACCT_STATUS_TYPE)[-1] == START}
    assert len(begins) <= 1, "when it began"


def test_servers_that_do_not_answer_are_told_once(monkeypatch: pytest.MonkeyPatch) -> None:
    lines: list[str] = []
    monkeypatch.setattr("ikepy.daemon.log.warning", lambda _, text: lines.append(text))
    told, sa = client(accounting_interval=0.02), alice()
    told.fails = True

    async def scenario(bus: EventBus, accounting: Accounting) -> None:
        bus.publish(IkeUp(sa))
        await asyncio.to_thread(wait_until, lambda: len(told.told) > 3, "several requests", 30)
        told.fails = False
        await asyncio.to_thread(wait_until, lambda: len(lines) > 1, "it goes on", 30)

    run(told, scenario)
    assert len(lines) == 2
    assert "'alice': nobody is there" in lines[0] and "goes on; requests that were lost: " in lines[1]
