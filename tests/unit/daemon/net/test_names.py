"""The table of names is kept: for the machine, at the start, and when this host's addresses change."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from ipaddress import ip_address

import pytest

from ikepy.config.model import Config, DnsName
from ikepy.daemon import log
from ikepy.daemon.net import names
from ikepy.daemon.net.name_threads import LookUpError
from ikepy.daemon.net.names import NameService
from ikepy.sa.api.effects import LookUp
from ikepy.sa.api.names import NameTable
from ikepy.sa.api.path import Address
from tests.unit.daemon.fakes import config
from tests.unit.daemon.in_loop import in_loop

PEER, OWN = DnsName("peer.example"), DnsName("own.example")
FIRST, SECOND = ip_address("192.0.2.7"), ip_address("192.0.2.8")
NAMED = config(local_addrs=[str(OWN)], remote_addrs=[str(PEER)])


class Threads:
    """Name servers that answer at once, or never."""

    def __init__(self) -> None:
        self.known: dict[DnsName, list[Address]] = {}
        self.why: Exception = LookUpError("no such name", gone=True)
        self.asked: list[DnsName] = []
        self.silent: set[DnsName] = set()

    async def look_up(self, name: DnsName) -> list[Address]:
        self.asked.append(name)
        if name in self.silent:
            await asyncio.Event().wait()
        if name not in self.known:
            raise self.why
        return self.known[name]

    def forget(self, names: frozenset[DnsName]) -> None: ...


class Bed:
    def __init__(self, monkeypatch: pytest.MonkeyPatch, configuration: Config = NAMED) -> None:
        for name in ("FIRST", "SETTLED", "SELDOM", "REST"):
            monkeypatch.setattr(names, name, 0.01)
        self.threads = Threads()
        self.table = NameTable()
        self.service = NameService(self.table, self.threads)
        self.told: list[object] = []
        self.service.complete = lambda ticket, result: self.told.append(ticket)
        self.service.changed = self._changed
        self.service.configure(configuration)

    async def _changed(self) -> None:
        self.told.append("changed")

    async def until(self, condition: Callable[[], object]) -> None:
        async with asyncio.timeout(5):
            while not condition():  # noqa: ASYNC110  nothing tells of it
                await asyncio.sleep(0.005)


@in_loop
async def test_a_look_up_is_in_the_table_and_told_before_the_ticket_goes_back(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    bed = Bed(monkeypatch)
    bed.threads.known[PEER] = [FIRST]
    bed.service.look_up(LookUp(7, (PEER, OWN)))
    await bed.until(lambda: 7 in bed.told)
    assert bed.told == ["changed", 7]
    assert bed.table.addresses(PEER) == (FIRST,)
    assert bed.table.failures([OWN]) == ["own.example: no such name"]
    bed.service.look_up(LookUp(8, (PEER,)))
    await bed.until(lambda: 8 in bed.told)
    assert bed.told == ["changed", 7, 8], "nothing changed"
    await bed.service.stop()


@in_loop
async def test_the_ticket_goes_back_after_a_fault_too(monkeypatch: pytest.MonkeyPatch) -> None:
    """Or whoever waits would wait until the daemon starts anew."""
    bed = Bed(monkeypatch)
    bed.threads.why = RuntimeError("can't start new thread")
    bed.service.look_up(LookUp(7, (PEER,)))
    await bed.until(lambda: bed.told)
    assert bed.told == [7]
    await bed.service.stop()
    bed.threads.silent = {PEER}
    bed.service.look_up(LookUp(8, (PEER,)))
    await asyncio.sleep(0.02)
    await bed.service.stop()
    assert bed.told == [7], "at the end nobody waits any more"


@in_loop
async def test_unknown_names_are_looked_up_until_they_are_known(monkeypatch: pytest.MonkeyPatch) -> None:
    bed = Bed(monkeypatch)
    bed.threads.known[OWN] = [SECOND]
    bed.service.start()
    await bed.until(lambda: bed.threads.asked.count(PEER) >= 3)
    bed.threads.known[PEER] = [FIRST]
    await bed.until(lambda: bed.table.addresses(PEER))
    asked = len(bed.threads.asked)
    await asyncio.sleep(0.1)
    assert len(bed.threads.asked) == asked and bed.threads.asked.count(OWN) == 1
    await bed.service.stop()


@in_loop
async def test_one_that_hangs_keeps_no_other_from_being_known(monkeypatch: pytest.MonkeyPatch) -> None:
    bed = Bed(monkeypatch)
    bed.threads.silent = {OWN}
    bed.threads.known[PEER] = [FIRST]
    bed.service.start()
    await bed.until(lambda: bed.table.addresses(PEER))
    await bed.service.stop()


@in_loop
async def test_our_own_names_are_looked_up_when_our_addresses_change(monkeypatch: pytest.MonkeyPatch) -> None:
    bed = Bed(monkeypatch)
    bed.threads.known = {PEER: [FIRST], OWN: [FIRST]}
    bed.service.start()
    await bed.until(lambda: bed.table.addresses(OWN))
    bed.threads.known[OWN] = [SECOND]
    bed.service.own_addresses_changed()
    await bed.until(lambda: bed.table.addresses(OWN) == (SECOND,))
    assert bed.threads.asked.count(PEER) == 1, "a peer's name is for the next set-up"
    await bed.service.stop()


@in_loop
async def test_changes_of_routes_without_end_cost_few_look_ups(monkeypatch: pytest.MonkeyPatch) -> None:
    bed = Bed(monkeypatch)
    monkeypatch.setattr(names, "SELDOM", 60.0)
    monkeypatch.setattr(names, "FIRST", 60.0)
    bed.threads.known[OWN] = [FIRST]
    bed.service.start()
    await bed.until(lambda: len(bed.threads.asked) == 2)
    for _ in range(20):
        bed.service.own_addresses_changed()
        await asyncio.sleep(0.01)
    assert len(bed.threads.asked) == 2
    await bed.service.stop()


@in_loop
async def test_names_that_are_configured_no_more_are_forgotten(monkeypatch: pytest.MonkeyPatch) -> None:
    bed = Bed(monkeypatch)
    bed.threads.known = {PEER: [FIRST], OWN: [FIRST]}
    bed.service.start()
    await bed.until(lambda: bed.table.addresses(PEER) and bed.table.addresses(OWN))
    bed.service.configure(config(remote_addrs=[str(PEER)]))
    assert bed.table.addresses(PEER) and not bed.table.addresses(OWN)
    bed.service.look_up(LookUp(7, (OWN,)))
    await bed.until(lambda: 7 in bed.told)
    assert not bed.table.addresses(OWN), "an answer that comes too late is none"
    await bed.service.stop()


@in_loop
async def test_a_reason_is_logged_once(monkeypatch: pytest.MonkeyPatch) -> None:
    bed = Bed(monkeypatch)
    lines: list[str] = []
    monkeypatch.setattr(log, "warning", lambda subject, text, subsystem: lines.append(text))
    for ticket in range(1, 5):
        bed.service.look_up(LookUp(ticket, (PEER,)))
        await bed.until(lambda: ticket in bed.told)  # noqa: B023
    assert lines == ["peer.example: no such name"]
    await bed.service.stop()


@in_loop
async def test_a_name_of_a_redirect_is_known_until_the_ticket_is_back(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    bed = Bed(monkeypatch)
    other = DnsName("gw2.example")
    bed.threads.known[other] = [SECOND]
    known: list[tuple[Address, ...]] = []
    bed.service.complete = lambda ticket, result: known.append(bed.table.addresses(other))
    bed.service.look_up(LookUp(7, (other,)))
    await bed.until(lambda: known)
    assert known == [(SECOND,)]
    await bed.until(lambda: not bed.table.addresses(other))
    await bed.service.stop()


@in_loop
async def test_after_a_fault_a_name_is_looked_up_and_its_meaning_told_again(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    bed = Bed(monkeypatch)
    faults, told = [RuntimeError("a fault")], asyncio.Event()

    async def changed() -> None:
        if faults:
            raise faults.pop()
        told.set()

    bed.service.changed = changed
    bed.threads.why = RuntimeError("a fault")
    bed.service.start()
    async with asyncio.timeout(20):
        while bed.threads.asked.count(PEER) < 2:  # noqa: ASYNC110
            await asyncio.sleep(0.01)
        bed.threads.known = {PEER: [FIRST], OWN: [SECOND]}
        while faults:  # noqa: ASYNC110
            await asyncio.sleep(0.01)
        bed.service.own_addresses_changed()
        await told.wait()
    await bed.service.stop()


@in_loop
async def test_what_has_not_changed_waits_for_no_pause(monkeypatch: pytest.MonkeyPatch) -> None:
    """A look-up that ends while another name's change is told."""
    bed = Bed(monkeypatch)
    telling, told = asyncio.Event(), asyncio.Event()

    async def changed() -> None:
        telling.set()
        await told.wait()

    bed.service.changed = changed
    bed.threads.known = {PEER: [FIRST], OWN: [SECOND]}
    bed.service.look_up(LookUp(7, (PEER,)))
    await telling.wait()
    monkeypatch.setattr(names, "REST", 3600.0)
    bed.threads.known = {PEER: [FIRST]}
    bed.service.look_up(LookUp(8, (PEER,)))
    await bed.until(lambda: bed.threads.asked.count(PEER) == 2)
    for _ in range(10):
        await asyncio.sleep(0)  # until it waits
    told.set()
    await bed.until(lambda: bed.told == [7, 8])
    await bed.service.stop()
