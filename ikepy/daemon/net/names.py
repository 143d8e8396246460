"""Keeps the table of what the configuration's DNS names mean: at the start, and whenever somebody asks.

The IKE machine asks before each try of a set-up (`LookUp`). Beside that, a name that has no address yet is
looked up again and again, so that a peer that begins is known; and our own names (`local_addrs`) are, when
the addresses of this host change.
"""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Awaitable, Callable, Iterable
from contextlib import suppress
from typing import Protocol

from ikepy.config.fields import Subsystem
from ikepy.config.model import Config, DnsName
from ikepy.daemon import log
from ikepy.daemon.net.name_threads import LookUpError
from ikepy.daemon.supervision import supervise
from ikepy.sa.api.effects import LookUp
from ikepy.sa.api.names import NameTable, names_of
from ikepy.sa.api.path import Address

FIRST, LONGEST = 2.0, 120.0  # seconds between look-ups of a name that has no address yet
SETTLED = 1.0  # seconds after a change of this host's addresses: the first packets may get nowhere
SELDOM = 10.0  # seconds between two look-ups of a known name of ours: routes may change all the time
REST = 1.0  # seconds between two reports of changes: a name may mean something else each time
SUBJECT = "names"
SUBSYSTEM: Subsystem = "net"


class Threads(Protocol):
    """`ikepy.daemon.net.name_threads.NameThreads`."""

    async def look_up(self, name: DnsName) -> list[Address]: ...

    def forget(self, names: frozenset[DnsName]) -> None: ...


class NameService:
    """Serves from `start` to `stop`. `changed` is awaited when names mean something else, before those who
    asked go on."""

    def __init__(self, table: NameTable, threads: Threads) -> None:
        self._table = table
        self._threads = threads
        self._loop = asyncio.get_running_loop()
        self.complete: Callable[[int, object], None] = lambda ticket, result: None  # takes a ticket back
        self.changed: Callable[[], Awaitable[None]] = _nobody
        self._own: frozenset[DnsName] = frozenset()  # in local_addrs
        self._names: frozenset[DnsName] = frozenset()
        self._foreign: Counter[DnsName] = Counter()  # not configured, of look-ups under way: of a redirect
        self._due: dict[DnsName, float] = {}  # when a name is looked up without being asked for
        self._waits: dict[DnsName, float] = {}  # seconds until the next such look-up, doubled each time
        self._asked: dict[DnsName, float] = {}  # when a name was looked up last
        self._told = (0, float("-inf"))  # the table's changes that were reported, and when
        self._reporting = asyncio.Lock()
        self._wake = asyncio.Event()
        self._tasks: set[asyncio.Task[None]] = set()

    def configure(self, config: Config) -> None:
        """These are the connections now: forget other names, and look new ones up soon."""
        connections = config.connections.values()
        self._own = frozenset(name for one in connections for name in names_of(one.local_addrs))
        peers = {name for one in connections for name in names_of(one.remote_addrs)}
        before, self._names = self._names, self._own | peers
        self._table.keep(self._wanted)
        self._threads.forget(self._wanted)
        now = self._loop.time()
        self._due = {name: at for name, at in self._due.items() if name in self._names}
        self._waits = {name: wait for name, wait in self._waits.items() if name in self._names}
        self._asked = {name: at for name, at in self._asked.items() if name in self._names}
        self._due.update(dict.fromkeys(self._names - before, now))
        self._wake.set()

    @property
    def _wanted(self) -> frozenset[DnsName]:
        return self._names | self._foreign.keys()

    def start(self) -> None:
        self._tasks.add(supervise(self._keep, "look up DNS names", SUBSYSTEM))

    async def stop(self) -> None:
        """Report nothing any more. May be called without `start`."""
        tasks = list(self._tasks)
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    def look_up(self, effect: LookUp) -> None:
        """Look names up for the machine, then give the ticket back."""
        self._spawn(self._answer(effect))

    def own_addresses_changed(self) -> None:
        """This host's addresses or routes changed: our own names may mean others, and name servers be
        reached."""
        soon = self._loop.time() + SETTLED
        for name in self._names:
            known = bool(self._table.addresses(name))
            if name in self._own or not known:
                self._waits.pop(name, None)
                due = max(soon, self._asked.get(name, 0.0) + (SELDOM if known else FIRST))
                self._due[name] = min(self._due.get(name, due), due)
        self._wake.set()

    async def _answer(self, effect: LookUp) -> None:
        foreign = Counter(frozenset(effect.names) - self._names)
        self._foreign += foreign
        stopped = False
        try:
            await self._learn(effect.names)
        except asyncio.CancelledError:
            stopped = True
            raise
        finally:
            if not stopped:  # also after a fault: who waits goes on with what is known
                self.complete(effect.ticket, None)
            self._foreign -= foreign
            if foreign:
                self._table.keep(self._wanted)

    async def _learn(self, names: Iterable[DnsName]) -> None:
        """Look names up, and write what they mean into the table."""
        await asyncio.gather(*(self._learn_one(name) for name in names))
        if self._told[0] == self._table.changes:
            return
        async with self._reporting:
            if self._told[0] == self._table.changes:  # told while we waited
                return
            await asyncio.sleep(self._told[1] + REST - self._loop.time())
            if self._told[0] != self._table.changes:
                changes, self._told = self._table.changes, (self._told[0], self._loop.time())
                await self.changed()
                self._told = changes, self._told[1]  # not before: a report that fails is made again

    async def _learn_one(self, name: DnsName) -> None:
        before = self._table.meaning(name)
        if name in self._names:
            self._asked[name] = self._loop.time()
        try:
            found = await self._threads.look_up(name)
        except LookUpError as error:
            if name in self._wanted:
                self._table.fail(name, str(error), gone=error.gone)
                self._failed(name, str(error), before.failure)
            return
        if name in self._wanted:
            self._table.learn(name, found)
            now = self._table.addresses(name)
            if set(now) != set(before.addresses):
                log.info(
                    SUBJECT, f"{name}: {', '.join(map(str, now))}{_instead_of(before.addresses)}", SUBSYSTEM
                )

    def _failed(self, name: DnsName, why: str, before: str) -> None:
        """Log once for each reason."""
        if why == before:
            return
        kept = self._table.addresses(name)
        text = f"; {', '.join(map(str, kept))}, as it was, is used meanwhile" if kept else ""
        log.warning(SUBJECT, f"{name}: {why}{text}", SUBSYSTEM)

    async def _keep(self) -> None:
        """Look up what nobody asks for."""
        while True:
            now = self._loop.time()
            due = [name for name, at in self._due.items() if at <= now]
            for name in due:
                del self._due[name]
                self._spawn(self._look_up_again(name))
            next_at = min(self._due.values(), default=None)
            with suppress(TimeoutError):
                async with asyncio.timeout(None if next_at is None else max(0.0, next_at - now)):
                    await self._wake.wait()
            self._wake.clear()

    async def _look_up_again(self, name: DnsName) -> None:
        try:
            await self._learn([name])
        finally:  # also after a fault
            if name in self._names and not self._table.addresses(name):
                wait = self._waits.get(name, FIRST)
                self._waits[name] = min(2 * wait, LONGEST)
                self._due.setdefault(name, self._loop.time() + wait)
                self._wake.set()
            else:
                self._waits.pop(name, None)

    def _spawn(self, work: Awaitable[None]) -> None:
        task = asyncio.ensure_future(work)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)


def _instead_of(before: tuple[Address, ...]) -> str:
    if not before:
        return ""
    return f", no more {', '.join(map(str, before))}; used from the next set-up on"


async def _nobody() -> None:
    """Nobody is to be told."""
