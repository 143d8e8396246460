"""Follows this host's addresses: opens and closes sockets, and tells the machine (MOBIKE, RFC 4555)."""

from __future__ import annotations

import asyncio
from collections.abc import Collection, Iterable, Sequence
from contextlib import suppress

from ikepy.config.model import Config
from ikepy.daemon import log
from ikepy.daemon.bus.daemon_events import (
    AddressBack,
    AddressGone,
    ListeningBegun,
    ListeningEnded,
    ListeningFailed,
)
from ikepy.daemon.device.devices import DeviceTable
from ikepy.daemon.effects.runner import EffectsRunner
from ikepy.daemon.errors import StartError
from ikepy.daemon.in_thread import in_thread
from ikepy.daemon.interfaces import Changes, NetworkConfig
from ikepy.daemon.net.listeners import Listeners
from ikepy.daemon.net.resolver import Resolver
from ikepy.daemon.net.route_check import RouteCheck
from ikepy.daemon.net.served_addresses import served
from ikepy.daemon.supervision import supervise
from ikepy.daemon.workers.pool import WorkerPool
from ikepy.sa.api.commands import LocalAddressesChanged
from ikepy.sa.api.names import NameTable
from ikepy.sa.api.path import Address
from tun.netlink import HostAddress, RouteError

LINGER = 30.0  # seconds that the sockets of an address that is gone are kept: most come back
RETRY = 1.0  # seconds until a socket that could not be opened is tried again
LOOPBACK = "lo"
SUBJECT = "net"


class AddressFollower:
    """Keeps the listeners and the machine up to date with this host's addresses, from `start` to `stop`."""

    def __init__(
        self,
        config: Config,
        network: NetworkConfig,
        listeners: Listeners,
        pool: WorkerPool,
        runner: EffectsRunner,
        resolver: Resolver,
        devices: DeviceTable,
        route_check: RouteCheck,
        names: NameTable,
    ) -> None:
        self._config = config
        self._names = names
        self._network = network
        self._listeners = listeners
        self._pool = pool
        self._runner = runner
        self._publish = runner.bus.publish
        self._resolver = resolver
        self._route_check = route_check
        self._devices = devices
        self._named = _named(config, names)
        self._looking = asyncio.Lock()
        self._gone_since: dict[Address, float] = {}
        self._usable: set[Address] = set()  # addresses that could send when they were read last
        self._lost: set[Address] = set()  # addresses of connections that were usable and have gone
        self._refused: set[Address] = set()  # addresses whose sockets could not be opened last time
        self._blind = False  # the addresses could not be read
        self._wake = asyncio.Event()
        self._task: asyncio.Task[None] | None = None

    async def start(self) -> None:
        """Tell the machine the addresses, and follow their changes from now on."""
        await self._look()
        self._task = supervise(self._follow, "follow our addresses", "net", self._wake.set)

    async def replace_config(self, config: Config) -> None:
        """Listen where the connections of `config` have their addresses, and tell the machine."""
        self._config = config
        await self._look()

    async def look(self) -> None:
        """What our own DNS names mean has changed: look at our addresses, and act on them."""
        await self._look()

    async def stop(self) -> None:
        """May be called without `start`."""
        if self._task is not None:
            self._task.cancel()
            await asyncio.gather(self._task, return_exceptions=True)

    def changed(self, changes: Changes) -> bool:
        """The kernel reports changes. Those of our own devices come with every child, and don't count.
        Whether there are others."""
        inside = self._devices.indices
        self._route_check.forget()
        self._listeners.refuse_from(inside.keys())
        if not changes.outside(inside.keys()):
            return False
        self._wake.set()
        return True

    async def _follow(self) -> None:
        while True:
            # Not wait_for: until Python 3.12 it may swallow what `stop` cancels, which then waits for ever.
            with suppress(TimeoutError):
                async with asyncio.timeout(self._backoffs()):
                    await self._wake.wait()
            self._wake.clear()
            await self._look()

    def _backoffs(self) -> float | None:
        """Seconds until there is something to do without an event; None: nothing."""
        if self._refused or self._blind:
            return RETRY
        if not self._gone_since:
            return None
        now = asyncio.get_running_loop().time()
        return max(0.0, min(self._gone_since.values()) + LINGER - now)

    async def _look(self) -> None:
        async with self._looking:
            await self._look_once()

    async def _look_once(self) -> None:
        """Read the addresses, and act on them: sockets first, for the machine sends at once."""
        try:
            # In a thread: reading takes long on a host with many addresses.
            named = _named(self._config, self._names)
            host, routed = await in_thread(self._read, named)
            ours = self._devices.indices
            linked = {one.device: one.index in ours or self._network.has_link(one.device) for one in host}
        except (RouteError, OSError) as error:
            if not self._blind:
                text = f"our own addresses can't be read: {error}; it is tried again every {RETRY:g} s"
                log.warning(SUBJECT, text, "net")
            self._blind = True
            return
        self._blind = False
        inside = self._devices.indices
        self._named = named
        outside = [one.address for one in host if one.index not in inside or one.address in named]
        await self._fit_sockets(served(self._config, [*outside, *routed], self._names))
        command = self._command(host, linked, routed, inside.keys())
        self._route_check.forget()
        self._tell((*command.addresses, *command.others))
        self._listeners.refuse_from(inside.keys())
        self._resolver.usable = frozenset((*command.addresses, *command.others))
        self._resolver.served = frozenset(self._listeners.addresses)
        self._listeners.send_again()
        self._runner.request(command)

    def _read(self, named: Iterable[Address]) -> tuple[list[HostAddress], list[Address]]:
        """The addresses of this host's devices; and of those that connections name the others that are local,
        by a route. Raises `RouteError` and OSError."""
        host = self._network.host_addresses()
        missing = set(named).difference(one.address for one in host)
        return host, [one for one in sorted(missing, key=str) if self._network.is_local(one)]

    async def _fit_sockets(self, wanted: Collection[Address]) -> None:
        now = asyncio.get_running_loop().time()
        for address in wanted:
            self._gone_since.pop(address, None)
        self._refused &= set(wanted)
        for address in wanted:
            if address not in self._listeners.addresses:
                self._open(address)
        for address in self._listeners.addresses.difference(wanted):
            if now - self._gone_since.setdefault(address, now) >= LINGER:
                del self._gone_since[address]
                await self._close(address)

    def _open(self, address: Address) -> None:
        try:
            opened = self._listeners.add(address)
        except (StartError, OSError) as error:
            if address not in self._refused:
                self._publish(ListeningFailed(address, str(error)))
            self._refused.add(address)
            return
        self._refused.discard(address)
        for slot, one in opened:
            self._pool.add_socket(slot, one)
        self._publish(ListeningBegun(address))

    async def _close(self, address: Address) -> None:
        for slot, one in await self._listeners.remove(address):
            self._pool.remove_socket(slot, one.index)
        self._publish(ListeningEnded(address))

    def _command(
        self,
        host: Sequence[HostAddress],
        linked: dict[str, bool],
        routed: Iterable[Address],
        inside: Collection[int],
    ) -> LocalAddressesChanged:
        """The addresses on interfaces with a link: first those to tell peers of, then the others.

        Peers are not told of our devices' (kernel indices `inside`) and of loopback addresses, unless a
        connection names them, as it does all of `routed`.
        """
        here = [one for one in host if linked[one.device] and one.address not in self._refused]
        usable = [one.address for one in here if self._is_public(one, inside)]
        others = [one.address for one in here if not self._is_public(one, inside)]
        usable += [one for one in routed if one not in self._refused]
        return LocalAddressesChanged(tuple(usable), tuple(others))

    def _tell(self, usable: Iterable[Address]) -> None:
        """Publish which addresses that connections use have gone, and which are back."""
        now, before = set(usable), self._usable
        used = self._named | self._listeners.addresses
        for address in sorted((before - now) & used, key=str):
            self._lost.add(address)
            self._publish(AddressGone(address))
        for address in sorted(self._lost & now, key=str):
            self._lost.discard(address)
            self._publish(AddressBack(address))
        self._usable = now

    def _is_public(self, one: HostAddress, inside: Collection[int]) -> bool:
        is_inside = one.index in inside or one.device == LOOPBACK
        return one.address in self._named or not (is_inside or one.address.is_loopback)


def _named(config: Config, names: NameTable) -> set[Address]:
    """The single addresses in the connections' `local_addrs`, those that DNS names mean included."""
    connections = config.connections.values()
    return {a for connection in connections for a in names.fixed(connection.local_addrs)}
